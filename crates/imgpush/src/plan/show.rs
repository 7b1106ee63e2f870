//! A plan as a text for people and as JSON for programs.

use std::fmt;

use imgcore::json::{Object, Value};
use imgregistry::TagOrDigest;

use super::{Action, BlobStep, ManifestStep, Plan, Step};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            let is_new = place
                .checked_sub(1)
                .is_none_or(|before| self.steps[before].to != step.to);
            if is_new {
                writeln!(f, "{}", step.to)?;
            }
            writeln!(f, "  {step}")?;
        }
        for (_, error) in self.refusals() {
            writeln!(f, "refused: {error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Artificial(step) => {
                write!(f, "manifest for {}: written", step.blob.digest)?;
            }
            Action::Blob(step) => {
                let (kind, digest, size) = (kind(step), step.blob.digest, step.blob.size);
                write!(f, "{kind} {digest} of {size} bytes: {}", way(step))?;
            }
            Action::Manifest(step) => {
                let digest = step.manifest.digest;
                match &step.at {
                    TagOrDigest::Digest(_) => write!(f, "{} {digest}", document(step))?,
                    TagOrDigest::Tag(tag) => write!(f, "tag {tag} = {digest}")?,
                }
                match (step.is_there, step.replaces) {
                    (true, _) => f.write_str(": there")?,
                    (false, Some(old)) => write!(f, ": written, was {old}")?,
                    (false, None) => f.write_str(": written")?,
                }
            }
        }
        if self.is_on_demand {
            f.write_str(", if it is needed for a mount")?;
        }
        Ok(())
    }
}

fn kind(step: &BlobStep) -> &'static str {
    if step.is_layer { "layer" } else { "config" }
}

fn document(step: &ManifestStep) -> &'static str {
    if step.manifest.media_type.is_index() {
        "index"
    } else {
        "manifest"
    }
}

fn way(step: &BlobStep) -> String {
    if step.is_there == Some(true) {
        return "there".to_owned();
    }
    let source = step.source.as_ref();
    let source = source.map_or(String::new(), |name| format!(" from {name}"));
    let mut text = match &step.mount {
        None => format!("sent{source}"),
        Some(mount) if mount.is_required => format!("mounted from {}", mount.repository),
        Some(mount) => format!("mounted from {} or sent{source}", mount.repository),
    };
    if step.is_there.is_none() {
        text.push_str(", unless it is there");
    }
    text
}

impl Plan {
    /// Writes the plan as JSON: `steps` and `refused`.
    ///
    /// A step has the members `to`, `kind` (`layer`, `config`, `manifest`, `index` or `artificial`), `digest` and `size`;
    /// `tag` for a manifest that is written under one; `action` (`skip`, `send`, `mount` or `write`), `from` for a
    /// mount, `source` for what is sent where that is known, and `if_missing` where the registry was not asked yet.
    pub fn to_json(&self) -> Vec<u8> {
        let mut object = Object::new();
        object.set("steps", self.steps.iter().map(step).collect::<Value>());
        let refused = self.refusals();
        let refused = refused.map(|(_, error)| Value::from(error.to_string()));
        object.set("refused", refused.collect::<Value>());
        object.to_compact()
    }
}

fn step(step: &Step) -> Value {
    let mut object = Object::new();
    object.set("to", step.to.to_string());
    match &step.action {
        Action::Artificial(step) => {
            object.set("kind", "artificial");
            object.set("digest", step.blob.digest.to_string());
            object.set("action", "write");
        }
        Action::Blob(step) => blob(&mut object, step),
        Action::Manifest(step) => {
            object.set("kind", document(step));
            object.set("digest", step.manifest.digest.to_string());
            object.set("size", step.manifest.size);
            if let TagOrDigest::Tag(tag) = &step.at {
                object.set("tag", tag.as_str());
            }
            if let Some(old) = step.replaces {
                object.set("replaces", old.to_string());
            }
            object.set("action", if step.is_there { "skip" } else { "write" });
        }
    }
    if step.is_on_demand {
        object.set("on_demand", true);
    }
    object.into()
}

fn blob(object: &mut Object, step: &BlobStep) {
    object.set("kind", kind(step));
    object.set("digest", step.blob.digest.to_string());
    object.set("size", step.blob.size);
    let action = match (&step.mount, step.is_there) {
        (_, Some(true)) => "skip",
        (Some(_), _) => "mount",
        (None, _) => "send",
    };
    object.set("action", action);
    if step.is_there == Some(true) {
        return;
    }
    if let Some(mount) = &step.mount {
        object.set("from", mount.repository.as_str());
        object.set("required", mount.is_required);
    }
    if let Some(source) = &step.source {
        object.set("source", source);
    }
    if step.is_there.is_none() {
        object.set("if_missing", true);
    }
}
