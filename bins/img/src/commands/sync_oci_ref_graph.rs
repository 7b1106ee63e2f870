//! `img sync-oci-ref-graph`: what indexes and manifests lead to, kept as facts of a Bazel module.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use fs_err as fs;
use imgcore::{Digest, Document, RegistryHost, Repository};
use imgpull::{Origin, Progress, TagOrDigest};
use serde::{Deserialize, Serialize};

use crate::cli::Run;
use crate::context::Context;
use crate::network::{Display, Network, NetworkArguments, watch};
use crate::output;
use crate::report::{Explain as _, Failure};

/// How the keys of facts start.
const KEY: &str = "oci_ref_graph@";
/// How many documents are on their way at once.
const JOBS: usize = 10;

/// Finds out what images lead to, for the lock file of a Bazel module
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What is known already; a missing or empty file is no facts
    #[arg(long, value_name = "FILE", required = true)]
    facts: PathBuf,

    /// The images, by digest, with the registries that have them
    #[arg(long, value_name = "FILE", required = true)]
    images: PathBuf,

    /// Where the facts about these images go
    #[arg(long, value_name = "FILE", required = true)]
    output: PathBuf,

    #[command(flatten)]
    network: NetworkArguments,
}

/// An image, of which only the places matter that have it.
#[derive(Debug, Deserialize)]
struct Image {
    #[serde(default)]
    sources: BTreeMap<String, Vec<String>>,
}

/// What a document leads to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Fact {
    kind: Kind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    config: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    manifests: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Index,
    Manifest,
}

type Facts = BTreeMap<String, Fact>;

/// A document that is looked up, and where it can be had.
#[derive(Clone, Debug)]
struct Wanted {
    digest: Digest,
    sources: Vec<(Repository, RegistryHost)>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let known = self.read_facts(context)?;
        let images = self.read_images(context)?;
        let facts = watch(context, Display::None, |progress| {
            let mut lookup = Lookup {
                context,
                arguments: &self.network,
                network: None,
                hosts: hosts(&images),
                progress,
                known,
                found: Facts::new(),
            };
            lookup.all(&images)?;
            for image in &images {
                lookup.children(image)?;
            }
            Ok(lookup.found)
        })?;
        let text = serde_json::to_string_pretty(&facts)?;
        output::write(context, &self.output, text.as_bytes())
    }
}

impl Arguments {
    fn read_facts(&self, context: &Context) -> Result<Facts, Failure> {
        let bytes = match fs::read(context.path(&self.facts)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Facts::new()),
            Err(error) => return Err(error.into()),
        };
        if bytes.trim_ascii().is_empty() {
            return Ok(Facts::new());
        }
        let place = || format!("facts {}", self.facts.display());
        let mut all: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&bytes).explain(place)?;
        all.retain(|key, _| key.starts_with(KEY));
        let read = |(key, value)| {
            let fact = serde_json::from_value(value);
            fact.map(|fact| (key, fact)).explain(place)
        };
        all.into_iter().map(read).collect()
    }

    fn read_images(&self, context: &Context) -> Result<Vec<Wanted>, Failure> {
        let place = || format!("images {}", self.images.display());
        let bytes = fs::read(context.path(&self.images))?;
        let images: BTreeMap<String, Image> = serde_json::from_slice(&bytes).explain(place)?;
        let read = |(digest, image): (String, Image)| {
            let mut sources = Vec::new();
            for (repository, registries) in image.sources {
                let repository: Repository = repository.parse().explain(place)?;
                for registry in registries {
                    sources.push((repository.clone(), registry.parse().explain(place)?));
                }
            }
            let digest = digest
                .parse()
                .explain(|| format!("{}: `{digest}`", place()))?;
            Ok(Wanted { digest, sources })
        };
        images.into_iter().map(read).collect()
    }
}

struct Lookup<'a> {
    context: &'a Context,
    arguments: &'a NetworkArguments,
    /// Made when the first document is not known.
    network: Option<Network>,
    /// Every registry that an image names.
    hosts: Vec<RegistryHost>,
    progress: &'a Progress,
    known: Facts,
    found: Facts,
}

impl Lookup<'_> {
    /// Looks up the entries of an index, which must be manifests.
    fn children(&mut self, image: &Wanted) -> Result<(), Failure> {
        let Some(fact) = self.found.get(&key(&image.digest)) else {
            return Ok(());
        };
        let mut children = Vec::new();
        for digest in &fact.manifests {
            let digest = digest
                .parse()
                .explain(|| format!("entry of {}", image.digest))?;
            children.push(Wanted {
                digest,
                sources: image.sources.clone(),
            });
        }
        self.all(&children)?;
        for child in &children {
            let fact = self.found.get(&key(&child.digest));
            if fact.is_some_and(|fact| fact.kind == Kind::Index) {
                let message = format!("{} of {} is an index itself", child.digest, image.digest);
                return Err(Failure::new(message).hint("name that index as the image"));
            }
        }
        Ok(())
    }

    /// Takes what is known, and reads the other documents, some at once.
    fn all(&mut self, wanted: &[Wanted]) -> Result<(), Failure> {
        let mut unknown = Vec::new();
        for wanted in wanted {
            let key = key(&wanted.digest);
            if self.found.contains_key(&key) {
                continue;
            }
            match self.known.get(&key) {
                Some(fact) => {
                    self.found.insert(key, fact.clone());
                }
                None => unknown.push((key, wanted)),
            }
        }
        unknown.dedup_by(|one, other| one.0 == other.0);
        for some in unknown.chunks(JOBS) {
            let documents = self.documents(some)?;
            let keys = some.iter().map(|(key, _)| key.clone());
            self.found.extend(keys.zip(documents.iter().map(Fact::of)));
        }
        Ok(())
    }

    fn documents(&mut self, wanted: &[(String, &Wanted)]) -> Result<Vec<Document>, Failure> {
        let mut jobs = Vec::new();
        for (_, wanted) in wanted {
            if wanted.sources.is_empty() {
                return Err(Failure::new(format!(
                    "image {} has no source",
                    wanted.digest
                )));
            }
            let mut origins = Vec::new();
            for (repository, registry) in &wanted.sources {
                origins.push(self.origin(repository, registry)?);
            }
            jobs.push((origins, TagOrDigest::Digest(wanted.digest)));
        }
        let Some(network) = &self.network else {
            return Ok(Vec::new());
        };
        let documents = network.run(imgpull::documents(&jobs, self.progress));
        Ok(documents?)
    }

    fn origin(
        &mut self,
        repository: &Repository,
        registry: &RegistryHost,
    ) -> Result<Origin, Failure> {
        let network = match self.network.take() {
            Some(network) => network,
            None => Network::open(self.context, self.arguments, &self.hosts)?,
        };
        self.network.insert(network).origin(registry, repository)
    }
}

impl Fact {
    fn of(document: &Document) -> Self {
        let digests =
            |all: &[imgcore::Descriptor]| all.iter().map(|it| it.digest.to_string()).collect();
        match document {
            Document::Index(index) => Self {
                kind: Kind::Index,
                config: String::new(),
                layers: Vec::new(),
                manifests: digests(&index.manifests),
            },
            Document::Manifest(manifest) => Self {
                kind: Kind::Manifest,
                config: manifest.config.digest.to_string(),
                layers: digests(&manifest.layers),
                manifests: Vec::new(),
            },
        }
    }
}

fn hosts(images: &[Wanted]) -> Vec<RegistryHost> {
    let sources = images.iter().flat_map(|image| &image.sources);
    sources.map(|(_, registry)| registry.clone()).collect()
}

fn key(digest: &Digest) -> String {
    format!("{KEY}{digest}")
}
