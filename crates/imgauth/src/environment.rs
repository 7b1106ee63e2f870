//! The variables that a program was started with, as values.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// Variables by name. A library reads no environment: a program gives it.
///
/// `Debug` shows names and no values, since some are secrets.
///
/// # Examples
///
/// ```
/// use imgauth::Environment;
///
/// let environment = Environment::from_iter([("DOCKER_CONFIG", "/etc/docker"), ("EMPTY", "")]);
/// assert_eq!(environment.text("DOCKER_CONFIG"), Some("/etc/docker"));
/// assert_eq!(environment.text("EMPTY"), None);
/// ```
///
/// A program hands over its own with `Environment::from_iter(std::env::vars_os())`.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    user_id: Option<u32>,
}

impl Environment {
    /// Says who runs the program. Outside of a session, where `XDG_RUNTIME_DIR` is not set, Podman and Skopeo keep logins on
    /// Linux in a directory of that name.
    #[must_use]
    pub fn with_user_id(mut self, user_id: u32) -> Self {
        self.user_id = Some(user_id);
        self
    }

    /// Returns a variable that is set and not empty: an empty one counts as absent.
    pub fn value(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(&key(OsStr::new(name)))?;
        (!value.is_empty()).then_some(value)
    }

    /// Returns a variable that is set, not empty, and text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.to_str()
    }

    /// Returns a variable that names a place.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    /// Returns the home directory: `HOME`, on Windows `USERPROFILE`.
    pub fn home(&self) -> Option<PathBuf> {
        self.path(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
    }

    /// Returns the directory in which containers' tools keep what ends with the session or the machine.
    pub(crate) fn runtime_directory(&self) -> Option<PathBuf> {
        match (self.path("XDG_RUNTIME_DIR"), self.user_id) {
            (Some(of_session), _) => Some(of_session.join("containers")),
            (None, Some(user)) => Some(format!("/run/containers/{user}").into()),
            (None, None) => None,
        }
    }

    /// Returns all variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

/// Windows takes names of variables for the same whatever their case.
fn key(name: &OsStr) -> OsString {
    if cfg!(windows) {
        name.to_ascii_uppercase()
    } else {
        name.to_os_string()
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (key(&name.into()), value.into()))
            .collect();
        Self {
            variables,
            user_id: None,
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
