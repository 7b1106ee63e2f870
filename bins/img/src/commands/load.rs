//! `img load`: images of this machine into a container engine.

use std::fmt::Write as _;

use imgcore::{Descriptor, Reference, Tag};
use imgload::{Image, Report};
use imgstore::{CONTAINERD_NAME, REF_NAME};
use serde_json::Value;

use crate::cli::Run;
use crate::context::Context;
use crate::load::{EngineArguments, PlatformList, summary};
use crate::network::Display;
use crate::report::Failure;
use crate::subject::{Images, Subject};

/// Loads images into a container engine: what it lacks, and their names
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An OCI layout or an archive; of several images in it, PATH:NAME or PATH@DIGEST is one
    #[arg(value_name = "IMAGE", required = true, num_args = 1..)]
    images: Vec<String>,

    /// What it is called, like team/app:1.2; without it, what the layout or archive calls it
    #[arg(long, value_name = "NAME", action = clap::ArgAction::Append)]
    name: Vec<Reference>,

    /// A further tag, for each name
    #[arg(short, long, value_name = "TAG", action = clap::ArgAction::Append)]
    tag: Vec<Tag>,

    /// Which images of an index are loaded with their layers: platforms with commas between, or `all`. Without it, the best
    /// one for `DOCKER_DEFAULT_PLATFORM` or this machine
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformList>,

    #[command(flatten)]
    engine: EngineArguments,

    /// How progress is shown
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Display,

    /// Writes what happens as lines of JSON to standard output
    #[arg(long)]
    json: bool,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        if self.images.len() > 1 && !self.name.is_empty() {
            return Err(
                Failure::new("--name is for one image, and there are several")
                    .hint("load them one by one"),
            );
        }
        let platforms = PlatformList::or_default(self.platform.clone())?;
        let images = self.images.iter().map(|text| {
            let mut image = self.image(context, text)?;
            image.platforms = platforms.clone();
            Ok((text.as_str(), image))
        });
        // All are looked at before anything is loaded.
        let images: Vec<(&str, Image)> = images.collect::<Result<_, Failure>>()?;
        let loader = self.engine.open(context)?;
        let display = if self.json {
            Display::Json
        } else {
            self.progress
        };
        for (text, image) in images {
            let report = loader.load(context, &image, display);
            let report = report.map_err(|failure| failure.in_front(text))?;
            self.tell(context, &report)?;
        }
        Ok(())
    }
}

impl Arguments {
    fn image(&self, context: &Context, text: &str) -> Result<Image, Failure> {
        let images = match Subject::open(context, text)? {
            Subject::Images(images) => images,
            Subject::Layer(_) => {
                return Err(Failure::new(format!("{text} is a layer, and not an image"))
                    .hint("make an image of it with `img build`, or of a manifest with `img oci-layout`"));
            }
        };
        let root = images.root()?;
        let names = if self.name.is_empty() {
            own_names(&images)
        } else {
            self.name.clone()
        };
        if names.is_empty() {
            return Err(
                Failure::new(format!("{text} does not say what the image is called"))
                    .hint("write --name, like --name team/app:1.2"),
            );
        }
        let names = with_tags(&names, &self.tag);
        let image = Image::new(root, names, images.store());
        image.full_names()?;
        Ok(image)
    }

    /// Prints the names with their digest, and says on standard error what that took.
    fn tell(&self, context: &Context, report: &Report) -> Result<(), Failure> {
        if self.json {
            let mut value: Value = serde_json::from_slice(&report.to_json())?;
            value["event"] = "loaded".into();
            return context.report.print(format_args!("{value}\n"));
        }
        let mut names = String::new();
        for named in &report.names {
            names.push_str(&named.name);
            if !named.name.contains('@') {
                // Writing to a string cannot fail.
                let _ = write!(names, "@{}", named.digest);
            }
            names.push('\n');
        }
        context.report.print(names)?;
        context.report.error_text(summary(report));
        Ok(())
    }
}

/// What a layout or archive calls its image: full names, and no mere tags.
fn own_names(images: &Images) -> Vec<Reference> {
    let mut names = Vec::new();
    for name in images.roots.iter().filter_map(own_name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn own_name(root: &Descriptor) -> Option<Reference> {
    let full = root.annotations.get(CONTAINERD_NAME);
    // Many tools write no more than the tag there; `app:1` and `r.example/app` are more.
    let reference = root.annotations.get(REF_NAME);
    let reference = reference.filter(|it| it.contains([':', '/']));
    full.or(reference)?.parse().ok()
}

/// Gives each name the further tags. A name without a tag gets no `latest` then.
fn with_tags(names: &[Reference], tags: &[Tag]) -> Vec<Reference> {
    let mut all = Vec::new();
    for name in names {
        if name.tag().is_some() || name.digest().is_some() || tags.is_empty() {
            all.push(name.clone());
        }
        if name.digest().is_none() {
            all.extend(tags.iter().map(|tag| name.clone().with_tag(tag.clone())));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;

    use super::*;

    #[test]
    fn further_tags_are_for_each_name() {
        let check = |names: &[&str], tags: &[&str]| {
            let names: Vec<Reference> = names.iter().map(|it| it.parse().unwrap()).collect();
            let tags: Vec<Tag> = tags.iter().map(|it| it.parse().unwrap()).collect();
            let all = with_tags(&names, &tags);
            all.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(check(&["app"], &[]), ["app"]);
        assert_eq!(check(&["app"], &["1"]), ["app:1"]);
        assert_eq!(
            check(&["app:0", "r.example:5000/b"], &["1", "2"]),
            [
                "app:0",
                "app:1",
                "app:2",
                "r.example:5000/b:1",
                "r.example:5000/b:2"
            ]
        );
    }

    #[test]
    fn a_mere_tag_is_no_name() {
        let check = |annotations: &[(&str, &str)]| {
            let mut root = Descriptor::of(MediaType::OCI_MANIFEST, b"{}");
            let annotations = annotations.iter();
            root.annotations
                .extend(annotations.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
            own_name(&root).map(|it| it.to_string())
        };
        assert_eq!(check(&[(REF_NAME, "v1")]), None);
        assert_eq!(check(&[(REF_NAME, "app:v1")]).as_deref(), Some("app:v1"));
        assert_eq!(check(&[(REF_NAME, "a b:c")]), None);
        let both = [
            (REF_NAME, "v1"),
            (CONTAINERD_NAME, "docker.io/library/app:v1"),
        ];
        assert_eq!(check(&both).as_deref(), Some("docker.io/library/app:v1"));
    }
}
