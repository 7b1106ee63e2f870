//! `img deploy`: carries out what deploy manifests say.

use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use imgcore::{Platform, Tag};
use imgpush::Dedup;

use crate::cli::Run;
use crate::context::Context;
use crate::deploy::{
    Deployment, Overrides, Request, SharingOverrides, SignArguments, Signers, Sink,
    SourceArguments, add_registries, open_sources,
};
use crate::network::{Direction, Network, NetworkArguments};
use crate::push::{PushArguments, ShowArguments};
use crate::report::{Explain as _, Failure};

/// Pushes and tags images as deploy manifests say
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A deploy manifest; the operations of several are carried out together, with the settings of the last
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append)]
    request_file: Vec<PathBuf>,

    /// A tag for every image that is pushed, beside its own
    #[arg(short, long, value_name = "TAG", action = clap::ArgAction::Append)]
    tag: Vec<Tag>,

    /// The registry for everything that is pushed, instead of the manifests'
    #[arg(
        long,
        value_name = "HOST",
        default_value = "",
        hide_default_value = true
    )]
    registry: String,

    /// The repository for everything that is pushed, instead of the manifests'
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    repository: String,

    /// Which image of an index goes into an archive of Docker, or `all`. What is pushed is always whole
    #[arg(
        long,
        value_name = "PLATFORM",
        default_value = "",
        hide_default_value = true
    )]
    platform: String,

    /// Writes files and pushes nothing: TYPE is oci, oci-tar, docker-save, distribution or distribution-flat
    #[arg(long, value_name = "TYPE:PATH")]
    sink: Option<Sink>,

    /// Whether a blob for several repositories is sent once and mounted in the others, instead of what the manifests say
    #[arg(long, value_name = "HOW")]
    deduplicated_push: Option<Deduplicated>,

    /// The repository that such blobs are sent to
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    deduplicated_push_blob_repository: String,

    /// What is written there
    #[arg(long, value_name = "WHAT")]
    deduplicated_push_content: Option<Content>,

    #[command(flatten)]
    push: PushArguments,

    #[command(flatten)]
    show: ShowArguments,

    #[command(flatten)]
    sources: SourceArguments,

    #[command(flatten)]
    sign: SignArguments,

    #[command(flatten)]
    network: NetworkArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Deduplicated {
    /// Where it cannot be mounted, it is sent again
    BestEffort,
    /// It is sent to each
    Disabled,
    /// Where it cannot be mounted, the operation fails
    Enabled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Content {
    /// The blobs alone
    Blobs,
    /// A manifest for each, too: some registries mount nothing else
    BlobsAndArtificialManifests,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let overrides = Overrides {
            registry: named(&self.registry, "--registry")?,
            repository: named(&self.repository, "--repository")?,
            tags: self.tag.clone(),
        };
        let platform = self.platform()?;
        let request = Request::read(context, &self.request_file, &overrides)?;
        request.check(self.sink.is_some())?;
        self.check_sink(&request)?;
        let hosts = request.hosts();
        let direction = match self.sink {
            Some(_) => Direction::Pull,
            None => Direction::Push,
        };
        let network = Network::open_for(direction, context, &self.network, &hosts)?;
        let mut sources = open_sources(context, &self.sources, &request, &network)?;
        if let Some(sink) = &self.sink {
            add_registries(&mut sources, &request, &network)?;
            sink.write(context, &request, platform.as_ref(), &network, &sources)?;
            return sink.tell(context, &request, self.show.json);
        }
        if platform.is_some() {
            context
                .report
                .warn("--platform chooses nothing here: what is pushed is whole");
        }
        let mut signers = Signers::read(context, &self.sign, &request)?;
        let deployment = Deployment {
            options: self.push.options(),
            sharing: self.sharing()?,
            show: &self.show,
        };
        deployment.run(context, &request, &mut signers, &network, &sources)
    }
}

impl Arguments {
    /// Refuses what a sink cannot do, before anything is written.
    fn check_sink(&self, request: &Request) -> Result<(), Failure> {
        if self.sink.is_none() {
            return Ok(());
        }
        if self.show.dry_run {
            return Err(Failure::new("--dry-run and --sink exclude each other")
                .hint("a plan is made for registries: leave --sink out"));
        }
        if let Some(place) = self.sign.first_wish(request) {
            let message = format!(
                "operation {place} is to be signed, and signing into a sink is not built yet"
            );
            return Err(Failure::new(message).hint("nothing was written; push it to a registry"));
        }
        Ok(())
    }

    fn platform(&self) -> Result<Option<Platform>, Failure> {
        match self.platform.as_str() {
            "" | "all" => Ok(None),
            // The first that is wanted is the one that an archive without indexes has.
            list => {
                let first = list.split(',').next().unwrap_or(list);
                Ok(Some(first.parse().explain(|| "--platform")?))
            }
        }
    }

    fn sharing(&self) -> Result<SharingOverrides, Failure> {
        let flag = "--deduplicated-push-blob-repository";
        Ok(SharingOverrides {
            dedup: self.deduplicated_push.map(|how| match how {
                Deduplicated::BestEffort => Dedup::BestEffort,
                Deduplicated::Disabled => Dedup::Off,
                Deduplicated::Enabled => Dedup::Strict,
            }),
            blob_repository: named(&self.deduplicated_push_blob_repository, flag)?,
            artificial_manifests: self
                .deduplicated_push_content
                .map(|what| what == Content::BlobsAndArtificialManifests),
        })
    }
}

/// Reads a name; an empty one is none.
fn named<T>(text: &str, flag: &str) -> Result<Option<T>, Failure>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).explain(|| format!("{flag} {text}")),
    }
}
