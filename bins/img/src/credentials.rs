//! Credentials for registries: their flags, the variables of the process, and what a person is told of the search.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use imgauth::bazel::CredentialHelper;
use imgauth::{Environment, Keychain, KeychainOptions, RegistryKeychain, Resolution};
use imgcore::{RegistryHost, Repository};

use crate::context::Context;
use crate::report::Report;
use crate::sys;

/// Where credentials are looked for, beside what the variables say.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct CredentialArguments {
    /// A config of Docker, or its directory, that is read in place of Docker's own
    #[arg(long, value_name = "PATH")]
    docker_config: Option<PathBuf>,
    /// A credential helper of Bazel that is asked first; with HOST= or *.HOST= in front, for these registries alone
    #[arg(long, value_name = "PROGRAM", action = clap::ArgAction::Append)]
    credential_helper: Vec<CredentialHelper>,
}

impl CredentialArguments {
    /// Makes a keychain of flags and variables, in the order of `docs/credentials.md`.
    pub(crate) fn keychain(&self, context: &Context, environment: Environment) -> Keychain {
        let mut options = KeychainOptions::new(environment);
        if let Some(path) = &self.docker_config {
            options = options.with_docker_config(context.path(path));
        }
        if !self.credential_helper.is_empty() {
            options = options.with_registry_helpers(self.credential_helper.iter().cloned());
        }
        Keychain::new(options)
    }

    /// Makes a keychain that tells a person what went wrong, and everything if `IMG_AUTH_DEBUG` is set.
    pub(crate) fn telling_keychain(
        &self,
        context: &Context,
        environment: &Environment,
    ) -> Arc<dyn RegistryKeychain> {
        Arc::new(Telling {
            keychain: self.keychain(context, environment.clone()),
            report: context.report.clone(),
            everything: environment.text("IMG_AUTH_DEBUG").is_some_and(is_on),
            told: Mutex::default(),
        })
    }
}

/// The variables of the process. Nothing else in this program reads those that hold or name credentials.
pub(crate) fn environment() -> Environment {
    let environment: Environment = std::env::vars_os().collect();
    match sys::user_id() {
        Some(user) => environment.with_user_id(user),
        None => environment,
    }
}

/// Whether the value of a variable turns something on.
fn is_on(value: &str) -> bool {
    let off = ["0", "false", "no", "off"];
    !off.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// A keychain that tells how each search went, and each thing once.
struct Telling {
    keychain: Keychain,
    report: Report,
    everything: bool,
    told: Mutex<HashSet<String>>,
}

impl RegistryKeychain for Telling {
    fn resolve(&self, host: &RegistryHost, repository: Option<&Repository>) -> Resolution {
        let resolution = self.keychain.resolve(host, repository);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_new = |line: &str| told.insert(line.to_owned());
        for lookup in &resolution.trail {
            let line = format!("credentials for {host}: {lookup}");
            if lookup.is_warning() && is_new(&line) {
                self.report.warn(line);
            } else if self.everything && is_new(&line) {
                self.report.error_text(format_args!("img: {line}\n"));
            }
        }
        resolution
    }

    fn refused(&self, host: &RegistryHost, repository: Option<&Repository>) {
        self.keychain.refused(host, repository);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)]) -> String {
        let context = Context::new(Report::captured());
        let environment = variables.iter().copied().collect();
        let keychain = CredentialArguments::default().telling_keychain(&context, &environment);
        for repository in ["app", "team/app"] {
            let repository = repository.parse().unwrap();
            keychain.resolve(&"r.example".parse().unwrap(), Some(&repository));
        }
        context.report.into_captured()
    }

    #[test]
    fn warnings_are_told_once_and_the_rest_if_it_is_asked_for() {
        let broken = (
            "IMG_DOCKER_CONFIG_INLINE",
            r#"{"auths": {"r.example": {"auth": "?"}}}"#,
        );
        insta::assert_snapshot!(told(&[broken, ("IMG_AUTH_DEBUG", "0")]), @r#"img: warning: credentials for r.example: IMG_DOCKER_CONFIG_INLINE, auths["r.example"]: failed: auth is no Base64"#);
        insta::assert_snapshot!(told(&[("IMG_AUTH_DEBUG", "1")]), @r"
        img: credentials for r.example: credential helper: nothing: neither IMG_CREDENTIAL_HELPER_OCI_REGISTRY nor IMG_CREDENTIAL_HELPER is set
        img: credentials for r.example: IMG_REGISTRY_AUTH_HOST: nothing: it is not set
        img: credentials for r.example: IMG_DOCKER_CONFIG_INLINE: nothing: it is not set
        img: credentials for r.example: DOCKER_AUTH_CONFIG: nothing: it is not set
        ");
        assert_eq!(told(&[]), "");
    }
}
