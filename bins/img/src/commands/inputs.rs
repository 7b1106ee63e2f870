//! Small files that several commands read.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use imgcore::document::{Raw, View};
use imgcore::json::{Fields, Limits, Strictness, Value};
use imgcore::{Descriptor, Error};

use crate::cli::value::KeyAndValue;
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// What expanded templates say about an image; each replaces all flags of its kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ConfigTemplates {
    pub(super) annotations: Option<BTreeMap<String, String>>,
    pub(super) created: Option<String>,
    pub(super) environment: Option<BTreeMap<String, String>>,
    pub(super) labels: Option<BTreeMap<String, String>>,
}

impl ConfigTemplates {
    /// Reads the output of `expand-template`; without a file nothing is said.
    pub(super) fn read(context: &Context, path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let bytes = fs::read(context.path(path))?;
        Self::parse(&bytes).explain(|| format!("config templates {}", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let limits = Limits::default().with_case_variants(true);
        let mut fields = Fields::of(&Value::parse(bytes, &limits)?, "document")?;
        let created = fields.optional_string("created")?;
        let templates = Self {
            annotations: optional_map(&mut fields, "annotations")?,
            created: created.filter(|text| !text.is_empty()),
            environment: optional_map(&mut fields, "env")?,
            labels: optional_map(&mut fields, "labels")?,
        };
        fields.finish(Strictness::Lenient)?;
        Ok(templates)
    }
}

fn optional_map(
    fields: &mut Fields,
    name: &str,
) -> Result<Option<BTreeMap<String, String>>, Error> {
    match fields.optional(name) {
        None => Ok(None),
        Some(_) => fields.string_map(name).map(Some),
    }
}

/// Reads a manifest, an index or a config.
pub(super) fn document<T: View>(context: &Context, path: &Path) -> Result<Raw<T>, Failure> {
    let bytes = fs::read(context.path(path))?;
    Raw::parse(&bytes).explain(|| path.display().to_string())
}

/// Reads a descriptor file.
pub(super) fn descriptor(context: &Context, path: &Path) -> Result<Descriptor, Failure> {
    let bytes = fs::read(context.path(path))?;
    Value::parse(&bytes, &Limits::default())
        .and_then(|value| {
            let object = value.as_object().unwrap_or_default();
            Descriptor::from_json(&object)
        })
        .explain(|| path.display().to_string())
}

/// Collects flags of the form `KEY=VALUE`; of equal keys the last one counts.
pub(super) fn pairs(flags: Vec<KeyAndValue>) -> BTreeMap<String, String> {
    flags
        .into_iter()
        .map(|KeyAndValue { key, value }| (key, value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_replaces_flags_even_when_it_is_empty() {
        let check = |text: &str, expected: ConfigTemplates| {
            assert_eq!(ConfigTemplates::parse(text.as_bytes()).unwrap(), expected);
        };
        check("{}", ConfigTemplates::default());
        check(
            r#"{"env":null,"labels":{},"created":"","x":1}"#,
            ConfigTemplates {
                labels: Some(BTreeMap::new()),
                ..ConfigTemplates::default()
            },
        );
        let error = ConfigTemplates::parse(br#"{"env":{"A":1}}"#).unwrap_err();
        assert_eq!(error.to_string(), "document: env.A is no string");
    }
}
