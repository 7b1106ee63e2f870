//! `img download-manifest`: one manifest or index from the first registry that has it.

use std::io::Write as _;
use std::path::PathBuf;

use imgcore::Tag;
use imgpull::TagOrDigest;

use super::download::{self, LooseDigest, Source};
use crate::cli::Run;
use crate::context::Context;
use crate::network::{Display, NetworkArguments};
use crate::output::Pending;
use crate::report::Failure;

/// Downloads a manifest or an index
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The digest of the manifest; sha256: may be left out
    #[arg(long, value_name = "DIGEST", conflicts_with = "tag")]
    digest: Option<LooseDigest>,

    /// The tag of the manifest, instead of its digest
    #[arg(long, value_name = "TAG")]
    tag: Option<Tag>,

    /// Where the manifest goes, byte for byte; directories are made for …/blobs/sha256/…
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// A repository that may have it, asked in order
    #[arg(long, value_name = "REPOSITORY@REGISTRY", required = true, action = clap::ArgAction::Append)]
    source: Vec<Source>,

    /// Prints the digest, and writes no file
    #[arg(long)]
    print_digest: bool,

    #[command(flatten)]
    network: NetworkArguments,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let at = match (self.digest, self.tag) {
            (Some(digest), _) => TagOrDigest::Digest(digest.0),
            (None, Some(tag)) => TagOrDigest::Tag(tag),
            (None, None) => {
                return Err(Failure::new("missing --digest or --tag"));
            }
        };
        if self.output.is_none() && !self.print_digest {
            return Err(Failure::new("missing --output or --print-digest"));
        }
        let (network, origins) = download::open(context, &self.network, &self.source)?;
        let document = network.watch(context, Display::None, |progress| {
            Ok(network.run(imgpull::document(&origins, &at, progress))?)
        })?;
        let digest = at.digest().unwrap_or(document.descriptor().digest);
        if self.print_digest {
            return context.report.print(format_args!("{digest}\n"));
        }
        let Some(output) = &self.output else {
            return Ok(());
        };
        download::make_blobs_directory(context, output, None)?;
        let mut pending = Pending::create(context, output)?;
        pending.write_all(document.bytes())?;
        download::commit(context, pending, 0o644)
    }
}
