//! Edits of configs.

use crate::json::{Object, Value};
use crate::{Config, DiffId, Error, HistoryEntry, Raw};

/// An edit of a config.
#[derive(Clone, Debug)]
pub struct ConfigEdit {
    object: Object,
}

impl ConfigEdit {
    /// Starts from a config.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{ }"#)?;
    /// assert_eq!(imgcore::edit::ConfigEdit::new(&config).finish()?, config);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn new(config: &Raw<Config>) -> Self {
        Self {
            object: config.object().clone(),
        }
    }

    /// Replaces the digests of the uncompressed layers.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"rootfs":{"x":1}}"#)?;
    /// let mut edit = imgcore::edit::ConfigEdit::new(&config);
    /// edit.set_diff_ids(&[]);
    /// assert_eq!(edit.finish()?.bytes(), br#"{"rootfs":{"x":1,"type":"layers","diff_ids":[]}}"#);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set_diff_ids(&mut self, diff_ids: &[DiffId]) {
        let mut rootfs = self
            .object
            .get("rootfs")
            .and_then(Value::as_object)
            .unwrap_or_default();
        rootfs.set("type", "layers");
        rootfs.set(
            "diff_ids",
            diff_ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
        );
        self.object.set("rootfs", rootfs);
    }

    /// Replaces the history; an empty one is left out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"history":[{}]}"#)?;
    /// let mut edit = imgcore::edit::ConfigEdit::new(&config);
    /// edit.set_history(&[]);
    /// assert_eq!(edit.finish()?.bytes(), b"{}");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set_history(&mut self, history: &[HistoryEntry]) {
        if history.is_empty() {
            self.object.remove("history");
        } else {
            self.object
                .set("history", history.iter().collect::<Value>());
        }
    }

    /// Sets a member to any value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"author":"them"}"#)?;
    /// let mut edit = imgcore::edit::ConfigEdit::new(&config);
    /// edit.set("author", "us");
    /// assert_eq!(edit.finish()?.author(), Some("us"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.object.set(name, value);
    }

    /// Ends the edit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) or [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge)
    /// when the result is no config that would be read again.
    pub fn finish(self) -> Result<Raw<Config>, Error> {
        Raw::parse(&self.object.to_bytes())
    }
}
