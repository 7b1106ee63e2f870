//! The index of a layout: which images it has, under which names.

use std::collections::BTreeMap;
use std::fmt;

use imgcore::json::{self, Object, Value};
use imgcore::{Descriptor, Digest, MediaType};

use crate::{Error, ErrorKind, Result};

/// The annotation that names an image in a layout's index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation in which containerd keeps the full reference.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// More entries than any index has that was not made to hurt.
const MAX_ENTRIES: usize = 10_000;

/// Which image of a layout or archive is meant.
///
/// ```
/// use imgstore::Selector;
///
/// assert_eq!(Selector::parse(""), Selector::Only);
/// assert_eq!(Selector::parse("v1"), Selector::Tag("v1".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// The image with this digest.
    Digest(Digest),
    /// The only image there is.
    Only,
    /// The image with this name: its `org.opencontainers.image.ref.name`, or its full reference.
    Tag(String),
}

impl Selector {
    /// Takes a digest as such, an empty text as [`Selector::Only`], and any other text as a name.
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Self::Only;
        }
        text.parse()
            .map_or_else(|_| Self::Tag(text.to_owned()), Self::Digest)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "image {digest}"),
            Self::Only => f.write_str("the only image"),
            Self::Tag(name) => write!(f, "image {name:?}"),
        }
    }
}

/// The parsed `index.json` of a layout. Members that this crate does not know are kept.
#[derive(Clone, Debug)]
pub struct LayoutIndex {
    document: Object,
    entries: Vec<Value>,
    descriptors: Vec<Descriptor>,
}

impl Default for LayoutIndex {
    fn default() -> Self {
        let mut document = Object::new();
        document.set("schemaVersion", 2_u64);
        document.set("mediaType", MediaType::OCI_INDEX.as_str());
        document.set("manifests", std::iter::empty::<Value>().collect::<Value>());
        Self {
            document,
            entries: Vec::new(),
            descriptors: Vec::new(),
        }
    }
}

impl LayoutIndex {
    /// Parses an index.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] when it is none, [`ErrorKind::TooLarge`] when it has too many entries.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let document = Value::parse(bytes, &json::Limits::default())
            .map_err(|error| Error::from(error).at("index.json"))?
            .as_object()
            .ok_or_else(|| Error::malformed("index.json is no JSON object"))?;
        let entries = match document.get("manifests") {
            None => Vec::new(),
            Some(value) if value.is_null() => Vec::new(),
            Some(value) => value
                .as_array()
                .ok_or_else(|| Error::malformed("manifests of index.json is no list"))?,
        };
        if entries.len() > MAX_ENTRIES {
            let text = format!(
                "index.json has {} entries, {MAX_ENTRIES} are allowed",
                entries.len()
            );
            return Err(Error::too_large(text));
        }
        let descriptors = entries.iter().enumerate().map(|(place, entry)| {
            let entry = entry.as_object().ok_or_else(|| {
                Error::malformed(format!("entry {place} of index.json is no object"))
            })?;
            Descriptor::from_json(&entry)
                .map_err(|error| Error::from(error).at(format_args!("entry {place} of index.json")))
        });
        Ok(Self {
            descriptors: descriptors.collect::<Result<_>>()?,
            document,
            entries,
        })
    }

    /// Returns the entries.
    pub fn descriptors(&self) -> &[Descriptor] {
        &self.descriptors
    }

    /// Returns the names in it with what they name, in order.
    pub fn names(&self) -> impl Iterator<Item = (&str, &Descriptor)> {
        self.descriptors.iter().filter_map(|descriptor| {
            let name = descriptor.annotations.get(REF_NAME)?;
            Some((name.as_str(), descriptor))
        })
    }

    /// Returns the entries that are meant: one image, or several of which the platform decides.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], with a text that lists what there is.
    pub fn select(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let chosen: Vec<_> = match selector {
            Selector::Only => self.distinct(),
            Selector::Digest(digest) => {
                let same = |it: &&Descriptor| it.digest == *digest;
                self.descriptors
                    .iter()
                    .find(same)
                    .cloned()
                    .into_iter()
                    .collect()
            }
            Selector::Tag(name) => {
                let named = |key| move |it: &&Descriptor| it.annotations.get(key) == Some(name);
                let by = |key| {
                    self.descriptors
                        .iter()
                        .filter(named(key))
                        .cloned()
                        .collect()
                };
                let chosen: Vec<_> = by(REF_NAME);
                if chosen.is_empty() {
                    by(CONTAINERD_NAME)
                } else {
                    chosen
                }
            }
        };
        if chosen.is_empty() {
            let text = format!(
                "{selector} is not in the index, which has {}",
                self.summary()
            );
            return Err(Error::new(ErrorKind::NotFound, text));
        }
        Ok(chosen)
    }

    /// Adds an entry. With a name, it takes the place of the entry that has that name; without, that of an entry of
    /// the same digest that has no name.
    pub fn add(&mut self, descriptor: &Descriptor, name: Option<&str>) {
        let mut descriptor = descriptor.clone();
        if let Some(name) = name {
            descriptor
                .annotations
                .insert(REF_NAME.to_owned(), name.to_owned());
        }
        let name = descriptor.annotations.get(REF_NAME).cloned();
        let replaced = |other: &Descriptor| match &name {
            None => other.digest == descriptor.digest && !other.annotations.contains_key(REF_NAME),
            Some(name) => other.annotations.get(REF_NAME) == Some(name),
        };
        let first = self.descriptors.iter().position(&replaced);
        self.retain(|other| !replaced(other));
        let place = first.unwrap_or(self.descriptors.len());
        self.entries
            .insert(place, descriptor_json(&descriptor).into());
        self.descriptors.insert(place, descriptor);
    }

    /// Removes the entries of a name. Returns whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.descriptors.len();
        self.retain(|it| {
            it.annotations
                .get(REF_NAME)
                .is_none_or(|other| other != name)
        });
        self.descriptors.len() < before
    }

    /// Removes the entries that have no name.
    pub fn remove_unnamed(&mut self) {
        self.retain(|it| it.annotations.contains_key(REF_NAME));
    }

    /// Writes the index, with two spaces a level.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut document = self.document.clone();
        document.set("manifests", self.entries.iter().cloned().collect::<Value>());
        document.to_indented()
    }

    fn retain(&mut self, keep: impl Fn(&Descriptor) -> bool) {
        let kept: Vec<bool> = self.descriptors.iter().map(keep).collect();
        let mut flags = kept.iter();
        self.entries
            .retain(|_| flags.next().is_some_and(|&kept| kept));
        let mut flags = kept.iter();
        self.descriptors
            .retain(|_| flags.next().is_some_and(|&kept| kept));
    }

    /// Returns one entry a digest: an image with several names is one image.
    fn distinct(&self) -> Vec<Descriptor> {
        let mut seen = std::collections::HashSet::new();
        let new = |it: &&Descriptor| seen.insert(it.digest);
        self.descriptors.iter().filter(new).cloned().collect()
    }

    /// Lists what there is, for error messages.
    pub(crate) fn summary(&self) -> String {
        const SHOWN: usize = 10;
        let mut items: Vec<String> = self.descriptors.iter().take(SHOWN).map(describe).collect();
        match self.descriptors.len() {
            0 => return "no images".to_owned(),
            count if count > SHOWN => items.push(format!("{} more", count - SHOWN)),
            _ => {}
        }
        items.join(", ")
    }
}

fn describe(descriptor: &Descriptor) -> String {
    match descriptor.annotations.get(REF_NAME) {
        None => descriptor.digest.to_string(),
        Some(name) => format!("{name:?} ({})", descriptor.digest),
    }
}

/// Writes a descriptor as the indexes of layouts have it.
///
/// The order is the one of the tool whose layouts ours replace byte for byte: size before digest, which differs from
/// descriptors in manifests.
pub(crate) fn descriptor_json(descriptor: &Descriptor) -> Object {
    let full = descriptor.to_json();
    let order = [
        "mediaType",
        "size",
        "digest",
        "data",
        "urls",
        "annotations",
        "platform",
        "artifactType",
    ];
    let mut object = Object::new();
    for key in order {
        if let Some(value) = full.get(key) {
            object.set(key, value.clone());
        }
    }
    object
}

/// Writes the index of a layout with these entries.
pub(crate) fn index_of(descriptors: &[Descriptor]) -> Vec<u8> {
    let mut index = LayoutIndex::default();
    let entries = descriptors
        .iter()
        .map(|it| Value::from(descriptor_json(it)));
    index.entries = entries.collect();
    index.to_bytes()
}

/// Annotations that give an image its full reference in the ways that the engines know.
pub(crate) fn name_annotations(reference: &str, ref_name: &str) -> BTreeMap<String, String> {
    [
        ("com.apple.containerization.image.name", reference),
        (CONTAINERD_NAME, reference),
        (REF_NAME, ref_name),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
