//! What templates find at their root.

use std::collections::BTreeMap;
use std::rc::Rc;

use imgcore::json::{self, Limits};

use crate::template::{Value, is_variable_name, time_text};

/// A stamp file's longest line, as in the peer: more than that is no status file.
const MAX_STAMP_LINE: usize = 64 * 1024;

/// The root of the templates' data, and the variables that they find.
#[derive(Debug)]
pub(super) struct Data {
    root: Value,
    variables: Vec<(String, String)>,
    stamps: BTreeMap<String, String>,
}

/// Why something cannot be made part of the data.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    #[error("the path {path:?} has an empty step")]
    EmptyStep { path: String },
    #[error("{place:?} is no object, so nothing can be put in it")]
    NoObject { place: String },
    #[error(transparent)]
    NotJson(#[from] imgcore::Error),
    #[error("line {line} is not UTF-8 text")]
    NotText { line: usize },
    #[error("there is no {step:?} in it")]
    NothingThere { step: String },
    #[error("line {line} has more than {MAX_STAMP_LINE} bytes")]
    TooLong { line: usize },
}

impl Default for Data {
    fn default() -> Self {
        Self {
            root: Value::Map(Rc::default()),
            variables: Vec::new(),
            stamps: BTreeMap::new(),
        }
    }
}

impl Data {
    /// What the dot of a template is.
    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    /// The variables, by name without `$`.
    pub(super) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Puts a JSON document at a path, with all keys in lower case.
    pub(super) fn add_document(&mut self, path: &str, bytes: &[u8]) -> Result<(), DataError> {
        let limits = Limits::default().with_case_variants(true);
        let document = with_lower_keys(&Value::from(&json::Value::parse(bytes, &limits)?));
        *self.place(path)? = document;
        Ok(())
    }

    /// Replaces what is at a path by what is at a path in it.
    pub(super) fn replace_by_part(&mut self, path: &str, part: &str) -> Result<(), DataError> {
        let missing = |step: &str| DataError::NothingThere {
            step: step.to_owned(),
        };
        let steps = steps(path)?;
        let whole = find(&self.root, &steps).ok_or_else(|| missing(path))?;
        let found = find(whole, &self::steps(part)?).ok_or_else(|| missing(part))?;
        let found = found.clone();
        *self.place(path)? = found;
        Ok(())
    }

    /// Adds the lines of a status file.
    pub(super) fn add_stamps(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if line.len() > MAX_STAMP_LINE {
                return Err(DataError::TooLong { line: number });
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line =
                std::str::from_utf8(line).map_err(|_| DataError::NotText { line: number })?;
            if line.starts_with('#') {
                continue;
            }
            if let Some((key, value)) = line.split_once(' ') {
                self.stamps.insert(key.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }

    /// Lays stamps over the documents, and build settings over both.
    pub(super) fn add_settings(&mut self, settings: BTreeMap<String, Value>) {
        let time = match settings.get("BUILD_TIMESTAMP") {
            Some(Value::Int(seconds)) => Some(*seconds),
            Some(Value::Text(text)) => text.parse().ok(),
            Some(_) => None,
            None => self
                .stamps
                .get("BUILD_TIMESTAMP")
                .and_then(|text| text.parse().ok()),
        };
        let time = time.and_then(time_text).unwrap_or_default();
        let Value::Map(root) = &mut self.root else {
            return;
        };
        let root = Rc::make_mut(root);
        root.insert("BUILD_TIMESTAMP_RFC3339".to_owned(), Value::text(time));
        let stamps = std::mem::take(&mut self.stamps);
        root.extend(
            stamps
                .into_iter()
                .map(|(key, value)| (key, Value::text(value))),
        );
        root.extend(settings);
    }

    /// Makes variables of the `KEY=VALUE` texts in lists. If one list is missing there are none.
    pub(super) fn expose(&mut self, paths: &[String]) {
        let mut variables: Vec<(String, String)> = Vec::new();
        for path in paths {
            let found = steps(path).ok().and_then(|steps| find(&self.root, &steps));
            let Some(Value::List(list)) = found else {
                return;
            };
            for item in list.items.iter() {
                let Value::Text(pair) = item else { continue };
                let Some((key, value)) = pair.split_once('=') else {
                    continue;
                };
                // A name that no template can write would only break all of them.
                if is_variable_name(key) && variables.iter().all(|(known, _)| known != key) {
                    variables.push((key.to_owned(), value.to_owned()));
                }
            }
        }
        self.variables = variables;
    }

    /// Finds the place of a path, with objects on the way to it.
    fn place(&mut self, path: &str) -> Result<&mut Value, DataError> {
        let steps = steps(path)?;
        let mut place = &mut self.root;
        for (depth, step) in steps.iter().enumerate() {
            let Value::Map(map) = place else {
                return Err(DataError::NoObject {
                    place: steps[..depth].join("."),
                });
            };
            place = Rc::make_mut(map)
                .entry(step.clone())
                .or_insert_with(|| Value::Map(Rc::default()));
        }
        Ok(place)
    }
}

fn steps(path: &str) -> Result<Vec<String>, DataError> {
    let steps: Vec<String> = path.to_lowercase().split('.').map(str::to_owned).collect();
    if steps.iter().any(String::is_empty) {
        return Err(DataError::EmptyStep {
            path: path.to_owned(),
        });
    }
    Ok(steps)
}

fn find<'v>(value: &'v Value, steps: &[String]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match value {
        Value::Map(map) => map.get(step),
        _ => None,
    })
}

/// Copies a value with all keys in lower case. Of keys that become equal the last in byte order
/// wins.
fn with_lower_keys(value: &Value) -> Value {
    match value {
        Value::List(list) => Value::List(crate::template::List {
            items: list.items.iter().map(with_lower_keys).collect(),
            element: list.element,
        }),
        Value::Map(map) => Value::Map(Rc::new(
            map.iter()
                .map(|(key, value)| (key.to_lowercase(), with_lower_keys(value)))
                .collect(),
        )),
        other => other.clone(),
    }
}
