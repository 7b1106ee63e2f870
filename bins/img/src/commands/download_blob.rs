//! `img download-blob`: one blob from the first registry that has it.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use imgpull::{Event, From, LayerSource, Origin};
use imgstore::{BlobSource as _, blocking};

use super::download::{self, LooseDigest, Source};
use crate::cli::Run;
use crate::context::Context;
use crate::network::{Display, NetworkArguments};
use crate::output::Pending;
use crate::report::Failure;

/// Downloads a blob
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The digest of the blob; sha256: may be left out
    #[arg(long, value_name = "DIGEST", required = true)]
    digest: LooseDigest,

    /// Where the blob goes; directories are made for …/blobs/sha256/<the digest>
    #[arg(long, value_name = "FILE", required = true)]
    output: PathBuf,

    /// A repository that may have it, asked in order
    #[arg(long, value_name = "REPOSITORY@REGISTRY", required = true, action = clap::ArgAction::Append)]
    source: Vec<Source>,

    /// Makes the file executable
    #[arg(long)]
    executable: bool,

    /// How progress is shown
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Display,

    #[command(flatten)]
    network: NetworkArguments,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let digest = self.digest.0;
        let (network, origins) = download::open(context, &self.network, &self.source)?;
        download::make_blobs_directory(context, &self.output, Some(&digest))?;
        let pending = network.watch(context, self.progress, |progress| {
            let cache = network.cache.clone();
            let source = LayerSource::new(origins.clone(), cache, progress.clone());
            let descriptor = network.run(source.describe(&digest))?;
            let size = descriptor.size;
            progress.tell(Event::Started { digest, size });
            let from = match source.local_path(&digest) {
                Some(_) => From::Cache,
                None => From::Origin(names(&origins)),
            };
            let _runtime = network.enter();
            let mut pending = Pending::create(context, &self.output)?;
            let mut reader = blocking::open(&source, &descriptor)?;
            let mut offset = 0;
            let mut buffer = vec![0; 256 * 1024];
            loop {
                let count = reader.read(&mut buffer)?;
                if count == 0 {
                    break;
                }
                pending.write_all(&buffer[..count])?;
                offset += count as u64;
                progress.tell(Event::Progress { digest, offset });
            }
            pending.flush()?;
            progress.tell(Event::Finished { digest, size, from });
            Ok(pending)
        })?;
        let mode = if self.executable { 0o755 } else { 0o644 };
        download::commit(context, pending, mode)?;
        network.trim_cache(context);
        Ok(())
    }
}

fn names(origins: &[Origin]) -> String {
    let names: Vec<_> = origins.iter().map(Origin::name).collect();
    names.join(" or ")
}
