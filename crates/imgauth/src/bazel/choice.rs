//! Which helper is for which host.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::host::aliases;
use crate::text::shown;
use crate::{Environment, Error, ErrorKind, Result, program};

/// What stands for the directory of the Bazel workspace in the name of a helper.
const WORKSPACE: &str = "%workspace%";

/// A credential helper and the hosts that it is for, written as for Bazel's `--credential_helper`.
///
/// ```text
/// helper  = [ pattern , "=" ] , program ;
/// pattern = host | "*." , host ;              (* the host itself, and all below it *)
/// ```
///
/// The program is a bare name, which is looked for in `PATH`, or a path, which may start with `%workspace%`.
///
/// # Examples
///
/// ```
/// use imgauth::bazel::CredentialHelper;
///
/// let helper: CredentialHelper = "*.example.com=%workspace%/tools/helper".parse()?;
/// assert!(helper.is_for("registry.example.com"));
/// assert!(helper.is_for("example.com"));
/// assert!(!helper.is_for("example.org"));
/// # Ok::<(), imgauth::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialHelper {
    scope: Scope,
    program: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Scope {
    Everything,
    Host(String),
    /// A host and all below it.
    Below(String),
}

impl CredentialHelper {
    /// Whether the helper is for a host, written without its port.
    pub fn is_for(&self, host: &str) -> bool {
        self.rank(host).is_some()
    }

    /// How closely the pattern fits: a host before a wildcard, and a longer wildcard before a shorter one.
    fn rank(&self, host: &str) -> Option<usize> {
        let host = host.to_ascii_lowercase();
        match &self.scope {
            Scope::Everything => Some(0),
            Scope::Host(own) => (*own == host).then_some(usize::MAX),
            Scope::Below(own) => {
                let above = host.strip_suffix(own.as_str())?;
                (above.is_empty() || above.ends_with('.')).then_some(own.len())
            }
        }
    }

    /// Finds the program.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is none, and [`ErrorKind::InvalidInput`] if the workspace is not known and stands
    /// in the name.
    pub(crate) fn find(
        &self,
        workspace: Option<&Path>,
        environment: &Environment,
    ) -> Result<PathBuf> {
        if !program::is_path(&self.program) {
            return program::find(&self.program, environment);
        }
        let path = match (self.program.strip_prefix(WORKSPACE), workspace) {
            (Some(rest), Some(workspace)) => workspace.join(rest.trim_start_matches(['/', '\\'])),
            (Some(_), None) => {
                let message = format!(
                    "{WORKSPACE} stands for nothing, because BUILD_WORKSPACE_DIRECTORY is not set"
                );
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            (None, Some(workspace)) => workspace.join(&self.program),
            (None, None) => PathBuf::from(&self.program),
        };
        if crate::sys::is_program(&path) {
            return Ok(path);
        }
        let message = format!("{} is no program", path.display());
        Err(Error::new(ErrorKind::NotFound, message))
    }
}

impl fmt::Display for CredentialHelper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Everything => f.write_str(&self.program),
            Scope::Host(host) => write!(f, "{host}={}", self.program),
            Scope::Below(host) => write!(f, "*.{host}={}", self.program),
        }
    }
}

impl FromStr for CredentialHelper {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (scope, program) = match text.split_once('=') {
            Some((pattern, program)) => (parse_scope(pattern)?, program),
            None => (Scope::Everything, text),
        };
        if program.is_empty() || program.contains('\0') {
            let message = format!("{} names no credential helper", shown(text));
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(Self {
            scope,
            program: program.to_owned(),
        })
    }
}

fn parse_scope(pattern: &str) -> Result<Scope> {
    let (host, is_wildcard) = match pattern.strip_prefix("*.") {
        Some(host) => (host, true),
        None => (pattern, false),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !host.split('.').all(is_label) {
        let message = format!(
            "{} is no pattern of hosts for a credential helper",
            shown(pattern)
        );
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let host = host.to_ascii_lowercase();
    Ok(if is_wildcard {
        Scope::Below(host)
    } else {
        Scope::Host(host)
    })
}

/// Chooses the helper whose pattern fits a host best; of equal ones the last, as a flag that is given again means.
pub(crate) fn choose<'a>(
    helpers: &'a [CredentialHelper],
    host: &str,
) -> Option<&'a CredentialHelper> {
    let fitting = helpers.iter().filter_map(|helper| {
        let ranks = aliases(host)
            .into_iter()
            .filter_map(|name| helper.rank(name));
        Some((ranks.max()?, helper))
    });
    fitting
        .max_by_key(|(rank, _)| *rank)
        .map(|(_, helper)| helper)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn helpers(texts: &[&str]) -> Vec<CredentialHelper> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn closest_pattern_wins_and_of_equal_ones_the_last() {
        let helpers = helpers(&[
            "everything",
            "*.example.com=below",
            "*.eu.example.com=farther-below",
            "Registry.example.com=early",
            "registry.example.com=exact",
            "docker.io=hub",
        ]);
        let check = |host: &str, expected: &str| {
            let chosen = choose(&helpers, host).unwrap();
            assert_eq!(chosen.program, expected, "{host}");
        };
        check("registry.example.com", "exact");
        check("REGISTRY.example.com", "exact");
        check("other.example.com", "below");
        check("example.com", "below");
        check("a.eu.example.com", "farther-below");
        check("notexample.com", "everything");
        check("docker.io", "hub");
        check("registry-1.docker.io", "hub");
        check("[2001:db8::1]", "everything");
        assert_eq!(choose(&helpers[1..], "example.org"), None);
    }

    #[test]
    fn what_is_no_helper_is_an_error() {
        let error = |text: &str| text.parse::<CredentialHelper>().unwrap_err();
        assert_snapshot!(error(""), @r#""" names no credential helper"#);
        assert_snapshot!(error("example.com="), @r#""example.com=" names no credential helper"#);
        assert_snapshot!(error("=x"), @r#""" is no pattern of hosts for a credential helper"#);
        assert_snapshot!(error("a..b=x"), @r#""a..b" is no pattern of hosts for a credential helper"#);
        assert_snapshot!(error("*=x"), @r#""*" is no pattern of hosts for a credential helper"#);
        assert_snapshot!(error("dir/a=b"), @r#""dir/a" is no pattern of hosts for a credential helper"#);
        assert_eq!(error("").kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn patterns_print_as_they_are_read() {
        for text in [
            "helper",
            "example.com=/x/helper",
            "*.example.com=%workspace%/h",
        ] {
            assert_eq!(text.parse::<CredentialHelper>().unwrap().to_string(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn program_is_found_in_path_the_workspace_or_where_it_says() {
        let scripts = crate::scripts::Scripts::new();
        let helper = scripts.add("helper", "");
        let environment = scripts.environment([]);
        let here = Some(scripts.directory());
        let find = |text: &str, workspace| helpers(&[text])[0].find(workspace, &environment);
        assert_eq!(find("helper", None).unwrap(), helper);
        assert_eq!(find("%workspace%/helper", here).unwrap(), helper);
        assert_eq!(
            find("./helper", here).unwrap().canonicalize().unwrap(),
            helper.canonicalize().unwrap()
        );
        assert_eq!(find(helper.to_str().unwrap(), None).unwrap(), helper);
        let failure = |text: &str, workspace| find(text, workspace).unwrap_err().to_string();
        assert_snapshot!(failure("other", here), @"there is no such program in PATH");
        assert_snapshot!(failure("/does/not/exist", here), @"/does/not/exist is no program");
        assert_snapshot!(failure("%workspace%/helper", None), @"%workspace% stands for nothing, because BUILD_WORKSPACE_DIRECTORY is not set");
    }
}
