//! The names under which configs keep credentials: registries, and parts of them.

use imgcore::{RegistryHost, Repository};

use crate::host::{canonical, is_hub};

/// For what an entry of a config is.
///
/// ```text
/// key  = [ scheme , "://" ] , host , [ "/" , path ] , [ "/" ] ;
/// path = the beginning of a repository's name, in whole components ;
/// ```
///
/// `v1` and `v2` after a scheme, and with a slash at the end, are what old clients wrote behind a host and are no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// In its [`canonical`] form.
    host: String,
    path: Option<String>,
    /// Whether it is written as it is written today.
    is_plain: bool,
}

impl Key {
    /// Reads a key; `None` if it names no registry.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (rest, has_scheme) = match text.split_once("://") {
            Some((scheme, rest)) if is_http(scheme) => (rest, true),
            Some(_) => return None,
            None => (text, false),
        };
        let trimmed = rest.trim_end_matches('/');
        let is_plain = !has_scheme && trimmed.len() == rest.len();
        let (host, path) = match trimmed.split_once('/') {
            Some((host, path)) => (host, Some(path)),
            None => (trimmed, None),
        };
        let host: RegistryHost = host.parse().ok()?;
        let host = canonical(host.as_str());
        let path = match path {
            Some(path) if is_version(path) && (!is_plain || is_hub(&host)) => None,
            Some(path) => Some(path.parse::<Repository>().ok()?.to_string()),
            None => None,
        };
        Some(Self {
            host,
            path,
            is_plain,
        })
    }

    /// Returns the canonical name of the registry.
    pub(super) fn into_host(self) -> String {
        self.host
    }

    /// Whether the entry is for a registry, by its canonical name: for all of it or for a part.
    pub(super) fn is_of(&self, host: &str) -> bool {
        self.host == host
    }

    /// How well the entry fits; `None` if it is for something else. The largest is to be taken.
    pub(super) fn rank(&self, host: &str, repository: Option<&Repository>) -> Option<Rank> {
        if self.host != host {
            return None;
        }
        let length = match &self.path {
            Some(path) => {
                let rest = repository?.as_str().strip_prefix(path.as_str())?;
                if !rest.is_empty() && !rest.starts_with('/') {
                    return None;
                }
                path.len()
            }
            None => 0,
        };
        Some((length, self.is_plain))
    }
}

/// The length of the path, and then today's way to write a key before that of old clients.
pub(super) type Rank = (usize, bool);

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
}

fn is_version(path: &str) -> bool {
    let first = path.split('/').next();
    matches!(first, Some("v1" | "v2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(key: &str, host: &str, repository: &str) -> Option<Rank> {
        let repository = (!repository.is_empty()).then(|| repository.parse().unwrap());
        Key::parse(key)?.rank(host, repository.as_ref())
    }

    #[test]
    fn key_fits_its_host_and_what_lies_under_its_path() {
        let check = |key: &str, host: &str, repository: &str, expected: Option<Rank>| {
            assert_eq!(
                rank(key, host, repository),
                expected,
                "{key} for {host}/{repository}"
            );
        };
        check("r.example", "r.example", "", Some((0, true)));
        check("r.example", "r.example", "team/app", Some((0, true)));
        check("R.Example", "r.example", "team/app", Some((0, true)));
        check("r.example", "r.example:5000", "", None);
        check("r.example:5000", "r.example:5000", "", Some((0, true)));
        check("example", "r.example", "", None);
        check(
            "[2001:db8::1]:5000",
            "[2001:db8::1]:5000",
            "",
            Some((0, true)),
        );
        check("r.example/team", "r.example", "team/app", Some((4, true)));
        check(
            "r.example/team/app",
            "r.example",
            "team/app",
            Some((8, true)),
        );
        check("r.example/team", "r.example", "teams/app", None);
        check("r.example/team/app", "r.example", "team", None);
        check("r.example/team", "r.example", "", None);
        check("r.example/v2", "r.example", "v2/app", Some((2, true)));
        check("r.example/v2", "r.example", "team/app", None);
    }

    #[test]
    fn keys_of_old_clients_are_for_the_whole_host() {
        for key in [
            "https://r.example",
            "https://r.example/",
            "http://r.example",
            "HTTPS://r.example/v1/",
            "https://r.example/v2",
            "https://r.example/v1/users/",
            "r.example/v1/",
            "r.example/",
            "r.example//",
        ] {
            assert_eq!(
                rank(key, "r.example", "team/app"),
                Some((0, false)),
                "{key}"
            );
        }
        assert_eq!(
            rank("https://r.example/team/", "r.example", "team/app"),
            Some((4, false))
        );
    }

    #[test]
    fn names_of_docker_hub_are_one() {
        for key in [
            "https://index.docker.io/v1/",
            "index.docker.io/v1/",
            "index.docker.io/v1",
            "index.docker.io",
            "docker.io",
            "docker.io/library",
            "registry-1.docker.io",
        ] {
            assert!(rank(key, "docker.io", "library/debian").is_some(), "{key}");
        }
        assert_eq!(rank("auth.docker.io", "docker.io", ""), None);
    }

    #[test]
    fn other_texts_are_no_keys() {
        for key in [
            "",
            "/",
            "https://",
            "ftp://r.example",
            "https://user:password@r.example",
            "user@r.example",
            "*.r.example",
            "r.example/Team",
            "r.example/../x",
            "r.example:port",
            "r.example\n",
            "r example",
        ] {
            assert_eq!(Key::parse(key), None, "{key:?}");
        }
    }
}
