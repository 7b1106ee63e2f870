//! `print`, `println` and `printf`: values to text as Go's `fmt` writes them. How one verb writes one
//! value is in [`verb`].

mod verb;

use std::fmt::Write as _;

use super::value::{MAX_TEXT, Value};
use verb::Flags;

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
