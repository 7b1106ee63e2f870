//! `img pull`: an image from a registry into a layout, or into a directory of blobs for a build.

mod target;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use imgcore::{Digest, Platform, Reference, RegistryHost, Repository, Tag};
use imgpull::{Handling, Origin, PullOptions, Pulled, TagOrDigest, pull};
use serde_json::json;

use self::target::Target;
use crate::cli::Run;
use crate::cli::value::Integer;
use crate::context::Context;
use crate::network::{Display, Network, NetworkArguments};
use crate::report::Failure;

/// Pulls an image from a registry
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The image, like debian:12 or registry.example/team/app@sha256:…
    #[arg(value_name = "IMAGE")]
    image: Option<Reference>,

    /// Writes an OCI layout to this directory, or adds the image to the one that is there
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    oci_layout: Option<PathBuf>,

    /// Pulls only the images for these platforms, separated by commas
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', action = clap::ArgAction::Append)]
    platform: Vec<Platform>,

    /// Whether layers are fetched: by default into a layout, but not into a directory of blobs
    #[arg(long, value_name = "HOW")]
    layer_handling: Option<LayerHandling>,

    /// Writes blobs alone, below DIR/blobs/sha256
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// For builds, instead of IMAGE: the digest of the image; a tag is answered with its digest, and fails
    #[arg(long, value_name = "DIGEST", conflicts_with = "image")]
    reference: Option<String>,

    /// For builds: the repository of --reference
    #[arg(long, value_name = "NAME", conflicts_with = "image")]
    repository: Option<Repository>,

    /// For builds: a registry that has --repository, asked in order; docker.io unless told
    #[arg(long, value_name = "HOST", action = clap::ArgAction::Append, conflicts_with = "image")]
    registry: Vec<RegistryHost>,

    /// How many blobs are on their way at once
    #[arg(short, long, value_name = "N", default_value = "10")]
    jobs: Integer,

    /// Takes everything from the cache and asks no registry
    #[arg(long)]
    airgapped: bool,

    /// How progress is shown
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Display,

    /// Writes what happens as lines of JSON to standard output
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    network: NetworkArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LayerHandling {
    /// Layers are fetched
    Eager,
    /// As shallow: whoever reads the result fetches layers when it needs them
    Lazy,
    /// Layers are left on the registry
    Shallow,
}

/// What is pulled, and where it can be had.
struct Wanted {
    at: TagOrDigest,
    repository: Repository,
    registries: Vec<RegistryHost>,
    /// As a person wrote it; `None` for a build.
    reference: Option<Reference>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let wanted = self.wanted()?;
        self.check(&wanted)?;
        let network = Network::open(context, &self.network, &wanted.registries)?;
        let origins = self.origins(&network, &wanted)?;
        let display = if self.json {
            Display::Json
        } else {
            self.progress
        };
        if let (None, TagOrDigest::Tag(tag)) = (&wanted.reference, &wanted.at) {
            return Err(refuse_tag(context, &network, &origins, tag)?);
        }
        let target = Target::open(context, &self, wanted.reference.as_ref())?;
        let mut options = PullOptions::default();
        options.platforms.clone_from(&self.platform);
        options.handling = self.handling(&target);
        options.jobs = usize::try_from(self.jobs.0).unwrap_or(1);
        options.cache.clone_from(&network.cache);
        options.durability = target.durability();
        let pulled = network.watch(context, display, |progress| {
            let store = target.store();
            let pulling = pull(&origins, &wanted.at, &options, store, progress);
            network.run(pulling).map_err(|error| self.explain(error))
        });
        let pulled = pulled.inspect_err(|_| target.abandon())?;
        target.finish(&pulled)?;
        network.trim_cache(context);
        if self.json {
            return context.report.print(format_args!("{}\n", as_json(&pulled)));
        }
        if wanted.reference.is_some() {
            context.report.print(summary(&wanted, &target, &pulled))?;
        }
        Ok(())
    }
}

impl Arguments {
    fn wanted(&self) -> Result<Wanted, Failure> {
        if let Some(image) = &self.image {
            let reference = image.docker_normalized()?.or_latest();
            let at = match (reference.digest(), reference.tag()) {
                (Some(digest), _) => TagOrDigest::Digest(digest),
                (None, tag) => TagOrDigest::Tag(tag.cloned().unwrap_or_else(Tag::latest)),
            };
            return Ok(Wanted {
                at,
                repository: reference.repository().clone(),
                registries: reference.host().cloned().into_iter().collect(),
                reference: Some(reference),
            });
        }
        let (Some(reference), Some(repository)) = (&self.reference, &self.repository) else {
            return Err(match (&self.reference, &self.repository) {
                (None, None) => Failure::new("there is no image to pull")
                    .hint("write img pull IMAGE --oci-layout DIR"),
                (Some(_), _) => Failure::new("missing --repository"),
                _ => Failure::new("missing --reference"),
            });
        };
        let mut registries = self.registry.clone();
        if registries.is_empty() {
            registries.push("docker.io".parse()?);
        }
        let at = match reference.parse::<Digest>() {
            Ok(digest) => TagOrDigest::Digest(digest),
            Err(_) if reference.contains(':') => {
                let failure = Failure::new(format!("--reference: bad value `{reference}`"));
                return Err(failure.hint("write --reference sha256:…"));
            }
            Err(_) => TagOrDigest::Tag(reference.parse()?),
        };
        Ok(Wanted {
            at,
            repository: repository.clone(),
            registries,
            reference: None,
        })
    }

    /// Checks what needs no network, before anything is made.
    fn check(&self, wanted: &Wanted) -> Result<(), Failure> {
        if wanted.reference.is_some() && self.oci_layout.is_none() && self.output.is_none() {
            return Err(Failure::new("there is no place to pull the image to")
                .hint("write --oci-layout DIR, or --output DIR for blobs alone"));
        }
        match &wanted.at {
            TagOrDigest::Tag(tag) if self.airgapped => {
                let message =
                    format!("--airgapped: only a registry knows what the tag {tag} means");
                Err(Failure::new(message).hint("write the digest: NAME@sha256:…"))
            }
            _ => Ok(()),
        }
    }

    fn origins(&self, network: &Network, wanted: &Wanted) -> Result<Vec<Origin>, Failure> {
        if !self.airgapped {
            let registries = wanted.registries.iter();
            let origins = registries.map(|host| network.origin(host, &wanted.repository));
            return origins.collect();
        }
        if network.cache.is_none() {
            let failure = Failure::new("--airgapped has nothing to take the image from");
            return Err(failure.hint("name the cache with --cache DIR"));
        }
        Ok(Vec::new())
    }

    fn handling(&self, target: &Target) -> Handling {
        match self.layer_handling {
            Some(LayerHandling::Eager) => Handling::Eager,
            None if target.is_layout() => Handling::Eager,
            _ => Handling::Shallow,
        }
    }

    fn explain(&self, error: imgpull::Error) -> Failure {
        let failure = Failure::from(error);
        if self.airgapped {
            failure.hint("pull it once with the same --cache and without --airgapped")
        } else {
            failure
        }
    }
}

/// Says what a tag means now, as a failure: a build that depends on a tag is another one tomorrow.
fn refuse_tag(
    context: &Context,
    network: &Network,
    origins: &[Origin],
    tag: &Tag,
) -> Result<Failure, Failure> {
    let at = TagOrDigest::Tag(tag.clone());
    let document = network.watch(context, Display::None, |progress| {
        Ok(network.run(imgpull::document(origins, &at, progress))?)
    })?;
    let digest = document.descriptor().digest;
    let failure = Failure::new(format!("--reference {tag} is a tag, which may move"));
    Ok(failure.hint(format!("it means {digest} now: write --reference {digest}")))
}

fn as_json(pulled: &Pulled) -> serde_json::Value {
    let images = pulled.images.iter().map(|image| {
        json!({
            "platform": image.config.platform().to_string(),
            "digest": image.descriptor.digest.to_string(),
        })
    });
    let layers = pulled.layers.iter().map(|layer| {
        json!({
            "digest": layer.descriptor.digest.to_string(),
            "size": layer.descriptor.size,
            "present": layer.is_present,
            "sources": layer.sources,
        })
    });
    json!({
        "event": "pulled",
        "digest": pulled.root.digest.to_string(),
        "images": images.collect::<Vec<_>>(),
        "layers": layers.collect::<Vec<_>>(),
    })
}

/// Says what was pulled and where it is.
fn summary(wanted: &Wanted, target: &Target, pulled: &Pulled) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<15} {value}");
    };
    if let Some(reference) = &wanted.reference {
        line("image", reference);
    }
    line("digest", &pulled.root.digest);
    for image in &pulled.images {
        line(
            &image.config.platform().to_string(),
            &image.descriptor.digest,
        );
    }
    let missing = pulled.layers.iter().filter(|layer| !layer.is_present);
    let missing = missing.count();
    if missing > 0 {
        let all = pulled.layers.len();
        line(
            "layers",
            &format_args!("{missing} of {all} are left on the registry"),
        );
    }
    line(target.kind(), &target.path().display());
    text
}
