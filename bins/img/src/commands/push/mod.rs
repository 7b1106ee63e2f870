//! `img push`: an image of this machine to registries.

pub(super) mod blob;
pub(super) mod manifest;

use std::collections::BTreeMap;

use clap::ValueEnum;
use imgcore::{Descriptor, Platform, Reference, Repository, Tag};
use imgpush::{Image, Location, Report, Sources};
use serde_json::Value;

use crate::cli::Run;
use crate::context::Context;
use crate::network::{Direction, Network, NetworkArguments};
use crate::push::{self, PushArguments, ShowArguments, reference, summary};
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
        let destinations = destinations(&self.names, &self.tag, &root)?;
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
        tell(context, &report, self.show.json)?;
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

/// Gathers the tags for each repository. A name without a tag is one with `latest`, unless there are others.
pub(crate) fn destinations(
    names: &[Reference],
    tags: &[Tag],
    root: &Descriptor,
) -> Result<BTreeMap<Location, Vec<Tag>>, Failure> {
    let mut destinations: BTreeMap<Location, Vec<Tag>> = BTreeMap::new();
    for name in names {
        let full = name.docker_normalized()?;
        if let Some(digest) = full.digest()
            && digest != root.digest
        {
            let message = format!("{name} is another image than {}", root.digest);
            return Err(
                Failure::new(message).hint("leave the digest out, or name the image that has it")
            );
        }
        let registry = full.host().cloned();
        let registry = registry.ok_or_else(|| Failure::new(format!("{name} has no registry")))?;
        let to = Location::new(registry, full.repository().clone());
        let full = if tags.is_empty() {
            full.or_latest()
        } else {
            full
        };
        let all = destinations.entry(to).or_default();
        for tag in full.tag().into_iter().chain(tags) {
            if !all.contains(tag) {
                all.push(tag.clone());
            }
        }
    }
    Ok(destinations)
}

/// Prints the references of what was pushed, and says on standard error what that took.
pub(crate) fn tell(context: &Context, report: &Report, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return context
            .report
            .print(format_args!("{}\n", last_line(report)?));
    }
    let mut references = String::new();
    for image in report.images.iter().filter(|it| it.is_pushed()) {
        let tags = image.tags.iter().map(|tag| Some(tag.as_str()));
        let untagged = image.tags.is_empty().then_some(None);
        for tag in tags.chain(untagged) {
            references.push_str(&reference(&image.destination, tag, &image.root));
            references.push('\n');
        }
    }
    context.report.print(references)?;
    context.report.error_text(summary(report));
    Ok(())
}

/// The report as an event.
pub(crate) fn last_line(report: &Report) -> Result<Value, Failure> {
    let mut value: Value = serde_json::from_slice(&report.to_json())?;
    value["event"] = "pushed".into();
    Ok(value)
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;

    use super::*;

    fn check(names: &[&str], tags: &[&str]) -> Vec<String> {
        let root = Descriptor::of(MediaType::OCI_MANIFEST, b"{}");
        let names: Vec<Reference> = names.iter().map(|name| name.parse().unwrap()).collect();
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let destinations = destinations(&names, &tags, &root).unwrap().into_iter();
        let shown = destinations.map(|(to, tags)| {
            let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            format!("{to}:{}", tags.join(","))
        });
        shown.collect()
    }

    #[test]
    fn names_of_one_repository_are_its_tags() {
        let names = ["r.example/app:1", "r.example/app:1.2", "app"];
        assert_eq!(
            check(&names, &[]),
            ["docker.io/library/app:latest", "r.example/app:1,1.2"]
        );
        assert_eq!(
            check(&names, &["edge", "1"]),
            ["docker.io/library/app:edge,1", "r.example/app:1,edge,1.2"]
        );
    }

    #[test]
    fn a_name_with_a_digest_must_mean_the_image() {
        let root = Descriptor::of(MediaType::OCI_MANIFEST, b"{}");
        let own = format!("r.example/app@{}", root.digest).parse().unwrap();
        let destinations_of = |name: Reference| destinations(&[name], &[], &root);
        let all = destinations_of(own).unwrap();
        assert!(all.values().all(Vec::is_empty));
        let other = Descriptor::of(MediaType::OCI_MANIFEST, b"other").digest;
        let other = format!("r.example/app@{other}").parse().unwrap();
        destinations_of(other).unwrap_err();
    }
}
