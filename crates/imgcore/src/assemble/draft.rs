//! A config in the making: all members of the base, overlaid step by step, written in canonical order at the end.

use std::collections::BTreeMap;

use super::{Error, invalid};
use crate::json::{Object, Value};
use crate::{Config, Raw};

/// The order of the members that are known; unknown ones follow, sorted.
const MEMBERS: [&str; 10] = [
    "created",
    "author",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "config",
    "rootfs",
    "history",
];

/// The same for the execution parameters. What follows `StopSignal` is Docker's, and kept as it is.
const EXECUTION_MEMBERS: [&str; 14] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
    "Healthcheck",
    "OnBuild",
    "Shell",
    "StopTimeout",
];

/// How many of [`EXECUTION_MEMBERS`] are left out when they are empty.
const OMITTED_WHEN_EMPTY: usize = 9;

pub(super) struct Draft {
    /// Every member but those that are written from scratch.
    members: Object,
    execution: Object,
}

impl Draft {
    pub(super) fn of_base(base: Option<&Raw<Config>>) -> Self {
        let mut members = base.map(|base| base.object().clone()).unwrap_or_default();
        let execution = members.remove("config").and_then(|value| value.as_object());
        // It says when another image was made.
        members.remove("created");
        Self {
            members,
            execution: execution.unwrap_or_default(),
        }
    }

    /// Lays the members of a fragment over those of the base.
    ///
    /// Lists and objects replace; `Env` and `Labels` are merged by name; an entrypoint takes away the arguments of the
    /// entrypoint before it. What comes from the layers (`rootfs`, `history`) is not taken from a fragment.
    pub(super) fn overlay(&mut self, fragment: &Object, view: &Config) -> Result<(), Error> {
        for (name, value) in fragment.iter() {
            if !value.is_null() && !matches!(name, "config" | "rootfs" | "history") {
                self.members.set(name, value.clone());
            }
        }
        let Some(execution) = fragment.get("config").and_then(Value::as_object) else {
            return Ok(());
        };
        if !view.entrypoint().is_empty() {
            self.execution.remove("Cmd");
        }
        for (name, value) in execution.iter() {
            if !value.is_null() && !matches!(name, "Env" | "Labels") {
                self.execution.set(name, value.clone());
            }
        }
        let pairs = split_environment(view.environment(), "config fragment")?;
        self.merge_environment(&pairs)?;
        self.merge_labels(view.labels());
        Ok(())
    }

    /// Sets variables: known ones where they stand, new ones at the end in the given order.
    pub(super) fn merge_environment(&mut self, pairs: &[(&str, &str)]) -> Result<(), Error> {
        let mut environment = self.strings("Env");
        split_environment(&environment, "base config")?;
        // By name, as merging two long lists one by one would take forever.
        let mut positions: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (position, entry) in environment.iter().enumerate() {
            let name = entry.split('=').next().unwrap_or_default();
            positions.entry(name.to_owned()).or_default().push(position);
        }
        for (name, value) in pairs {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(invalid(format!(
                    "environment variable {name:?} has a name or a value that no program can be given"
                )));
            }
            let entry = format!("{name}={value}");
            if let Some(known) = positions.get(*name) {
                for position in known {
                    environment[*position].clone_from(&entry);
                }
            } else {
                positions.insert((*name).to_owned(), vec![environment.len()]);
                environment.push(entry);
            }
        }
        self.execution.set("Env", environment);
        Ok(())
    }

    pub(super) fn merge_labels(&mut self, labels: &BTreeMap<String, String>) {
        let known = self.execution.get("Labels").and_then(Value::as_object);
        let mut all: BTreeMap<String, Value> = known
            .iter()
            .flat_map(Object::iter)
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        all.extend(
            labels
                .iter()
                .map(|(name, value)| (name.clone(), value.into())),
        );
        self.execution.set("Labels", sorted(&all));
    }

    /// Returns a text among the execution parameters; empty where there is none.
    pub(super) fn string(&self, name: &str) -> String {
        let value = self.execution.get(name).and_then(Value::as_str);
        value.unwrap_or_default().into_owned()
    }

    /// Returns a list of texts among the execution parameters; empty where there is none.
    pub(super) fn strings(&self, name: &str) -> Vec<String> {
        let elements = self.execution.get(name).and_then(Value::elements);
        elements
            .into_iter()
            .flatten()
            .filter_map(|element| element.as_str().map(std::borrow::Cow::into_owned))
            .collect()
    }

    pub(super) fn set_execution(&mut self, name: &str, value: impl Into<Value>) {
        self.execution.set(name, value);
    }

    /// Replaces a member, or removes it.
    pub(super) fn set(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => self.members.set(name, value),
            None => drop(self.members.remove(name)),
        }
    }

    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// Writes the canonical document.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for name in &EXECUTION_MEMBERS[..OMITTED_WHEN_EMPTY] {
            if self.execution.get(name).is_some_and(is_empty) {
                self.execution.remove(name);
            }
        }
        for name in ["ExposedPorts", "Volumes"] {
            if let Some(set) = self.execution.get(name).and_then(Value::as_object) {
                let keys = set
                    .iter()
                    .map(|(key, _)| (key.to_owned(), Object::new().into()));
                self.execution.set(name, sorted(&keys.collect()));
            }
        }
        let execution = in_order(&self.execution, &EXECUTION_MEMBERS);
        self.members.set("config", execution);
        in_order(&self.members, &MEMBERS).to_compact()
    }
}

/// Splits variables into names and values; `owner` is what an error calls the document that they stand in.
fn split_environment<'a>(
    environment: &'a [String],
    owner: &str,
) -> Result<Vec<(&'a str, &'a str)>, Error> {
    environment
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            entry.split_once('=').ok_or_else(|| {
                invalid(format!(
                    "{owner}: config: Env[{index}] is {entry:?}, which has no \"=\""
                ))
            })
        })
        .collect()
}

fn is_empty(value: &Value) -> bool {
    matches!(&*value.to_compact(), b"null" | b"\"\"" | b"[]" | b"{}")
}

fn sorted(members: &BTreeMap<String, Value>) -> Object {
    members
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect()
}

/// Returns the members with the known ones first, in their order, and the others sorted by name.
fn in_order(members: &Object, order: &[&str]) -> Object {
    let known = order
        .iter()
        .filter_map(|name| Some((*name, members.get(name)?.clone())));
    let mut others: Vec<_> = members
        .iter()
        .filter(|(name, _)| !order.contains(name))
        .collect();
    others.sort_unstable_by_key(|(name, _)| *name);
    known
        .chain(
            others
                .into_iter()
                .map(|(name, value)| (name, value.clone())),
        )
        .collect()
}
