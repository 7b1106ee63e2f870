//! Edits: another document that differs from an existing one in what was edited, and in nothing else.
//!
//! Every member that is not touched keeps the bytes that it had, unknown ones, the spelling of numbers and the white
//! space included. So an image can be recompressed, or a child of an index be replaced, without losing what the tool
//! that made it wanted to say.
//!
//! # Examples
//!
//! ```
//! use imgcore::edit::ConfigEdit;
//! use imgcore::{Config, DiffId, Raw};
//!
//! let old = Raw::<Config>::parse(
//!     br#"{"os": "linux", "x": 1.50, "rootfs": {"type": "layers", "diff_ids": []}}"#,
//! )?;
//! let diff_id = DiffId::sha256_of(b"tar");
//! let mut edit = ConfigEdit::new(&old);
//! edit.set_diff_ids(&[diff_id]);
//! let new = edit.finish()?;
//! let expected = format!(r#"{{"os": "linux", "x": 1.50, "rootfs": {{"type": "layers", "diff_ids": ["{diff_id}"]}}}}"#);
//! assert_eq!(new.bytes(), expected.as_bytes());
//! # Ok::<(), imgcore::Error>(())
//! ```

mod config;
mod index;
mod manifest;

pub use config::ConfigEdit;
pub use index::IndexEdit;
pub use manifest::ManifestEdit;

use crate::json::{Object, Value};
use crate::{Descriptor, MediaType};

/// Points a descriptor, given as JSON, to other content: `mediaType`, `digest` and `size` are replaced, content inside it
/// goes, everything else stays.
///
/// # Examples
///
/// ```
/// use imgcore::json::Object;
/// use imgcore::{Descriptor, MediaType, edit};
///
/// let mut descriptor = Object::new();
/// descriptor.set("x", true);
/// edit::retarget_json(&mut descriptor, &Descriptor::of(MediaType::OCI_MANIFEST, b"{}"));
/// assert!(descriptor.to_compact().starts_with(br#"{"x":true,"mediaType":"application/vnd.oci.image."#));
/// ```
pub fn retarget_json(descriptor: &mut Object, target: &Descriptor) {
    descriptor.set("mediaType", target.media_type.as_str());
    descriptor.set("digest", target.digest.to_string());
    descriptor.set("size", target.size);
    descriptor.remove("data");
}

fn retarget(descriptor: &Descriptor, target: &Descriptor) -> Descriptor {
    Descriptor {
        media_type: target.media_type.clone(),
        digest: target.digest,
        size: target.size,
        data: None,
        ..descriptor.clone()
    }
}

/// Returns the list `new` of descriptors, where those that are in `old` too keep the text that they have in `object`.
fn replaced(object: &Object, name: &str, old: &[Descriptor], new: &[Descriptor]) -> Value {
    let texts = object
        .get(name)
        .and_then(Value::as_array)
        .unwrap_or_default();
    new.iter()
        .map(|descriptor| {
            let position = old.iter().position(|old| old == descriptor);
            position
                .and_then(|position| texts.get(position).cloned())
                .unwrap_or_else(|| descriptor.into())
        })
        .collect()
}

/// What we write says what it is, also where the source did not.
fn add_missing(object: &mut Object, media_type: &MediaType) {
    let is_silent = |value: Option<&Value>| {
        value.is_none_or(|value| {
            value.is_null() || value.as_str().is_some_and(|text| text.is_empty())
        })
    };
    if is_silent(object.get("schemaVersion")) {
        object.set("schemaVersion", 2_u64);
    }
    if is_silent(object.get("mediaType")) {
        object.set("mediaType", media_type.as_str());
    }
}

#[cfg(test)]
mod tests;
