//! `img auth explain`: where the credential for an image comes from, without the credential.

use std::fmt::Write as _;

use imgauth::RegistryKeychain as _;
use imgcore::{Reference, RegistryHost, Repository};

use crate::cli::Run;
use crate::context::Context;
use crate::credentials::{self, CredentialArguments};
use crate::report::{Explain as _, Failure};

/// Shows where credentials for an image are looked for, what each place says and which one wins, without secrets
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An image or a repository, as for `docker pull`; or a registry alone, with a slash at the end
    #[arg(value_name = "REFERENCE")]
    reference: String,
    #[command(flatten)]
    credentials: CredentialArguments,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let (host, repository) = target(&self.reference)?;
        let keychain = self
            .credentials
            .keychain(context, credentials::environment());
        let found = keychain.resolve(&host, repository.as_ref());
        let mut text = match &repository {
            Some(repository) => format!("{host}/{repository}\n"),
            None => format!("{host}\n"),
        };
        for (number, lookup) in found.trail.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:3}. {lookup}", number + 1);
        }
        text.push_str("result: ");
        match (&found.credential, found.winner()) {
            (Some(credential), Some(winner)) => {
                let _ = writeln!(text, "{}, from {}", credential.form(), winner.asked);
            }
            _ => text.push_str("requests go without credentials\n"),
        }
        context.report.print(crate::shown::lines(&text))
    }
}

/// What is asked about: Docker's short names are written out.
fn target(text: &str) -> Result<(RegistryHost, Option<Repository>), Failure> {
    let bad = || format!("`{text}` names no image");
    if let Some(host) = text.strip_suffix('/') {
        return Ok((host.parse().explain(bad)?, None));
    }
    let reference: Reference = text.parse().explain(bad)?;
    let reference = reference.docker_normalized().explain(bad)?;
    let host = reference.host().cloned();
    let host = host.ok_or_else(|| Failure::new(bad()))?;
    Ok((host, Some(reference.repository().clone())))
}
