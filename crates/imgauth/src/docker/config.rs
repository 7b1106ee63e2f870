//! Docker's `config.json`, and Podman's `auth.json`, which is the same.

use std::collections::BTreeMap;
use std::fmt;

use imgcore::{RegistryHost, Repository};
use serde_json::{Map, Value};

use super::entry;
use super::helper::HelperName;
use super::key::Key;
use crate::host::canonical;
use crate::text::shown;
use crate::{Answer, Error, ErrorKind, Lookup, RegistryCredential, Resolution, Result};

/// The largest config that is read, in bytes.
pub(crate) const MAX_SIZE: usize = 4 << 20;

/// The credentials of a `config.json`: who keeps them, and those that stand in it.
///
/// A member that is broken costs that member and nothing else.
///
/// # Examples
///
/// ```
/// use imgauth::docker::DockerConfig;
///
/// let config = DockerConfig::parse(br#"{
///     "auths": {
///         "registry.example": {"auth": "cm9ib3Q6aHVudGVyMg=="},
///         "registry.example/team": {"identitytoken": "hunter3"}
///     },
///     "credHelpers": {"ghcr.io": "pass"}
/// }"#)?;
///
/// let host = "registry.example".parse()?;
/// let found = config.resolve(&host, Some(&"other/app".parse()?));
/// assert_eq!(found.credential.unwrap().form(), "user name and password");
/// let found = config.resolve(&host, Some(&"team/app".parse()?));
/// assert_eq!(found.credential.unwrap().form(), "identity token");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DockerConfig {
    auths: Vec<Entry>,
    /// By canonical host; `None` for a host that is to have no helper.
    helpers: BTreeMap<String, Result<Option<HelperName>, String>>,
    store: Option<Result<HelperName, String>>,
    /// What is wrong and may concern every registry.
    faults: Vec<Lookup>,
}

struct Entry {
    name: String,
    key: Key,
    credential: Result<Option<RegistryCredential>, String>,
}

impl DockerConfig {
    /// Reads a config. Nothing but white space is one without credentials.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] for what is no JSON object, and [`ErrorKind::TooLarge`] beyond 4 MiB. The text says
    /// where, and not what stands there.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut config = Self {
            auths: Vec::new(),
            helpers: BTreeMap::new(),
            store: None,
            faults: Vec::new(),
        };
        if bytes.len() > MAX_SIZE {
            let message = format!("it has more than {MAX_SIZE} bytes");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(config);
        }
        let mut object = match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(Error::malformed("it is no JSON object")),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let message = format!("it is no JSON, at line {line}, column {column}");
                return Err(Error::malformed(message));
            }
        };
        for (name, value) in config.members(&mut object, "auths") {
            config.add_entry(name, value);
        }
        for (name, value) in config.members(&mut object, "credHelpers") {
            config.add_helper(&name, &value);
        }
        config.store = match object.remove("credsStore") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if name.is_empty() => None,
            Some(Value::String(name)) => Some(HelperName::parse(&name)),
            Some(_) => Some(Err("it is no string".to_owned())),
        };
        Ok(config)
    }

    /// Looks for what stands in the config itself for a repository: the entry with the longest name that fits.
    ///
    /// The trail names the entries that fit and cannot be used.
    pub fn resolve(&self, host: &RegistryHost, repository: Option<&Repository>) -> Resolution {
        let host = canonical(host.as_str());
        let mut trail = self.faults.clone();
        let mut fitting: Vec<_> = self
            .auths
            .iter()
            .filter_map(|entry| Some((entry.key.rank(&host, repository)?, entry)))
            .collect();
        fitting.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        for (_, entry) in fitting {
            let place = format!("auths[{}]", shown(&entry.name));
            match &entry.credential {
                Ok(Some(credential)) => {
                    let form = credential.form().to_owned();
                    trail.push(Lookup::new(place, Answer::Found(form)));
                    return Resolution::new(Some(credential.clone()), trail);
                }
                Ok(None) => trail.push(Lookup::new(
                    place,
                    Answer::Nothing("the entry is empty".to_owned()),
                )),
                Err(why) => trail.push(failed(&place, why)),
            }
        }
        if trail.iter().all(Lookup::is_warning) {
            let others = self.auths.iter().any(|entry| entry.key.is_of(&host));
            let why = match repository {
                _ if !others => format!("no entry is for {host}"),
                Some(repository) => format!("no entry is for {host}/{repository}"),
                None => format!("no entry is for the whole of {host}"),
            };
            trail.push(Lookup::new("auths", Answer::Nothing(why)));
        }
        Resolution::new(None, trail)
    }

    /// Returns the helper that keeps the credential of a registry, and the member that says so: `credHelpers` goes
    /// before `credsStore`, and an empty name there means none.
    ///
    /// A name that no program may have is the text of an error.
    pub(crate) fn helper(
        &self,
        host: &RegistryHost,
    ) -> Option<(&'static str, Result<HelperName, String>)> {
        match self.helpers.get(&canonical(host.as_str())) {
            Some(named) => {
                let named = named.clone().transpose()?;
                Some(("credHelpers", named))
            }
            None => Some(("credsStore", self.store.clone()?)),
        }
    }

    /// Takes the members of a member that is an object.
    fn members(&mut self, object: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
        match object.remove(name) {
            Some(Value::Object(members)) => return members,
            None | Some(Value::Null) => {}
            Some(_) => self.faults.push(failed(name, "it is no object")),
        }
        Map::new()
    }

    fn add_entry(&mut self, name: String, value: Value) {
        match Key::parse(&name) {
            Some(key) => self.auths.push(Entry {
                name,
                key,
                credential: read_entry(value),
            }),
            None => self.faults.push(failed("auths", &no_registry(&name))),
        }
    }

    fn add_helper(&mut self, name: &str, value: &Value) {
        let Some(key) = Key::parse(name) else {
            self.faults.push(failed("credHelpers", &no_registry(name)));
            return;
        };
        let helper = match value {
            Value::String(helper) if helper.is_empty() => Ok(None),
            Value::String(helper) => HelperName::parse(helper).map(Some),
            _ => Err("it is no string".to_owned()),
        };
        self.helpers.insert(key.into_host(), helper);
    }
}

fn read_entry(value: Value) -> Result<Option<RegistryCredential>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Object(entry) => entry::credential(entry),
        _ => Err("it is no object".to_owned()),
    }
}

fn no_registry(name: &str) -> String {
    format!("{} names no registry", shown(name))
}

fn failed(place: &str, why: &str) -> Lookup {
    Lookup::new(place, Answer::Failed(why.to_owned()))
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.auths.iter().map(|entry| shown(&entry.name));
        f.debug_struct("DockerConfig")
            .field("auths", &names.collect::<Vec<_>>())
            .field("helpers", &self.helpers)
            .field("store", &self.store)
            .field("faults", &self.faults)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const CONFIG: &str = r#"{
        "auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOmNhbmFyeQ=="},
            "quay.example": {"auth": "cXVheTpjYW5hcnk="},
            "quay.example/team": {"registrytoken": "canary"},
            "quay.example/team/broken": {"auth": "canary"},
            "https://old.example/v1/": {"auth": "b2xkOmNhbmFyeQ=="},
            "old.example": {"auth": "bmV3OmNhbmFyeQ=="},
            "part.example/team": {"auth": "cGFydDpjYW5hcnk="},
            "empty.example": {},
            "list.example": ["canary"]
        },
        "credHelpers": {"gcr.example": "gcloud", "https://index.docker.io/v1/": "", "bad.example": "../x"},
        "credsStore": "desktop",
        "HttpHeaders": {"User-Agent": "Docker"}
    }"#;

    fn trail(config: &str, name: &str) -> String {
        let config = DockerConfig::parse(config.as_bytes()).unwrap();
        let (host, repository) = match name.split_once('/') {
            Some((host, repository)) => (host, Some(repository.parse().unwrap())),
            None => (name, None),
        };
        let found = config.resolve(&host.parse().unwrap(), repository.as_ref());
        let user = match &found.credential {
            Some(RegistryCredential::Basic { username, .. }) => format!(" ({username})"),
            _ => String::new(),
        };
        let lines = found.trail.iter().map(ToString::to_string);
        format!("{name}{user}: {}", lines.collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn longest_name_that_fits_and_can_be_used_wins() {
        let trails = [
            "docker.io/library/debian",
            "registry-1.docker.io",
            "quay.example/other/app",
            "quay.example/team/app",
            "quay.example/team/broken",
            "old.example/app",
            "part.example/team/app",
            "part.example/app",
            "part.example",
            "empty.example/app",
            "list.example/app",
            "none.example/app",
        ]
        .map(|name| trail(CONFIG, name));
        assert_snapshot!(trails.join("\n"), @r#"
        docker.io/library/debian (hub): auths["https://index.docker.io/v1/"]: found: user name and password
        registry-1.docker.io (hub): auths["https://index.docker.io/v1/"]: found: user name and password
        quay.example/other/app (quay): auths["quay.example"]: found: user name and password
        quay.example/team/app: auths["quay.example/team"]: found: bearer token
        quay.example/team/broken: auths["quay.example/team/broken"]: failed: auth is no text; auths["quay.example/team"]: found: bearer token
        old.example/app (new): auths["old.example"]: found: user name and password
        part.example/team/app (part): auths["part.example/team"]: found: user name and password
        part.example/app: auths: nothing: no entry is for part.example/app
        part.example: auths: nothing: no entry is for the whole of part.example
        empty.example/app: auths["empty.example"]: nothing: the entry is empty
        list.example/app: auths["list.example"]: failed: it is no object; auths: nothing: no entry is for list.example/app
        none.example/app: auths: nothing: no entry is for none.example
        "#);
    }

    #[test]
    fn helper_of_a_registry_goes_before_the_store_and_may_be_none() {
        let config = DockerConfig::parse(CONFIG.as_bytes()).unwrap();
        let helper = |host: &str| {
            let (member, name) = config.helper(&host.parse().unwrap())?;
            Some(format!("{member}: {:?}", name.map(|name| name.program())))
        };
        let shown = |host: &str| helper(host).unwrap_or_default();
        assert_snapshot!(shown("gcr.example"), @r#"credHelpers: Ok("docker-credential-gcloud")"#);
        assert_snapshot!(shown("quay.example"), @r#"credsStore: Ok("docker-credential-desktop")"#);
        assert_snapshot!(shown("bad.example"), @r#"credHelpers: Err("\"../x\" is no name of a helper")"#);
        assert_eq!(helper("docker.io"), None);
    }

    #[test]
    fn what_is_broken_costs_only_itself() {
        let config = r#"{
            "auths": {
                "https://user:canary@r.example": {"auth": "dXNlcjpwYXNz"},
                "r.example": {"auth": "dXNlcjpwYXNz"}
            },
            "credHelpers": ["canary"],
            "credsStore": 1
        }"#;
        assert_snapshot!(trail(config, "r.example/app"), @r#"r.example/app (user): auths: failed: "r.example" names no registry; credHelpers: failed: it is no object; auths["r.example"]: found: user name and password"#);
    }

    #[test]
    fn document_that_is_no_config_says_where_and_not_what() {
        let error = |text: &[u8]| DockerConfig::parse(text).unwrap_err();
        assert_snapshot!(error(b"{\"auths\": canary}"), @"it is no JSON, at line 1, column 11");
        assert_snapshot!(error(b"[\"canary\"]"), @"it is no JSON object");
        assert_snapshot!(error(&vec![b' '; MAX_SIZE + 1]), @"it has more than 4194304 bytes");
        assert_eq!(error(b"[]").kind(), ErrorKind::Malformed);
        let deep = "{\"a\":".repeat(10_000);
        assert_eq!(error(deep.as_bytes()).kind(), ErrorKind::Malformed);
        assert!(DockerConfig::parse(b" \n").is_ok());
    }
}
