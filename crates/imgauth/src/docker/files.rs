//! Where configs lie: in variables, and in files that Docker and Podman agree on.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use zeroize::Zeroizing;

use super::DockerConfig;
use super::config::MAX_SIZE;
use crate::{Environment, Error, Result};

/// The variables that hold a whole config: ours, and the one that GitLab's runner and Docker know.
const INLINE: [&str; 2] = ["IMG_DOCKER_CONFIG_INLINE", "DOCKER_AUTH_CONFIG"];

/// One place of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, and whether a person named this very file.
    File { path: PathBuf, is_named: bool },
    /// A variable that holds the text.
    Variable(&'static str),
}

/// Lists the places in the order in which they are looked into. `named` is the config that was given by hand; it stands
/// for Docker's.
pub(crate) fn places(named: Option<&Path>, environment: &Environment) -> Vec<Place> {
    let file = |path: PathBuf| Place::File {
        path,
        is_named: false,
    };
    let under = |directory: Option<PathBuf>, rest: &str| directory.map(|path| path.join(rest));
    let home = environment.home();
    let docker = match (named, environment.path("DOCKER_CONFIG")) {
        (Some(path), _) => Some(Place::File {
            path: path.to_path_buf(),
            is_named: true,
        }),
        (None, Some(directory)) => Some(file(directory.join("config.json"))),
        (None, None) => under(home.clone(), ".docker/config.json").map(file),
    };
    let config_home = environment.path("XDG_CONFIG_HOME");
    let config_home = config_home.or_else(|| under(home, ".config"));
    let podman = [
        environment.path("REGISTRY_AUTH_FILE"),
        under(environment.runtime_directory(), "auth.json"),
        under(config_home, "containers/auth.json"),
    ];
    INLINE
        .into_iter()
        .map(Place::Variable)
        .chain(docker)
        .chain(podman.into_iter().flatten().map(file))
        .collect()
}

impl Place {
    /// Returns the name that a person knows it by.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            Self::Variable(name) => (*name).to_owned(),
        }
    }

    /// Reads the config; an error text where there is none that is `Ok`.
    ///
    /// # Errors
    ///
    /// Fails if there is a config that cannot be read, or none where a person said that there is one.
    pub(crate) fn read(
        &self,
        environment: &Environment,
    ) -> Result<Result<DockerConfig, &'static str>> {
        let (path, is_named) = match self {
            Self::Variable(name) => {
                return match environment.value(name) {
                    Some(text) => DockerConfig::parse(text.as_encoded_bytes()).map(Ok),
                    None => Ok(Err("it is not set")),
                };
            }
            Self::File { path, is_named } => (path, *is_named),
        };
        match read_file(path) {
            Ok(bytes) => DockerConfig::parse(&bytes).map(Ok),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => {
                Ok(Err("there is no such file"))
            }
            Err(error) => Err(Error::io("it cannot be read", error)),
        }
    }
}

/// Reads a file up to what a config may have and one byte, which says that it has more.
fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Docker's own tools name the directory, ours and Podman's the file.
    let is_directory = fs::metadata(path)?.is_dir();
    let file = if is_directory {
        fs::File::open(path.join("config.json"))?
    } else {
        fs::File::open(path)?
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn names(named: Option<&str>, variables: &[(&str, &str)]) -> String {
        let environment = variables.iter().copied().collect();
        let places = places(named.map(Path::new), &environment);
        places
            .iter()
            .map(Place::name)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[cfg(unix)]
    #[test]
    fn places_come_in_the_documented_order() {
        let everything = [
            ("HOME", "/home/me"),
            ("DOCKER_CONFIG", "/docker"),
            ("REGISTRY_AUTH_FILE", "/auth.json"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
            ("XDG_CONFIG_HOME", "/config"),
        ];
        assert_snapshot!(names(None, &everything), @r"
        IMG_DOCKER_CONFIG_INLINE
        DOCKER_AUTH_CONFIG
        /docker/config.json
        /auth.json
        /run/user/1/containers/auth.json
        /config/containers/auth.json
        ");
        assert_snapshot!(names(Some("/named"), &everything[..2]), @r"
        IMG_DOCKER_CONFIG_INLINE
        DOCKER_AUTH_CONFIG
        /named
        /home/me/.config/containers/auth.json
        ");
        assert_snapshot!(names(None, &everything[..1]), @r"
        IMG_DOCKER_CONFIG_INLINE
        DOCKER_AUTH_CONFIG
        /home/me/.docker/config.json
        /home/me/.config/containers/auth.json
        ");
        let outside = Environment::from_iter([("HOME", "/home/me")]).with_user_id(7);
        let names_outside: Vec<_> = places(None, &outside).iter().map(Place::name).collect();
        assert_snapshot!(names_outside[3..].join("\n"), @r"
        /run/containers/7/auth.json
        /home/me/.config/containers/auth.json
        ");
        assert_snapshot!(names(None, &[]), @r"
        IMG_DOCKER_CONFIG_INLINE
        DOCKER_AUTH_CONFIG
        ");
    }

    #[test]
    fn absent_file_is_an_error_only_if_a_person_named_it() {
        let directory = tempfile::tempdir().unwrap();
        let read = |is_named| {
            let path = directory.path().join("config.json");
            Place::File { path, is_named }.read(&Environment::default())
        };
        assert_eq!(read(false).unwrap().unwrap_err(), "there is no such file");
        let error = read(true).unwrap_err();
        assert_eq!(error.chain(), "it cannot be read: entity not found");
    }

    #[test]
    fn directory_of_docker_is_taken_for_its_config() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("config.json"), "{").unwrap();
        let place = Place::File {
            path: directory.path().to_path_buf(),
            is_named: true,
        };
        let error = place.read(&Environment::default()).unwrap_err();
        assert_snapshot!(error, @"it is no JSON, at line 1, column 1");
    }
}
