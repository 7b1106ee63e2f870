//! The functions that templates call.

use std::cmp::Ordering;
use std::rc::Rc;

use super::compare::{equals_any, order};
use super::keyvalue;
use super::printf::{display, print, printf, println};
use super::quote::{html, js, url_query};
use super::value::{List, Value};

/// A function, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    And,
    AppendKv,
    Call,
    Eq,
    Ge,
    GetKv,
    Gt,
    HasPrefix,
    HasSuffix,
    Html,
    Index,
    Join,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    PrependKv,
    Print,
    Printf,
    Println,
    Rfc3339,
    Slice,
    Split,
    TrimPrefix,
    TrimSuffix,
    UrlQuery,
}

/// Name, function, and how many arguments it takes: at least, and at most.
const FUNCTIONS: [(&str, Function, usize, usize); 29] = [
    ("and", Function::And, 1, usize::MAX),
    ("appendkv", Function::AppendKv, 3, 3),
    ("call", Function::Call, 1, usize::MAX),
    ("eq", Function::Eq, 2, usize::MAX),
    ("ge", Function::Ge, 2, 2),
    ("getkv", Function::GetKv, 2, 2),
    ("gt", Function::Gt, 2, 2),
    ("hasprefix", Function::HasPrefix, 2, 2),
    ("hassuffix", Function::HasSuffix, 2, 2),
    ("html", Function::Html, 0, usize::MAX),
    ("index", Function::Index, 1, usize::MAX),
    ("join", Function::Join, 2, 2),
    ("js", Function::Js, 0, usize::MAX),
    ("le", Function::Le, 2, 2),
    ("len", Function::Len, 1, 1),
    ("lt", Function::Lt, 2, 2),
    ("ne", Function::Ne, 2, 2),
    ("not", Function::Not, 1, 1),
    ("or", Function::Or, 1, usize::MAX),
    ("prependkv", Function::PrependKv, 3, 3),
    ("print", Function::Print, 0, usize::MAX),
    ("printf", Function::Printf, 1, usize::MAX),
    ("println", Function::Println, 0, usize::MAX),
    ("rfc3339", Function::Rfc3339, 1, 1),
    ("slice", Function::Slice, 1, 4),
    ("split", Function::Split, 2, 2),
    ("trimprefix", Function::TrimPrefix, 2, 2),
    ("trimsuffix", Function::TrimSuffix, 2, 2),
    ("urlquery", Function::UrlQuery, 0, usize::MAX),
];

impl Function {
    /// Finds a function.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        FUNCTIONS
            .iter()
            .find(|(known, ..)| *known == name)
            .map(|(_, function, ..)| *function)
    }

    /// Says what is wrong with a number of arguments.
    pub(super) fn check_count(self, count: usize) -> Result<(), String> {
        let Some((name, _, least, most)) = FUNCTIONS.iter().find(|(_, known, ..)| *known == self)
        else {
            return Ok(());
        };
        if (*least..=*most).contains(&count) {
            return Ok(());
        }
        let wanted = match (*least, *most) {
            (least, most) if least == most => least.to_string(),
            (least, usize::MAX) => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        };
        Err(format!("{name} takes {wanted} arguments, not {count}"))
    }

    /// Calls the function; the number of arguments is checked.
    pub(super) fn call(self, arguments: &[Value]) -> Result<Value, String> {
        let [first, others @ ..] = arguments else {
            return self.call_without_arguments();
        };
        match self {
            Self::And => Ok(first_that(arguments, false)),
            Self::Call => Err(format!("{} is no function", first.type_name())),
            Self::Eq => equals_any(first, others).map(Value::Bool),
            Self::Html => Ok(Value::text(html(&plain_text(arguments)))),
            Self::Index => index(first, others),
            Self::Js => Ok(Value::text(js(&plain_text(arguments)))),
            Self::Len => length(first),
            Self::Not => Ok(Value::Bool(!first.is_true())),
            Self::Or => Ok(first_that(arguments, true)),
            Self::Print => Ok(Value::text(print(arguments))),
            Self::Printf => Ok(Value::text(printf(text(first)?, others))),
            Self::Println => Ok(Value::text(println(arguments))),
            Self::Rfc3339 => keyvalue::rfc3339(first).map(Value::text),
            Self::Slice => slice(first, others),
            Self::UrlQuery => Ok(Value::text(url_query(&plain_text(arguments)))),
            _ => self.call_with_second(first, others),
        }
    }

    fn call_without_arguments(self) -> Result<Value, String> {
        match self {
            Self::Html | Self::Js | Self::Print | Self::UrlQuery => Ok(Value::text("")),
            Self::Println => Ok(Value::text("\n")),
            _ => self.check_count(0).map(|()| Value::Missing),
        }
    }

    fn call_with_second(self, first: &Value, others: &[Value]) -> Result<Value, String> {
        let [second, others @ ..] = others else {
            return self.check_count(1).map(|()| Value::Missing);
        };
        let compare = |accept: fn(Ordering) -> bool| order(first, second).map(accept);
        match self {
            Self::Ge => compare(Ordering::is_ge).map(Value::Bool),
            Self::GetKv => Ok(Value::text(keyvalue::get(first, text(second)?))),
            Self::Gt => compare(Ordering::is_gt).map(Value::Bool),
            Self::HasPrefix => Ok(Value::Bool(text(first)?.starts_with(text(second)?))),
            Self::HasSuffix => Ok(Value::Bool(text(first)?.ends_with(text(second)?))),
            Self::Join => keyvalue::join(first, text(second)?).map(Value::text),
            Self::Le => compare(Ordering::is_le).map(Value::Bool),
            Self::Lt => compare(Ordering::is_lt).map(Value::Bool),
            Self::Ne => {
                equals_any(first, std::slice::from_ref(second)).map(|equal| Value::Bool(!equal))
            }
            Self::Split => Ok(split(text(first)?, text(second)?)),
            Self::TrimPrefix => {
                let (text, prefix) = (text(first)?, text(second)?);
                Ok(Value::text(text.strip_prefix(prefix).unwrap_or(text)))
            }
            Self::TrimSuffix => {
                let (text, suffix) = (text(first)?, text(second)?);
                Ok(Value::text(text.strip_suffix(suffix).unwrap_or(text)))
            }
            _ => self.call_with_third(first, second, others),
        }
    }

    fn call_with_third(
        self,
        first: &Value,
        second: &Value,
        others: &[Value],
    ) -> Result<Value, String> {
        let [third, ..] = others else {
            return self.check_count(2).map(|()| Value::Missing);
        };
        let value = keyvalue::get(first, text(second)?);
        let addition = text(third)?;
        Ok(Value::text(if self == Self::PrependKv {
            format!("{addition}{value}")
        } else {
            format!("{value}{addition}")
        }))
    }
}

/// The first value that is true (or false), else the last.
fn first_that(values: &[Value], wanted: bool) -> Value {
    values
        .iter()
        .find(|value| value.is_true() == wanted)
        .or(values.last())
        .cloned()
        .unwrap_or(Value::Missing)
}

/// Takes an argument that must be text.
fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Missing | Value::Null => Err("a text is needed, and there is no value".to_owned()),
        other => Err(format!(
            "a text is needed, not a value of type {}",
            other.type_name()
        )),
    }
}

/// What the escaping functions escape.
fn plain_text(values: &[Value]) -> String {
    let shown: Vec<Value> = values
        .iter()
        .map(|value| match value {
            Value::Missing | Value::Null => Value::text("<no value>"),
            other => other.clone(),
        })
        .collect();
    print(&shown)
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.len(),
        Value::Text(text) => text.len(),
        other => {
            return Err(format!(
                "a value of type {} has no length",
                other.type_name()
            ));
        }
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(value: &Value, indexes: &[Value]) -> Result<Value, String> {
    if value.is_nothing() {
        return Err("there is no value to take an item from".to_owned());
    }
    indexes
        .iter()
        .try_fold(value.clone(), |value, index| item(&value, index))
}

fn item(value: &Value, index: &Value) -> Result<Value, String> {
    match value {
        Value::List(list) => {
            let place = place(index, list.items.len())?;
            let item = list.items.get(place).cloned();
            item.ok_or_else(|| out_of_range(index, list.items.len()))
        }
        Value::Map(map) => Ok(map.get(text(index)?).cloned().unwrap_or(Value::Null)),
        Value::Text(text) => {
            let place = place(index, text.len())?;
            let byte = text.as_bytes().get(place);
            let byte = byte.ok_or_else(|| out_of_range(index, text.len()))?;
            Ok(Value::Int((*byte).into()))
        }
        other => Err(format!(
            "a value of type {} has no items",
            other.type_name()
        )),
    }
}

/// Takes an argument that must be a place in something, or its end.
fn place(index: &Value, length: usize) -> Result<usize, String> {
    match index {
        Value::Int(place) => usize::try_from(*place)
            .ok()
            .filter(|place| *place <= length)
            .ok_or_else(|| out_of_range(index, length)),
        other => Err(format!(
            "a whole number is needed, not a value of type {}",
            other.type_name()
        )),
    }
}

fn out_of_range(index: &Value, length: usize) -> String {
    format!("there is no item {} of {length}", display(index))
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let length = match value {
        Value::List(list) => list.items.len(),
        Value::Text(_) if bounds.len() > 2 => {
            return Err("a text is cut with two bounds at most".to_owned());
        }
        Value::Text(text) => text.len(),
        other => {
            return Err(format!(
                "a value of type {} cannot be cut",
                other.type_name()
            ));
        }
    };
    let places: Vec<usize> = bounds
        .iter()
        .map(|bound| place(bound, length))
        .collect::<Result<_, _>>()?;
    let start = places.first().copied().unwrap_or(0);
    let end = places.get(1).copied().unwrap_or(length);
    if start > end || places.get(2).is_some_and(|capacity| *capacity < end) {
        return Err("the bounds of a cut must be in order".to_owned());
    }
    match value {
        Value::List(list) => Ok(Value::List(List {
            items: Rc::from(&list.items[start..end]),
            element: list.element,
        })),
        Value::Text(text) => text
            .get(start..end)
            .map(Value::text)
            .ok_or_else(|| format!("bytes {start} to {end} of {text:?} are no whole characters")),
        _ => Ok(Value::Missing),
    }
}

fn split(text: &str, separator: &str) -> Value {
    if separator.is_empty() {
        let ends = text.char_indices().map(|(start, c)| (start, c.len_utf8()));
        Value::texts(ends.map(|(start, length)| &text[start..start + length]))
    } else {
        Value::texts(text.split(separator))
    }
}
