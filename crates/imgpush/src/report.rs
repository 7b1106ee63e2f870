//! What came of a push.

use std::collections::BTreeMap;
use std::fmt;

use imgcore::json::{Object, Value};
use imgcore::{Digest, Tag};
use imgregistry::TagOrDigest;

use crate::{Action, Batch, Error, Location, Plan};

/// What came of a push: an outcome for each image, and what it took. As a text it is a list for people, and
/// [`to_json`](Self::to_json) gives one for programs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// What came of each image, in the order of the batch.
    pub images: Vec<ImageReport>,
    /// Blobs that were there, counted for each repository.
    pub skipped: Amount,
    /// Blobs that were taken over from other repositories.
    pub mounted: Amount,
    /// Blobs that were sent.
    pub sent: Amount,
    /// Manifests, indexes and tags that were written.
    pub written: u64,
    /// Manifests, indexes and tags that stood there.
    pub unchanged: u64,
    /// The bytes that each source gave, those that had to be sent again included.
    pub bytes_by_source: BTreeMap<String, u64>,
    /// The requests that went out, by their method.
    pub requests: BTreeMap<String, u64>,
}

/// Some blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// Their size in bytes, all together.
    pub bytes: u64,
}

/// What came of one image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageReport {
    /// Where it was to go.
    pub destination: Location,
    /// The digest of its root.
    pub root: Digest,
    /// The tags that it was to get.
    pub tags: Vec<Tag>,
    /// Why it is not there as it should be; nothing if it is.
    pub errors: Vec<Error>,
}

impl ImageReport {
    /// Returns whether everything is there.
    pub fn is_pushed(&self) -> bool {
        self.errors.is_empty()
    }
}

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Effect {
    Failed(Error),
    Mounted,
    Sent,
    Skipped,
    Written,
}

impl Effect {
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// Returns why a step failed: its own error, or that of what it needs. A step without an effect was never taken.
pub(crate) fn cause(plan: &Plan, effects: &[Option<Effect>], step: usize) -> Option<Error> {
    match &effects[step] {
        Some(Effect::Failed(error)) => Some(error.clone()),
        Some(_) => None,
        None => {
            let mut needs = plan.steps()[step].needs.iter();
            needs.find_map(|&need| cause(plan, effects, need))
        }
    }
}

impl Report {
    pub(crate) fn new(batch: &Batch, plan: &Plan, effects: &[Option<Effect>]) -> Self {
        let mut report = Self::default();
        for (step, effect) in plan.steps().iter().zip(effects) {
            report.add(&step.action, effect.as_ref());
        }
        for (member, planned) in batch.members().iter().zip(&plan.images) {
            let mut errors = planned.refusals.clone();
            for &step in &planned.steps {
                if let Some(error) = cause(plan, effects, step)
                    && !errors.iter().any(|known| known.is_same(&error))
                {
                    errors.push(error);
                }
            }
            report.images.push(ImageReport {
                destination: member.image.destination.clone(),
                root: member.image.root.digest,
                tags: member.image.tags.clone(),
                errors,
            });
        }
        report
    }

    fn add(&mut self, action: &Action, effect: Option<&Effect>) {
        let amount = match (action, effect) {
            (Action::Blob(_), Some(Effect::Mounted)) => &mut self.mounted,
            (Action::Blob(_), Some(Effect::Sent)) => &mut self.sent,
            (Action::Blob(_), Some(Effect::Skipped)) => &mut self.skipped,
            (_, Some(Effect::Written)) => {
                self.written += 1;
                return;
            }
            (_, Some(Effect::Skipped)) => {
                self.unchanged += 1;
                return;
            }
            _ => return,
        };
        if let Action::Blob(step) = action {
            amount.blobs += 1;
            amount.bytes += step.blob.size;
        }
    }

    /// Returns whether every image is where it should be.
    pub fn is_success(&self) -> bool {
        self.images.iter().all(ImageReport::is_pushed)
    }

    /// Returns how many requests went out.
    pub fn total_requests(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Writes the report as JSON: `images` with `destination`, `digest`, `tags`, `pushed` and `errors`; `skipped`, `mounted`
    /// and `sent` with `blobs` and `bytes`; `manifests` with `written` and `unchanged`; `bytes_by_source`; `requests` by
    /// method.
    pub fn to_json(&self) -> Vec<u8> {
        let mut object = Object::new();
        object.set("images", self.images.iter().map(image).collect::<Value>());
        object.set("skipped", self.skipped.to_json());
        object.set("mounted", self.mounted.to_json());
        object.set("sent", self.sent.to_json());
        let mut manifests = Object::new();
        manifests.set("written", self.written);
        manifests.set("unchanged", self.unchanged);
        object.set("manifests", manifests);
        object.set("bytes_by_source", counts(&self.bytes_by_source));
        object.set("requests", counts(&self.requests));
        object.to_compact()
    }
}

impl Amount {
    fn to_json(self) -> Object {
        let mut object = Object::new();
        object.set("blobs", self.blobs);
        object.set("bytes", self.bytes);
        object
    }
}

fn image(image: &ImageReport) -> Value {
    let mut object = Object::new();
    object.set("destination", image.destination.to_string());
    object.set("digest", image.root.to_string());
    let tags = image.tags.iter();
    object.set(
        "tags",
        tags.map(|tag| Value::from(tag.as_str())).collect::<Value>(),
    );
    object.set("pushed", image.is_pushed());
    let errors = image.errors.iter();
    object.set(
        "errors",
        errors
            .map(|error| Value::from(imgstore::with_causes(error)))
            .collect::<Value>(),
    );
    object.into()
}

fn counts(counts: &BTreeMap<String, u64>) -> Object {
    let mut object = Object::new();
    for (name, count) in counts {
        object.set(name, *count);
    }
    object
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for image in &self.images {
            writeln!(f, "{image}")?;
        }
        let Amount { blobs, bytes } = self.sent;
        write!(f, "blobs: {blobs} sent ({bytes} bytes)")?;
        let Amount { blobs, bytes } = self.mounted;
        write!(f, ", {blobs} mounted ({bytes} bytes)")?;
        let Amount { blobs, bytes } = self.skipped;
        writeln!(f, ", {blobs} skipped ({bytes} bytes)")?;
        let (written, unchanged) = (self.written, self.unchanged);
        writeln!(
            f,
            "manifests and tags: {written} written, {unchanged} unchanged"
        )?;
        for (name, bytes) in &self.bytes_by_source {
            writeln!(f, "from {name}: {bytes} bytes")?;
        }
        write!(f, "requests: {}", self.total_requests())?;
        let by_method = self.requests.iter();
        let by_method: Vec<String> = by_method.map(|(name, it)| format!("{it} {name}")).collect();
        if !by_method.is_empty() {
            write!(f, " ({})", by_method.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for ImageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.tags.iter().map(|tag| TagOrDigest::Tag(tag.clone()));
        let names: Vec<String> = names.map(|name| name.to_string()).collect();
        write!(f, "{}", self.destination)?;
        if !names.is_empty() {
            write!(f, ":{}", names.join(","))?;
        }
        write!(f, "@{}", self.root)?;
        if self.is_pushed() {
            return f.write_str(": pushed");
        }
        f.write_str(": failed")?;
        for error in &self.errors {
            write!(
                f,
                "\n  {}",
                imgstore::with_causes(error).replace('\n', "\n  ")
            )?;
        }
        Ok(())
    }
}
