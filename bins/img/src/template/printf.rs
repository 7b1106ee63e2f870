//! `print`, `println` and `printf`: values to text as Go's `fmt` writes them.

use std::fmt::Write as _;

use super::number;
use super::quote::{can_be_raw, is_printable, quote, quote_character};
use super::value::{Element, MAX_TEXT, Value};

/// The widest and most precise that a verb may ask for. Go takes more, and nobody needs it.
const MAX_WIDTH: usize = 10_000;

/// Writes values next to each other, with spaces between those that are no texts.
pub(super) fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (place, value) in values.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if place > 0 && !is_text(value) && !is_text(&values[place - 1]) {
            out.push(' ');
        }
        out.push_str(&display(value));
    }
    out
}

/// Writes values with spaces between them and a newline behind.
pub(super) fn println(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(display).collect();
    texts.join(" ") + "\n"
}

/// Writes one value as `%v` does.
pub(super) fn display(value: &Value) -> String {
    let mut out = String::new();
    Flags::default().write(&mut out, value, 'v');
    out
}

/// Writes values into a format. What comes after [`MAX_TEXT`] is left out; the caller refuses it.
pub(super) fn printf(format: &str, values: &[Value]) -> String {
    let mut printer = Printer {
        rest: format,
        values,
        next: 0,
        reordered: false,
        index_is_good: true,
        out: String::new(),
    };
    while let Some(percent) = printer.rest.find('%')
        && printer.out.len() <= MAX_TEXT
    {
        printer.out.push_str(&printer.rest[..percent]);
        printer.rest = &printer.rest[percent + 1..];
        printer.directive();
    }
    printer.out.push_str(printer.rest);
    printer.write_surplus();
    printer.out
}

struct Printer<'a> {
    rest: &'a str,
    values: &'a [Value],
    next: usize,
    reordered: bool,
    index_is_good: bool,
    out: String,
}

impl Printer<'_> {
    fn directive(&mut self) {
        self.index_is_good = true;
        let mut flags = self.flags();
        let mut after_index = self.index();
        if self.eat('*') {
            after_index = false;
            self.width_from_value(&mut flags);
        } else {
            flags.width = self.digits();
            if after_index && flags.width.is_some() {
                self.index_is_good = false;
            }
        }
        if self.eat('.') {
            if after_index {
                self.index_is_good = false;
            }
            after_index = self.index();
            if self.eat('*') {
                after_index = false;
                self.precision_from_value(&mut flags);
            } else {
                flags.precision = Some(self.digits().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let Some(verb) = self.rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return;
        };
        self.rest = &self.rest[verb.len_utf8()..];
        self.verb(flags, verb);
    }

    fn verb(&mut self, mut flags: Flags, verb: char) {
        if verb == '%' {
            self.out.push('%');
        } else if !self.index_is_good {
            self.complain(verb, "BADINDEX");
        } else if let Some(value) = self.values.get(self.next) {
            self.next += 1;
            if verb == 'v' {
                flags.go_syntax = std::mem::take(&mut flags.sharp);
                // Names of fields are what the plus asks for, and no value here has any.
                flags.plus = false;
            }
            flags.write(&mut self.out, value, verb);
        } else {
            self.complain(verb, "MISSING");
        }
    }

    fn complain(&mut self, verb: char, what: &str) {
        write!(self.out, "%!{verb}({what})").expect("because writing to a String cannot fail");
    }

    fn eat(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        loop {
            match self.rest.bytes().next() {
                Some(b'#') => flags.sharp = true,
                Some(b'0') => flags.zero = true,
                Some(b'+') => flags.plus = true,
                Some(b'-') => flags.minus = true,
                Some(b' ') => flags.space = true,
                _ => return flags,
            }
            self.rest = &self.rest[1..];
        }
    }

    /// Reads `[n]`, which says which value comes next. Returns whether one was there.
    fn index(&mut self) -> bool {
        let Some(inner) = self.rest.strip_prefix('[') else {
            return false;
        };
        self.reordered = true;
        let Some((digits, rest)) = inner.split_once(']') else {
            self.index_is_good = false;
            self.rest = inner;
            return false;
        };
        self.rest = rest;
        match digits.parse::<usize>() {
            Ok(index) if (1..=self.values.len()).contains(&index) => {
                self.next = index - 1;
                true
            }
            _ => {
                self.index_is_good = false;
                false
            }
        }
    }

    fn digits(&mut self) -> Option<usize> {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &self.rest[..self.rest.len() - rest.len()];
        let number = digits.parse().ok().filter(|number| *number <= MAX_WIDTH);
        if number.is_none() && !digits.is_empty() {
            // Go gives the rest of the format up.
            self.rest = "";
        } else {
            self.rest = rest;
        }
        number
    }

    fn number_from_value(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(number) => usize::try_from(number.unsigned_abs())
                .is_ok_and(|width| width <= MAX_WIDTH)
                .then_some(*number),
            _ => None,
        }
    }

    fn width_from_value(&mut self, flags: &mut Flags) {
        let Some(width) = self.number_from_value() else {
            self.out.push_str("%!(BADWIDTH)");
            return;
        };
        if width < 0 {
            flags.minus = true;
            flags.zero = false;
        }
        flags.width = usize::try_from(width.unsigned_abs()).ok();
    }

    fn precision_from_value(&mut self, flags: &mut Flags) {
        flags.precision = self
            .number_from_value()
            .and_then(|precision| usize::try_from(precision).ok());
        if flags.precision.is_none() {
            self.out.push_str("%!(BADPREC)");
        }
    }

    fn write_surplus(&mut self) {
        if self.reordered || self.next >= self.values.len() {
            return;
        }
        self.out.push_str("%!(EXTRA ");
        for (place, value) in self.values[self.next..].iter().enumerate() {
            if place > 0 {
                self.out.push_str(", ");
            }
            if !value.is_nothing() {
                self.out.push_str(value.type_name());
                self.out.push('=');
            }
            self.out.push_str(&display(value));
        }
        self.out.push(')');
    }
}

/// How a verb is to write its value.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the five flags of the format and one verb's mode"
)]
struct Flags {
    sharp: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    go_syntax: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Flags {
    fn write(&self, out: &mut String, value: &Value, verb: char) {
        match (verb, value) {
            ('T', value) => self.write_text(out, value.type_name(), 's'),
            ('v', Value::Missing | Value::Null) => self.pad(out, "<nil>"),
            (_, value) => self.write_part(out, value, verb, false),
        }
    }

    /// Writes a value, or one that is `inside` another.
    fn write_part(&self, out: &mut String, value: &Value, verb: char, inside: bool) {
        if out.len() > MAX_TEXT {
            return;
        }
        match value {
            Value::Bool(value) if matches!(verb, 't' | 'v') => self.pad(out, &value.to_string()),
            Value::Float(number) => self.write_float(out, *number, verb),
            Value::Int(number) => self.write_int(out, *number, verb),
            Value::List(list) => {
                let (open, close) = if self.go_syntax {
                    ("{", "}")
                } else {
                    ("[", "]")
                };
                if self.go_syntax {
                    out.push_str(value.type_name());
                }
                out.push_str(open);
                for (place, item) in list.items.iter().enumerate() {
                    self.separate(out, place);
                    self.write_part(out, item, verb, list.element == Element::Any);
                }
                out.push_str(close);
            }
            Value::Map(map) => {
                out.push_str(if self.go_syntax {
                    value.type_name()
                } else {
                    "map"
                });
                out.push_str(if self.go_syntax { "{" } else { "[" });
                for (place, (key, item)) in map.iter().enumerate() {
                    self.separate(out, place);
                    self.write_text(out, key, verb);
                    out.push(':');
                    self.write_part(out, item, verb, true);
                }
                out.push_str(if self.go_syntax { "}" } else { "]" });
            }
            Value::Missing | Value::Null if inside && self.go_syntax => {
                out.push_str("interface {}(nil)");
            }
            Value::Missing | Value::Null if inside => out.push_str("<nil>"),
            Value::Text(text) => self.write_text(out, text, verb),
            Value::Bool(_) | Value::Missing | Value::Null => complain(out, value, verb),
        }
    }

    fn separate(&self, out: &mut String, place: usize) {
        if place > 0 {
            out.push_str(if self.go_syntax { ", " } else { " " });
        }
    }

    fn write_text(&self, out: &mut String, text: &str, verb: char) {
        match verb {
            'v' if self.go_syntax => self.pad(out, &self.quoted(text)),
            's' | 'v' => self.pad(out, self.cut(text)),
            'q' => self.pad(out, &self.quoted(self.cut(text))),
            'x' | 'X' => self.pad(out, &self.hexadecimal(text, verb == 'X')),
            _ => complain(out, &Value::text(text), verb),
        }
    }

    fn quoted(&self, text: &str) -> String {
        if self.sharp && can_be_raw(text) {
            format!("`{text}`")
        } else {
            quote(text, self.plus)
        }
    }

    fn cut<'t>(&self, text: &'t str) -> &'t str {
        let end = self
            .precision
            .and_then(|precision| text.char_indices().nth(precision));
        &text[..end.map_or(text.len(), |(end, _)| end)]
    }

    fn hexadecimal(&self, text: &str, upper: bool) -> String {
        let bytes = text.as_bytes();
        let bytes = &bytes[..self.precision.unwrap_or(bytes.len()).min(bytes.len())];
        let prefix = match (self.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let digits = bytes.iter().map(|byte| {
            if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            }
        });
        if bytes.is_empty() {
            String::new()
        } else if self.space {
            let digits: Vec<String> = digits.map(|digits| format!("{prefix}{digits}")).collect();
            digits.join(" ")
        } else {
            prefix.to_owned() + &digits.collect::<String>()
        }
    }

    fn write_int(&self, out: &mut String, number: i64, verb: char) {
        let magnitude = number.unsigned_abs();
        let (digits, prefix) = match verb {
            'd' | 'v' => (magnitude.to_string(), ""),
            'b' => (format!("{magnitude:b}"), if self.sharp { "0b" } else { "" }),
            'O' => (format!("{magnitude:o}"), "0o"),
            'o' => (format!("{magnitude:o}"), if self.sharp { "0" } else { "" }),
            'x' => (format!("{magnitude:x}"), if self.sharp { "0x" } else { "" }),
            'X' => (format!("{magnitude:X}"), if self.sharp { "0X" } else { "" }),
            'c' => return self.pad(out, &character(number).to_string()),
            'q' => return self.pad(out, &quote_character(character(number), self.plus)),
            'U' => return self.pad(out, &self.code_point(number)),
            _ => return complain(out, &Value::Int(number), verb),
        };
        let sign = match (number < 0, self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        self.write_digits(out, sign, prefix, &digits);
    }

    fn write_digits(&self, out: &mut String, sign: &str, prefix: &str, digits: &str) {
        let without_zero = Self {
            zero: false,
            ..*self
        };
        if self.precision == Some(0) && digits == "0" {
            return without_zero.pad(out, "");
        }
        let length = match (self.precision, self.width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if self.zero && !self.minus => width.saturating_sub(sign.len()),
            (None, _) => 0,
        };
        let zeros = length.saturating_sub(digits.len());
        // One leading zero is what an octal number is marked with.
        let prefix = if prefix == "0" && zeros > 0 {
            ""
        } else {
            prefix
        };
        let text = format!("{sign}{prefix}{}{digits}", "0".repeat(zeros));
        without_zero.pad(out, &text);
    }

    fn code_point(&self, number: i64) -> String {
        let digits = self.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{number:0digits$X}");
        let c = character(number);
        if self.sharp && i64::from(u32::from(c)) == number && is_printable(c) {
            text.extend([' ', '\'', c, '\'']);
        }
        text
    }

    fn write_float(&self, out: &mut String, number: f64, verb: char) {
        let text = match verb {
            'e' => number::exponential(number, Some(self.precision.unwrap_or(6))),
            'E' => number::exponential(number, Some(self.precision.unwrap_or(6))).to_uppercase(),
            'f' | 'F' => format!("{number:.*}", self.precision.unwrap_or(6)),
            'g' | 'v' => number::general(number, self.precision),
            'G' => number::general(number, self.precision).to_uppercase(),
            _ => return complain(out, &Value::Float(number), verb),
        };
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None if self.plus => ("+", text.as_str()),
            None if self.space => (" ", text.as_str()),
            None => ("", text.as_str()),
        };
        let length = sign.len() + digits.len();
        match self.width {
            Some(width) if self.zero && !self.minus && width > length => {
                out.push_str(sign);
                out.push_str(&"0".repeat(width - length));
                out.push_str(digits);
            }
            _ => self.pad(out, &format!("{sign}{digits}")),
        }
    }

    fn pad(&self, out: &mut String, text: &str) {
        let missing = self
            .width
            .map_or(0, |width| width.saturating_sub(text.chars().count()));
        if self.minus {
            out.push_str(text);
            out.push_str(&" ".repeat(missing));
        } else {
            out.push_str(&(if self.zero { "0" } else { " " }).repeat(missing));
            out.push_str(text);
        }
    }
}

fn character(number: i64) -> char {
    u32::try_from(number)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Writes that a value has no such verb.
fn complain(out: &mut String, value: &Value, verb: char) {
    let text = if value.is_nothing() {
        format!("%!{verb}(<nil>)")
    } else {
        format!("%!{verb}({}={})", value.type_name(), display(value))
    };
    out.push_str(&text);
}
