//! The list of what refers to a manifest, where the registry does not keep it: a tag that every client adds to.
//!
//! [Distribution specification 1.1, "Pushing manifests with subject"][spec].
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject

use imgcore::json::{Object, Value};
use imgcore::{Descriptor, Digest, Document, MediaType};
use imgregistry::protocol::url::referrers_tag;
use imgregistry::{ErrorKind as RegistryKind, Remote, TagOrDigest};

use crate::{Error, Result};

/// How often the list is written. Somebody else may write it at the same time, and one of the two is lost then.
const ATTEMPTS: usize = 5;

/// Makes the registry list a manifest among those that refer to its subject.
pub(super) async fn list(remote: &Remote, subject: &Digest, referrer: &Descriptor) -> Result<()> {
    let known = remote.referrers(subject, None).await;
    let known = known.map_err(|error| failed(subject, error))?;
    let is_listed = |known: &[Descriptor]| known.iter().any(|it| it.digest == referrer.digest);
    if is_listed(&known.manifests) {
        return Ok(());
    }
    let Some(tag) = referrers_tag(subject) else {
        return Ok(());
    };
    let at = TagOrDigest::Tag(tag);
    for _ in 0..ATTEMPTS {
        let list = read(remote, &at)
            .await
            .map_err(|error| failed(subject, error))?;
        if is_listed(&list.entries) {
            return Ok(());
        }
        let (media_type, bytes) = (MediaType::OCI_INDEX, list.with(referrer));
        let put = remote.put_manifest(&at, &media_type, bytes.into()).await;
        put.map_err(|error| failed(subject, error))?;
    }
    let text = format!(
        "the list {at} of what refers to {subject} is written by somebody else all the time; push again"
    );
    Err(Error::new(
        crate::ErrorKind::Registry(RegistryKind::Unavailable),
        text,
    ))
}

/// The list as it is.
struct List {
    object: Object,
    entries: Vec<Descriptor>,
}

async fn read(remote: &Remote, at: &TagOrDigest) -> imgregistry::Result<List> {
    let fetched = match remote.manifest(at).await {
        Ok(fetched) => Some(fetched),
        Err(error) if error.kind() == RegistryKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(match fetched.map(|fetched| fetched.document) {
        Some(Document::Index(index)) => List {
            object: index.object().clone(),
            entries: index.manifests.clone(),
        },
        _ => List {
            object: empty(),
            entries: Vec::new(),
        },
    })
}

fn empty() -> Object {
    let mut object = Object::new();
    object.set("schemaVersion", 2_u64);
    object.set("mediaType", MediaType::OCI_INDEX.as_str());
    object
}

impl List {
    /// Returns the list with one more entry; the others stay as they are.
    fn with(&self, referrer: &Descriptor) -> Vec<u8> {
        let mut object = self.object.clone();
        let old = object.get("manifests").and_then(Value::as_array);
        let mut entries = old.unwrap_or_default();
        entries.push(referrer.to_json().into());
        object.set("manifests", entries);
        object.to_bytes()
    }
}

fn failed(subject: &Digest, error: imgregistry::Error) -> Error {
    Error::registry(
        format!("the list of what refers to {subject} is not written"),
        error,
    )
}
