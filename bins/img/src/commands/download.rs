//! What the commands that download single things share.

use std::path::Path;
use std::str::FromStr;

use fs_err as fs;
use imgcore::{Digest, RegistryHost, Repository};
use imgpull::Origin;

use crate::context::Context;
use crate::network::{Network, NetworkArguments};
use crate::output::{Outputs, Pending};
use crate::report::{Explain as _, Failure};
use crate::sys;

/// `REPOSITORY@REGISTRY`: a place that something can be had from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) repository: Repository,
    pub(super) registry: RegistryHost,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (repository, registry) = text
            .split_once('@')
            .ok_or("no `@` in it; write REPOSITORY@REGISTRY")?;
        Ok(Self {
            repository: repository.parse().map_err(|error| format!("{error}"))?,
            registry: registry.parse().map_err(|error| format!("{error}"))?,
        })
    }
}

/// A digest whose `sha256:` may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LooseDigest(pub(super) Digest);

impl FromStr for LooseDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = if text.contains(':') {
            text.parse()
        } else {
            format!("sha256:{text}").parse()
        };
        parsed.map(Self).map_err(|error| error.to_string())
    }
}

/// Makes a client, and the origins for the sources.
pub(super) fn open(
    context: &Context,
    arguments: &NetworkArguments,
    sources: &[Source],
) -> Result<(Network, Vec<Origin>), Failure> {
    let hosts: Vec<_> = sources.iter().map(|it| it.registry.clone()).collect();
    let network = Network::open(context, arguments, &hosts)?;
    let origins = sources.iter();
    let origins = origins.map(|it| network.origin(&it.registry, &it.repository));
    let origins = origins.collect::<Result<_, _>>()?;
    Ok((network, origins))
}

/// Makes the directories above an output if that is where a blob belongs: a build asks for blobs one by one.
pub(super) fn make_blobs_directory(
    context: &Context,
    output: &Path,
    digest: Option<&Digest>,
) -> Result<(), Failure> {
    let Some(directory) = output.parent() else {
        return Ok(());
    };
    let has_name = |digest: &Digest| {
        output
            .file_name()
            .is_some_and(|it| it == digest.hex().as_str())
    };
    if !directory.ends_with("blobs/sha256") || !digest.is_none_or(has_name) {
        return Ok(());
    }
    let directory = context.path(directory);
    fs::create_dir_all(&directory).explain(|| format!("cannot make {}", directory.display()))
}

/// Makes a finished output visible, with exactly these permissions.
pub(super) fn commit(context: &Context, pending: Pending, mode: u32) -> Result<(), Failure> {
    if let Some(path) = pending.path() {
        sys::set_permission_bits(path, mode)?;
    }
    let mut outputs = Outputs::default();
    outputs.add(pending);
    outputs.commit(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_cut_at_the_first_at() {
        let source: Source = "team/app@registry.example:5000".parse().unwrap();
        assert_eq!(source.repository.as_str(), "team/app");
        assert_eq!(source.registry.as_str(), "registry.example:5000");
        for wrong in [
            "team/app",
            "@registry.example",
            "Team@registry.example",
            "a@b@c",
        ] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_digest_may_lack_its_algorithm() {
        let digest = Digest::sha256_of(b"hello");
        for text in [digest.to_string(), digest.hex()] {
            assert_eq!(text.parse::<LooseDigest>().unwrap().0, digest);
        }
        assert!("sha256:0".parse::<LooseDigest>().is_err());
        assert!("../etc".parse::<LooseDigest>().is_err());
    }
}
