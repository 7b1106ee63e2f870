//! What `expand-template` is asked for: the input file, and the list files that it names.

use std::collections::BTreeMap;

use fs_err as fs;
use imgcore::Error;
use imgcore::json::{Fields, Kind, Limits, Strictness, Value as Json};

use crate::context::Context;
use crate::kvfile::KeyValueFile;
use crate::report::{Explain as _, Failure};
use crate::template::Value;

/// The input file.
#[derive(Debug)]
pub(super) struct Request {
    /// What is expanded, by name.
    pub(super) templates: BTreeMap<String, Shape>,
    /// What templates find at their root, by name.
    pub(super) settings: BTreeMap<String, Value>,
    /// Files with more templates, by the name that they belong to.
    list_files: BTreeMap<String, Vec<String>>,
}

/// One named template: a text, or texts in the shape that the result has, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    List(Vec<String>),
    Map(BTreeMap<String, String>),
    Text(String),
}

impl Request {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        // Names of settings and keys of labels may differ in case only.
        let limits = Limits::default().with_case_variants(true);
        let mut fields = Fields::of(&Json::parse(bytes, &limits)?, "input")?;
        let request = Self {
            templates: members(&mut fields, "templates", Shape::of)?,
            settings: members(&mut fields, "build_settings", setting)?,
            list_files: members(&mut fields, "newline_delimited_lists_files", paths)?,
        };
        fields.finish(Strictness::Lenient)?;
        Ok(request)
    }

    /// Reads the list files and puts what they hold behind or over the templates of their name.
    pub(super) fn add_list_files(&mut self, context: &Context) -> Result<(), Failure> {
        for (name, paths) in std::mem::take(&mut self.list_files) {
            let mut all = KeyValueFile::Empty;
            for path in paths {
                let bytes = fs::read(context.path(&path))?;
                let file = KeyValueFile::parse(&bytes).explain(|| format!("list file {path}"))?;
                all = followed_by(all, file).ok_or_else(|| {
                    mixed(&name, "KEY=VALUE in one file and plain words in another")
                })?;
            }
            let kinds = match &all {
                KeyValueFile::Empty => continue,
                KeyValueFile::List(_) => "plain words in a file and an object of its own",
                KeyValueFile::Pairs(_) => "KEY=VALUE in a file and a text or list of its own",
            };
            let own = self.templates.remove(&name);
            let merged = merge(own, all).ok_or_else(|| mixed(&name, kinds))?;
            self.templates.insert(name, merged);
        }
        Ok(())
    }
}

impl Shape {
    fn of(value: &Json, place: &str) -> Result<Self, Error> {
        match value.kind() {
            Kind::Null => Ok(Self::Text(String::new())),
            Kind::String => Ok(Self::Text(value.as_str().unwrap_or_default().into_owned())),
            Kind::Array => {
                let texts = value.elements().into_iter().flatten();
                let texts: Option<Vec<String>> = texts
                    .map(|text| Some(text.as_str()?.into_owned()))
                    .collect();
                texts.map(Self::List).ok_or_else(|| wrong(place, TEMPLATE))
            }
            Kind::Object => {
                let object = value.as_object().unwrap_or_default();
                let texts: Option<BTreeMap<String, String>> = object
                    .iter()
                    .map(|(key, text)| Some((key.to_owned(), text.as_str()?.into_owned())))
                    .collect();
                texts.map(Self::Map).ok_or_else(|| wrong(place, TEMPLATE))
            }
            _ => Err(wrong(place, TEMPLATE)),
        }
    }
}

const TEMPLATE: &str = "a string, a list of strings or an object of strings";

fn setting(value: &Json, place: &str) -> Result<Value, Error> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0);
    match (value.kind(), number) {
        (Kind::String, _) => Ok(Value::text(value.as_str().unwrap_or_default())),
        (Kind::Bool, _) => Ok(Value::Bool(value.as_bool() == Some(true))),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what an i64 cannot hold is still a whole number and prints as one"
        )]
        (_, Some(number)) => Ok(Value::Int(value.as_i64().unwrap_or(number as i64))),
        _ => Err(wrong(place, "a string, true, false or a whole number")),
    }
}

fn paths(value: &Json, place: &str) -> Result<Vec<String>, Error> {
    match Shape::of(value, place) {
        Ok(Shape::Text(path)) if !path.is_empty() => Ok(vec![path]),
        Ok(Shape::List(paths)) => Ok(paths),
        _ => Err(wrong(place, "a path or a list of paths")),
    }
}

/// Reads the members of an object that may be absent.
fn members<T>(
    fields: &mut Fields,
    name: &str,
    read: impl Fn(&Json, &str) -> Result<T, Error>,
) -> Result<BTreeMap<String, T>, Error> {
    let Some(value) = fields.optional(name) else {
        return Ok(BTreeMap::new());
    };
    let object = value
        .as_object()
        .ok_or_else(|| fields.error(name, "is no object"))?;
    object
        .iter()
        .map(|(key, value)| Ok((key.to_owned(), read(value, &format!("{name}.{key}"))?)))
        .collect()
}

fn wrong(place: &str, expected: &str) -> Error {
    let message = format!("{place} must be {expected}");
    Error::new(imgcore::ErrorKind::Malformed, message)
}

/// What two files hold together; `None` if they are of different kinds.
fn followed_by(first: KeyValueFile, second: KeyValueFile) -> Option<KeyValueFile> {
    match (first, second) {
        (KeyValueFile::Empty, other) | (other, KeyValueFile::Empty) => Some(other),
        (KeyValueFile::List(mut words), KeyValueFile::List(more)) => {
            words.extend(more);
            Some(KeyValueFile::List(words))
        }
        (KeyValueFile::Pairs(mut pairs), KeyValueFile::Pairs(more)) => {
            pairs.extend(more);
            Some(KeyValueFile::Pairs(pairs))
        }
        _ => None,
    }
}

/// Puts what files hold behind a template's own list, or over its own pairs; `None` if the kinds
/// differ.
fn merge(own: Option<Shape>, files: KeyValueFile) -> Option<Shape> {
    match (own, files) {
        (own, KeyValueFile::Empty) => own,
        (None, KeyValueFile::List(words)) => Some(Shape::List(words)),
        (Some(Shape::List(mut own)), KeyValueFile::List(words)) => {
            own.extend(words);
            Some(Shape::List(own))
        }
        (Some(Shape::Text(own)), KeyValueFile::List(mut words)) => {
            if !own.is_empty() {
                words.insert(0, own);
            }
            Some(Shape::List(words))
        }
        (None, KeyValueFile::Pairs(pairs)) => Some(Shape::Map(pairs)),
        (Some(Shape::Map(mut own)), KeyValueFile::Pairs(pairs)) => {
            own.extend(pairs);
            Some(Shape::Map(own))
        }
        (Some(Shape::Map(_)), KeyValueFile::List(_))
        | (Some(Shape::List(_) | Shape::Text(_)), KeyValueFile::Pairs(_)) => None,
    }
}

fn mixed(name: &str, kinds: &str) -> Failure {
    Failure::new(format!(
        "newline_delimited_lists_files.{name}: it has {kinds}"
    ))
    .hint("give a name one kind of values only")
}
