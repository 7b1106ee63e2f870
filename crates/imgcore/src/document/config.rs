//! Image configs.

use std::collections::{BTreeMap, BTreeSet};

use super::raw::sealed;
use crate::json::{Fields, Object, Strictness, Value};
use crate::{DiffId, Error, HistoryEntry, MediaType, Platform};

/// What a config says ([OCI image-spec, config.md][spec]).
///
/// It is a view: members that it does not have are in [`Raw::object`](super::Raw::object).
///
/// [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    created: Option<String>,
    author: Option<String>,
    platform: Platform,
    diff_ids: Vec<DiffId>,
    history: Vec<HistoryEntry>,
    user: String,
    environment: Vec<String>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    working_dir: String,
    labels: BTreeMap<String, String>,
    stop_signal: String,
    exposed_ports: BTreeSet<String>,
    volumes: BTreeSet<String>,
}

impl Config {
    /// Returns when the image was made, as the config has it (RFC 3339).
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"created":"2031-05-06T07:08:09Z"}"#)?;
    /// assert_eq!(config.created(), Some("2031-05-06T07:08:09Z"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn created(&self) -> Option<&str> {
        self.created.as_deref()
    }

    /// Returns who made the image.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"author":"me"}"#)?;
    /// assert_eq!(config.author(), Some("me"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn author(&self) -> Option<&str> {
        self.author.as_deref()
    }

    /// Returns the machine that the image is for.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"os":"linux","architecture":"arm64","variant":"v8"}"#)?;
    /// assert_eq!(config.platform().to_string(), "linux/arm64/v8");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Returns the digests of the uncompressed layers, lowest first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#)?;
    /// assert!(config.diff_ids().is_empty());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn diff_ids(&self) -> &[DiffId] {
        &self.diff_ids
    }

    /// Returns how the image came to be, oldest first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"history":[{"created_by":"make","empty_layer":true}]}"#)?;
    /// assert!(config.history()[0].empty_layer);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn history(&self) -> &[HistoryEntry] {
        &self.history
    }

    /// Returns the user that the program runs as; empty for the default.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"config":{"User":"65532"}}"#)?;
    /// assert_eq!(config.user(), "65532");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the environment, as `NAME=value`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"config":{"Env":["PATH=/bin"]}}"#)?;
    /// assert_eq!(config.environment(), ["PATH=/bin"]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn environment(&self) -> &[String] {
        &self.environment
    }

    /// Returns the program and its first arguments.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"config":{"Entrypoint":["/app"]}}"#)?;
    /// assert_eq!(config.entrypoint(), ["/app"]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn entrypoint(&self) -> &[String] {
        &self.entrypoint
    }

    /// Returns the default arguments, or the program where there is no entrypoint.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"config":{"Cmd":["-v"]}}"#)?;
    /// assert_eq!(config.command(), ["-v"]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn command(&self) -> &[String] {
        &self.command
    }

    /// Returns the directory that the program starts in; empty for the default.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"config":{"WorkingDir":"/srv"}}"#)?;
    /// assert_eq!(config.working_dir(), "/srv");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn working_dir(&self) -> &str {
        &self.working_dir
    }

    /// Returns the labels.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"config":{"Labels":{"team":"blue"}}}"#)?;
    /// assert_eq!(config.labels()["team"], "blue");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// Returns the signal that asks the program to end; empty for the default.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"config":{"StopSignal":"SIGINT"}}"#)?;
    /// assert_eq!(config.stop_signal(), "SIGINT");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn stop_signal(&self) -> &str {
        &self.stop_signal
    }

    /// Returns the ports that the program listens on (`8080/tcp`).
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"config":{"ExposedPorts":{"80/tcp":{}}}}"#)?;
    /// assert!(config.exposed_ports().contains("80/tcp"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn exposed_ports(&self) -> &BTreeSet<String> {
        &self.exposed_ports
    }

    /// Returns the directories that hold data of the container rather than of the image.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"config":{"Volumes":{"/data":{}}}}"#)?;
    /// assert!(config.volumes().contains("/data"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn volumes(&self) -> &BTreeSet<String> {
        &self.volumes
    }

    fn read_execution(&mut self, value: &Value, place: String) -> Result<(), Error> {
        let mut fields = Fields::of(value, place)?;
        self.user = fields.optional_string("User")?.unwrap_or_default();
        self.environment = fields.strings("Env")?;
        self.entrypoint = fields.strings("Entrypoint")?;
        self.command = fields.strings("Cmd")?;
        self.working_dir = fields.optional_string("WorkingDir")?.unwrap_or_default();
        self.labels = fields.string_map("Labels")?;
        self.stop_signal = fields.optional_string("StopSignal")?.unwrap_or_default();
        self.exposed_ports = keys(&mut fields, "ExposedPorts")?;
        self.volumes = keys(&mut fields, "Volumes")?;
        fields.finish(Strictness::Lenient)
    }
}

/// Reads an object that is a set: its values are empty objects and say nothing.
fn keys(fields: &mut Fields, name: &str) -> Result<BTreeSet<String>, Error> {
    let Some(value) = fields.optional(name) else {
        return Ok(BTreeSet::new());
    };
    let object = value
        .as_object()
        .ok_or_else(|| fields.error(name, "is no object"))?;
    Ok(object.iter().map(|(key, _)| key.to_owned()).collect())
}

impl sealed::View for Config {
    const NAME: &'static str = "config";

    fn check(_object: &Object) -> Result<(), Error> {
        Ok(())
    }

    fn read(mut fields: Fields) -> Result<Self, Error> {
        let mut config = Self {
            created: fields.optional_string("created")?,
            author: fields.optional_string("author")?,
            platform: Platform {
                architecture: fields.optional_string("architecture")?.unwrap_or_default(),
                os: fields.optional_string("os")?.unwrap_or_default(),
                os_version: fields
                    .optional_string("os.version")?
                    .filter(|text| !text.is_empty()),
                os_features: fields.strings("os.features")?,
                variant: fields
                    .optional_string("variant")?
                    .filter(|text| !text.is_empty()),
            },
            history: fields.list("history", |value, place| {
                HistoryEntry::at(value, place, Strictness::Lenient)
            })?,
            ..Self::default()
        };
        if let Some(rootfs) = fields.optional("rootfs") {
            let mut rootfs = Fields::of(&rootfs, fields.place_of("rootfs"))?;
            config.diff_ids = rootfs.parsed_list("diff_ids")?;
            rootfs.finish(Strictness::Lenient)?;
        }
        if let Some(execution) = fields.optional("config") {
            config.read_execution(&execution, fields.place_of("config"))?;
        }
        fields.finish(Strictness::Lenient)?;
        Ok(config)
    }

    fn own_media_type(&self) -> MediaType {
        MediaType::OCI_CONFIG
    }

    fn set_media_type(&mut self, _media_type: &MediaType) {}
}
