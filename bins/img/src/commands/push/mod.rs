//! `img push`: an image of this machine to registries.

pub(super) mod blob;
pub(super) mod manifest;

use clap::ValueEnum;
use imgcore::{Descriptor, Platform, Reference, Repository, Tag};
use imgpush::{Image, Sources};

use crate::cli::Run;
use crate::context::Context;
use crate::network::{Direction, Network, NetworkArguments};
use crate::push::{self, PushArguments, ShowArguments};
use crate::report::Failure;
use crate::subject::{Images, Subject};

/// Pushes an image to registries
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An OCI layout or an archive; of several images in it, PATH:NAME or PATH@DIGEST is one
    #[arg(value_name = "PATH")]
    path: String,

    /// What it is called on a registry, like registry.example/team/app:1.2
    #[arg(value_name = "NAME", required = true, num_args = 1..)]
    names: Vec<Reference>,

    /// A further tag, for each NAME
    #[arg(short, long, value_name = "TAG", action = clap::ArgAction::Append)]
    tag: Vec<Tag>,

    /// Of an index, pushes only the image for this platform
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,

    /// A repository of the same registry that probably has some of the layers
    #[arg(long, value_name = "REPOSITORY", action = clap::ArgAction::Append)]
    mount_from: Vec<Repository>,

    #[command(flatten)]
    push: PushArguments,

    #[command(flatten)]
    show: ShowArguments,

    #[command(flatten)]
    network: NetworkArguments,
}

/// Whether a failure to push fails a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Mode {
    /// No: it is told, and the build goes on as if it had worked
    BestEffort,
    /// Yes
    Enabled,
}

impl Mode {
    /// Takes a failure as it is meant to be taken.
    fn take(self, context: &Context, failure: Failure) -> Result<(), Failure> {
        match self {
            Self::Enabled => Err(failure),
            Self::BestEffort => {
                context.report.failure(&failure);
                Ok(())
            }
        }
    }
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let path = self.path.as_str();
        let images = match Subject::open(context, path)? {
            Subject::Images(images) => images,
            Subject::Layer(_) => {
                return Err(Failure::new(format!("{path} is a layer, and not an image"))
                    .hint("make an image of it with `img build`, or of a manifest with `img oci-layout`"));
            }
        };
        let root = self.root(&images)?;
        let destinations = push::destinations(&self.names, &self.tag, &root)?;
        let sources = Sources::of(path, images.store());
        let hosts: Vec<_> = destinations.keys().map(|to| to.registry.clone()).collect();
        let network = Network::open_for(Direction::Push, context, &self.network, &hosts)?;
        let images = destinations.into_iter().map(|(to, tags)| {
            let mut image = Image::new(root.clone(), to, sources.clone());
            image.tags = tags;
            image.mount_from.clone_from(&self.mount_from);
            image
        });
        let images = images.collect();
        let options = self.push.options();
        if self.show.dry_run {
            let plan = [(images, &options)];
            return push::print_plans(context, &network, plan, self.show.json);
        }
        let display = self.show.display(context);
        let report = push::push(context, &network, images, &options, display)?;
        push::tell(context, &report, self.show.json)?;
        push::check(context, &report)
    }
}

impl Arguments {
    /// Finds what is pushed: all that was meant, or the image for one platform.
    fn root(&self, images: &Images) -> Result<Descriptor, Failure> {
        if let Some(platform) = &self.platform {
            let image = images.only(Some(platform))?;
            // What the index said of it is not said where it stands alone.
            return Ok(image.manifest.descriptor());
        }
        images.root()
    }
}
