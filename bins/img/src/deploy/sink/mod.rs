//! Images as files instead of on a registry: `--sink TYPE:PATH`.

mod archive;
mod tree;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::builder::{
    OsStringValueParser, TryMapValueParser, TypedValueParser as _, ValueParserFactory,
};
use imgcore::deploy::Command;
use imgcore::{Descriptor, Digest, Platform};
use imgstore::Chain;
use imgstore::archive::{describe_index, describe_manifest};
use imgstore::walk::Contents;
use serde_json::{Value, json};

use super::request::{Request, Step};
use crate::context::Context;
use crate::network::Network;
use crate::report::{Explain as _, Failure};
use crate::sys;

/// A place for images that is no registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sink {
    kind: Kind,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A tree of files for each registry.
    Distribution,
    /// One tree of files for all registries.
    DistributionFlat,
    DockerSave,
    Oci,
    OciTar,
}

const KINDS: [(&str, Kind); 5] = [
    ("oci", Kind::Oci),
    ("oci-tar", Kind::OciTar),
    ("docker-save", Kind::DockerSave),
    ("distribution", Kind::Distribution),
    ("distribution-flat", Kind::DistributionFlat),
];

impl Sink {
    fn of_word(word: &OsStr) -> Result<Self, String> {
        let bytes = sys::bytes_of(word);
        let known = || {
            let names = KINDS.map(|(name, _)| name);
            format!("write TYPE:PATH, with a TYPE of {}", names.join(", "))
        };
        let at = bytes.iter().position(|&byte| byte == b':');
        let at = at.ok_or_else(|| format!("no `:` in it; {}", known()))?;
        let (name, path) = (&bytes[..at], &bytes[at + 1..]);
        let kind = KINDS.iter().find(|(known, _)| known.as_bytes() == name);
        let (_, kind) = kind.ok_or_else(known)?;
        let path = sys::path_from_bytes(path).filter(|path| !path.as_os_str().is_empty());
        Ok(Self {
            kind: *kind,
            path: path.ok_or("there is no path")?,
        })
    }

    /// Writes the images of a request: those to be loaded as well as those to be pushed.
    ///
    /// # Errors
    ///
    /// Fails if a document or blob is nowhere, or files cannot be written. Archives are then not there; a layout or tree
    /// does not name what is not whole.
    pub(crate) fn write(
        &self,
        context: &Context,
        request: &Request,
        platform: Option<&Platform>,
        network: &Network,
        sources: &Chain,
    ) -> Result<(), Failure> {
        let images = read_images(request, network, sources)?;
        // Blobs are read on this thread, and some come from registries.
        let _reading = network.enter();
        let path = context.path(&self.path);
        match self.kind {
            Kind::Oci => archive::layout(&path, &images, network, sources),
            Kind::OciTar => archive::oci_tar(context, &path, &images, sources),
            Kind::DockerSave => archive::docker_save(context, &path, &images, platform, sources),
            Kind::Distribution | Kind::DistributionFlat => {
                let is_flat = self.kind == Kind::DistributionFlat;
                tree::write(context, &path, is_flat, &images, sources)
            }
        }
        .map_err(|failure| failure.in_front(format_args!("--sink {}", self.path.display())))
    }
}

impl Sink {
    /// Says that every operation was written.
    ///
    /// # Errors
    ///
    /// Fails if standard output cannot be written.
    pub(crate) fn tell(
        &self,
        context: &Context,
        request: &Request,
        as_json: bool,
    ) -> Result<(), Failure> {
        let operations = request.operations.iter();
        if as_json {
            let operations: Vec<Value> = operations.map(to_json).collect();
            let line = json!({"event": "deployed", "operations": operations});
            return context.report.print(format_args!("{line}\n"));
        }
        let mut text = String::new();
        for step in operations {
            let operation = format!("operation {}", step.place);
            let (name, path) = (name_of(step), self.path.display());
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{operation:<15} {name}: written to {path}");
        }
        context.report.error_text(text);
        Ok(())
    }
}

fn name_of(step: &Step) -> String {
    let digest = &step.operation.root.digest;
    let tags = step.tags.join(",");
    match (&step.destination, tags.as_str()) {
        (Some(to), "") => format!("{to}@{digest}"),
        (Some(to), tags) => format!("{to}:{tags}"),
        (None, "") => digest.to_string(),
        (None, tags) => tags.to_owned(),
    }
}

fn to_json(step: &Step) -> Value {
    json!({
        "operation": step.place,
        "command": step.operation.command.as_str(),
        "destination": step.destination.as_ref().map(ToString::to_string),
        "digest": step.operation.root.digest.to_string(),
        "tags": step.tags,
        "done": true,
        "errors": [],
    })
}

impl ValueParserFactory for Sink {
    type Parser = TryMapValueParser<OsStringValueParser, fn(OsString) -> Result<Self, String>>;

    fn value_parser() -> Self::Parser {
        OsStringValueParser::new().try_map(|word| Self::of_word(&word))
    }
}

/// A root with all its documents, and everything that it is called.
struct Image<'a> {
    /// As an entry of a layout's index.
    root: Descriptor,
    contents: Contents,
    steps: Vec<&'a Step>,
}

/// Reads the documents of every root, each once.
fn read_images<'a>(
    request: &'a Request,
    network: &Network,
    sources: &Chain,
) -> Result<Vec<Image<'a>>, Failure> {
    let mut images: Vec<Image<'a>> = Vec::new();
    let mut places: BTreeMap<Digest, usize> = BTreeMap::new();
    for step in &request.operations {
        let root = &step.operation.root;
        if let Some(&place) = places.get(&root.digest) {
            images[place].steps.push(step);
            continue;
        }
        let plain = Descriptor::new(root.media_type.clone(), root.digest, root.size);
        let contents = network
            .run(Contents::read(sources, std::slice::from_ref(&plain)))
            .explain(|| format!("operation {}", step.place))?;
        places.insert(root.digest, images.len());
        images.push(Image {
            root: describe(&contents).unwrap_or(plain),
            contents,
            steps: vec![step],
        });
    }
    Ok(images)
}

/// Describes the root, which stands first in what was read.
fn describe(contents: &Contents) -> Option<Descriptor> {
    match contents.indexes.first() {
        Some(index) => Some(describe_index(index)),
        None => contents
            .manifests
            .first()
            .map(|(_, manifest)| describe_manifest(manifest)),
    }
}

impl Image<'_> {
    /// Lists its names, each with a tag. What is pushed without a tag has none.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for step in &self.steps {
            for tag in &step.tags {
                let name = match &step.destination {
                    Some(destination) => format!("{destination}:{tag}"),
                    None => with_tag(tag),
                };
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// Lists what belongs to it besides documents: configs, and layers that are had from here.
    fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let manifests = self.contents.manifests.iter();
        manifests.flat_map(|(_, manifest)| {
            let layers = manifest.layers.iter();
            let layers =
                layers.filter(|it| !it.media_type.is_foreign_layer() || it.urls.is_empty());
            std::iter::once(&manifest.config).chain(layers)
        })
    }

    /// Lists its manifests and indexes, each behind what it leads to.
    fn documents(&self) -> impl Iterator<Item = (Descriptor, &[u8])> {
        let manifests = self.contents.manifests.iter();
        let manifests = manifests.map(|(_, it)| (it.descriptor(), it.bytes()));
        let indexes = self.contents.indexes.iter().rev();
        manifests.chain(indexes.map(|it| (it.descriptor(), it.bytes())))
    }
}

/// Gives a name that a load says the tag `latest`, if it has none.
fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

/// Says that an operation is one for engines.
fn is_load(step: &Step) -> bool {
    step.operation.command == Command::Load
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_have_a_type_and_a_path() {
        let check = |text: &str| Sink::of_word(OsStr::new(text));
        let expected = |kind, path: &str| {
            Ok(Sink {
                kind,
                path: path.into(),
            })
        };
        assert_eq!(check("oci:out"), expected(Kind::Oci, "out"));
        assert_eq!(check("oci-tar:/a:b"), expected(Kind::OciTar, "/a:b"));
        insta::assert_snapshot!(check("out").unwrap_err(), @"no `:` in it; write TYPE:PATH, with a TYPE of oci, oci-tar, docker-save, distribution, distribution-flat");
        insta::assert_snapshot!(check("zip:out").unwrap_err(), @"write TYPE:PATH, with a TYPE of oci, oci-tar, docker-save, distribution, distribution-flat");
        insta::assert_snapshot!(check("oci:").unwrap_err(), @"there is no path");
    }

    #[test]
    fn names_without_a_tag_are_the_latest() {
        assert_eq!(with_tag("demo"), "demo:latest");
        assert_eq!(with_tag("demo:dev"), "demo:dev");
        assert_eq!(
            with_tag("r.example:5000/demo"),
            "r.example:5000/demo:latest"
        );
    }
}
