//! How a verb writes a value.

use crate::template::number;
use crate::template::quote::{can_be_raw, is_printable, quote, quote_character};
use crate::template::value::{Element, MAX_TEXT, Value};

/// How a verb is to write its value.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the five flags of the format and one verb's mode"
)]
pub(super) struct Flags {
    pub(super) sharp: bool,
    pub(super) zero: bool,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) space: bool,
    pub(super) go_syntax: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

impl Flags {
    pub(super) fn write(&self, out: &mut String, value: &Value, verb: char) {
        match (verb, value) {
            ('T' | 'v', Value::Missing | Value::Null) => self.pad(out, "<nil>"),
            ('T', value) => self.write_text(out, value.type_name(), 's'),
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
            Value::Bool(_) | Value::Missing | Value::Null => self.complain(out, value, verb),
        }
    }

    fn separate(&self, out: &mut String, place: usize) {
        if place > 0 {
            out.push_str(if self.go_syntax { ", " } else { " " });
        }
    }

    fn write_text(&self, out: &mut String, text: &str, verb: char) {
        match verb {
            'v' if self.go_syntax => self.pad(out, &self.quoted(self.cut(text))),
            's' | 'v' => self.pad(out, self.cut(text)),
            'q' => self.pad(out, &self.quoted(self.cut(text))),
            'x' | 'X' => self.pad(out, &self.hexadecimal(text, verb == 'X')),
            _ => self.complain(out, &Value::text(text), verb),
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
            'O' if self.sharp && magnitude != 0 => (format!("0{magnitude:o}"), "0o"),
            'O' => (format!("{magnitude:o}"), "0o"),
            'o' => (format!("{magnitude:o}"), if self.sharp { "0" } else { "" }),
            'x' => (format!("{magnitude:x}"), if self.sharp { "0x" } else { "" }),
            'X' => (format!("{magnitude:X}"), if self.sharp { "0X" } else { "" }),
            'c' => return self.pad(out, &character(number).to_string()),
            'q' => return self.pad(out, &quote_character(character(number), self.plus)),
            'U' => {
                let without_zero = Self {
                    zero: false,
                    ..*self
                };
                return without_zero.pad(out, &self.code_point(number));
            }
            _ => return self.complain(out, &Value::Int(number), verb),
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
            'b' => number::binary(number),
            'e' | 'E' => number::exponential(number, Some(self.precision.unwrap_or(6))),
            'f' | 'F' => format!("{number:.*}", self.precision.unwrap_or(6)),
            'g' | 'G' | 'v' => number::general(number, self.precision),
            'x' | 'X' => number::hexadecimal(number, self.precision),
            _ => return self.complain(out, &Value::Float(number), verb),
        };
        let text = match (self.sharp, verb) {
            (true, 'e' | 'E' | 'f' | 'F') => number::with_point(&text, 0),
            (true, 'g' | 'G' | 'v') => number::with_point(&text, self.precision.unwrap_or(6)),
            _ => text,
        };
        let text = if verb.is_ascii_uppercase() {
            text.to_uppercase()
        } else {
            text
        };
        self.write_signed(out, &text);
    }

    /// Writes a number; zeros that fill it up come after its sign.
    fn write_signed(&self, out: &mut String, text: &str) {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None if self.plus => ("+", text),
            None if self.space => (" ", text),
            None => ("", text),
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

    /// Writes that a value has no such verb; the value comes as the flags have it.
    fn complain(&self, out: &mut String, value: &Value, verb: char) {
        out.extend(["%!", verb.encode_utf8(&mut [0; 4]), "("]);
        if value.is_nothing() {
            out.push_str("<nil>");
        } else {
            out.extend([value.type_name(), "="]);
            self.write_part(out, value, 'v', false);
        }
        out.push(')');
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
