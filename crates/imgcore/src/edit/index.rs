//! Edits of indexes.

use super::{add_missing, replaced, retarget, retarget_json};
use crate::json::{Object, Value};
use crate::{Descriptor, Error, ErrorKind, Index, MediaType, Raw};

/// An edit of an index.
#[derive(Clone, Debug)]
pub struct IndexEdit {
    object: Object,
    media_type: MediaType,
    manifests: Vec<Descriptor>,
}

impl IndexEdit {
    /// Starts from an index.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::assemble::{IndexOptions, assemble_index};
    /// # use imgcore::edit::IndexEdit;
    /// # use imgcore::{Descriptor, Index, MediaType, Raw};
    /// # let index = Raw::<Index>::parse(&assemble_index(&[], &IndexOptions::default()))?;
    /// assert_eq!(IndexEdit::new(&index).finish()?, index);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn new(index: &Raw<Index>) -> Self {
        Self {
            object: index.object().clone(),
            media_type: index.media_type().clone(),
            manifests: index.manifests.clone(),
        }
    }

    /// Replaces the entries.
    ///
    /// An entry that was there before, with the same descriptor, keeps its bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::assemble::{IndexOptions, assemble_index};
    /// # use imgcore::edit::IndexEdit;
    /// # use imgcore::{Descriptor, Index, MediaType, Raw};
    /// # let index = Raw::<Index>::parse(&assemble_index(&[], &IndexOptions::default()))?;
    /// let entry = Descriptor::of(MediaType::OCI_MANIFEST, b"manifest");
    /// let mut edit = IndexEdit::new(&index);
    /// edit.set_manifests(&[entry.clone()]);
    /// assert_eq!(edit.finish()?.manifests, [entry]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set_manifests(&mut self, manifests: &[Descriptor]) {
        let entries = replaced(&self.object, "manifests", &self.manifests, manifests);
        self.object.set("manifests", entries);
        self.manifests = manifests.to_vec();
    }

    /// Points the entry at `position` (from 0) to another document; its platform, its annotations and members that this
    /// crate does not know stay.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::assemble::{IndexOptions, assemble_index};
    /// # use imgcore::edit::IndexEdit;
    /// # use imgcore::{Descriptor, Index, MediaType, Raw};
    /// # let index = Raw::<Index>::parse(&assemble_index(&[], &IndexOptions::default()))?;
    /// let target = Descriptor::of(MediaType::OCI_MANIFEST, b"manifest");
    /// let error = IndexEdit::new(&index).retarget(0, &target).unwrap_err();
    /// assert_eq!(error.to_string(), "index has 0 entries and no entry 0");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when there is no such entry.
    pub fn retarget(&mut self, position: usize, target: &Descriptor) -> Result<(), Error> {
        let mut entries = self
            .object
            .get("manifests")
            .and_then(Value::as_array)
            .unwrap_or_default();
        let count = entries.len();
        let (Some(entry), Some(descriptor)) =
            (entries.get_mut(position), self.manifests.get_mut(position))
        else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("index has {count} entries and no entry {position}"),
            ));
        };
        if let Some(mut object) = entry.as_object() {
            retarget_json(&mut object, target);
            *entry = object.into();
        }
        *descriptor = retarget(descriptor, target);
        self.object.set("manifests", entries);
        Ok(())
    }

    /// Ends the edit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] or [`ErrorKind::TooLarge`]
    /// when the result is no index that would be read again.
    pub fn finish(mut self) -> Result<Raw<Index>, Error> {
        add_missing(&mut self.object, &self.media_type);
        Raw::parse(&self.object.to_bytes())
    }
}
