//! `img push blob`: one layer or config to a registry, while a build runs.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use fs_err as fs;
use imgcore::json::{Fields, Limits, Object, Value};
use imgcore::{Algorithm, Descriptor, Digest, MediaType};
use imgpull::{LayerSource, Progress};
use imgpush::Location;
use imgstore::BlobSource;

use super::Mode;
use crate::cli::Run;
use crate::cli::later;
use crate::context::Context;
use crate::deploy::files_of;
use crate::network::{Direction, Network, NetworkArguments};
use crate::output;
use crate::report::{Explain as _, Failure};

/// Sends one layer or config of an image to a registry
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where it goes: JSON with `registry` and `repository`
    #[arg(long, value_name = "FILE")]
    configuration_file: Option<PathBuf>,
    /// What it is: the metadata of a layer, or a descriptor
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// The file itself
    #[arg(long, value_name = "FILE")]
    blob: Option<PathBuf>,
    /// A repository that has it, like registry.example/team/app; asked in order
    #[arg(long, value_name = "REGISTRY/NAME", action = clap::ArgAction::Append)]
    source: Vec<SourceRepository>,
    /// Not built yet: makes the layer of a compact stream
    #[arg(long, value_name = "FILE")]
    compact_stream: Option<PathBuf>,
    /// Not built yet: the files that the compact stream refers to
    #[arg(long, value_name = "DIR")]
    cas_dir: Option<PathBuf>,
    /// The repository that it is sent to instead
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    blob_repository: String,
    /// Its media type, instead of that in --metadata
    #[arg(
        long,
        value_name = "TYPE",
        default_value = "",
        hide_default_value = true
    )]
    media_type: String,
    /// Whether a failure fails the build
    #[arg(long, value_name = "MODE", default_value = "enabled")]
    mode: Mode,
    /// Where it is written that it was sent: JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArguments,
}

/// `REGISTRY/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SourceRepository(Location);

impl FromStr for SourceRepository {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (registry, repository) = text
            .split_once('/')
            .ok_or("no `/` in it; write REGISTRY/NAME")?;
        let registry = registry.parse().map_err(|error| format!("{error}"))?;
        let repository = repository.parse().map_err(|error| format!("{error}"))?;
        Ok(Self(Location::new(registry, repository)))
    }
}

/// What metadata says of a blob, as far as it does.
#[derive(Debug, Default)]
struct Described {
    digest: Option<Digest>,
    media_type: String,
    size: Option<u64>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        later::refuse(
            self.compact_stream.is_some(),
            "--compact-stream",
            "making a layer of a compact stream is",
        )?;
        later::refuse(self.cas_dir.is_some(), "--cas-dir", "compact streams are")?;
        let to = self.destination(context)?;
        let mut described = self.described(context)?;
        let completed = match &self.blob {
            Some(file) => described.complete(&context.path(file)),
            None => Ok(()),
        };
        let Some(digest) = described.digest else {
            completed?;
            return Err(Failure::new("nothing says which blob is meant")
                .hint("give --metadata FILE, or the blob itself with --blob FILE"));
        };
        let Some(output) = &self.output else {
            return Err(Failure::new("missing --output"));
        };
        if self.blob.is_none() && self.source.is_empty() {
            return Err(
                Failure::new(format!("there is no place to take {digest} from"))
                    .hint("give --blob FILE or --source REGISTRY/NAME"),
            );
        }
        let sent = completed.and_then(|()| self.send(context, &to, digest, &mut described));
        let what = || format!("{digest} to {to}");
        if let Err(failure) = sent.map_err(|failure| failure.in_front(what())) {
            self.mode.take(context, failure)?;
        }
        output::write(context, output, &result(&to, &digest, &described))
    }
}

impl Arguments {
    fn destination(&self, context: &Context) -> Result<Location, Failure> {
        let Some(path) = &self.configuration_file else {
            return Err(Failure::new("missing --configuration-file"));
        };
        let what = || format!("configuration {}", path.display());
        let bytes = fs::read(context.path(path))?;
        let value = Value::parse(&bytes, &Limits::default()).explain(what)?;
        let mut fields = Fields::of(&value, what())?;
        let registry = fields.parsed("registry")?;
        let repository = match self.blob_repository.as_str() {
            "" => fields.parsed("repository")?,
            name => {
                fields.required("repository")?;
                name.parse()
                    .explain(|| format!("--blob-repository {name}"))?
            }
        };
        Ok(Location::new(registry, repository))
    }

    fn described(&self, context: &Context) -> Result<Described, Failure> {
        let mut described = match &self.metadata {
            Some(path) => Described::read(context, path)?,
            None => Described::default(),
        };
        if !self.media_type.is_empty() {
            described.media_type.clone_from(&self.media_type);
        }
        Ok(described)
    }

    fn send(
        &self,
        context: &Context,
        to: &Location,
        digest: Digest,
        described: &mut Described,
    ) -> Result<(), Failure> {
        let mut hosts = vec![to.registry.clone()];
        hosts.extend(self.source.iter().map(|source| source.0.registry.clone()));
        let network = Network::open_for(Direction::Push, context, &self.network, &hosts)?;
        let origins = self.source.iter();
        let origins = origins.map(|it| network.origin(&it.0.registry, &it.0.repository));
        let origins = origins.collect::<Result<Vec<_>, _>>()?;
        let registries = LayerSource::new(origins, network.cache.clone(), Progress::default());
        let size = match described.size {
            Some(size) => size,
            None => network.run(registries.describe(&digest))?.size,
        };
        described.size = Some(size);
        let source: Arc<dyn BlobSource> = match &self.blob {
            Some(file) => Arc::new(files_of("--blob", digest, context.path(file))),
            None => Arc::new(registries),
        };
        let mut near = self.source.iter().map(|source| &source.0);
        let mount_from =
            near.find(|it| it.registry == to.registry && it.repository != to.repository);
        let media_type = MediaType::from(described.media_type.as_str());
        let blob = Descriptor::new(media_type, digest, size);
        let remote = network.client().repository(&to.registry, &to.repository)?;
        let mount_from = mount_from.map(|it| &it.repository);
        network.run(remote.upload(&blob, &*source, mount_from))?;
        Ok(())
    }
}

impl Described {
    /// Reads metadata of a layer, or a descriptor: only the digest must be there.
    fn read(context: &Context, path: &Path) -> Result<Self, Failure> {
        let what = || format!("metadata {}", path.display());
        let bytes = fs::read(context.path(path))?;
        let value = Value::parse(&bytes, &Limits::default()).explain(what)?;
        let mut fields = Fields::of(&value, what())?;
        Ok(Self {
            digest: Some(fields.parsed("digest")?),
            media_type: fields.optional_string("mediaType")?.unwrap_or_default(),
            size: fields.optional("size").and_then(|size| size.as_u64()),
        })
    }

    /// Adds what the file itself tells, which must not be something else.
    fn complete(&mut self, file: &Path) -> Result<(), Failure> {
        let found = fs::File::open(file)?.metadata()?.len();
        if self.digest.is_none() {
            self.digest = Some(crate::deploy::hash_file(file, Algorithm::Sha256)?);
        }
        match self.size {
            Some(size) if size != found => {
                let file = file.display();
                let message = format!("{file} has {found} bytes, and --metadata says {size}");
                Err(Failure::new(message).hint("give the file that --metadata was made of"))
            }
            _ => {
                self.size = Some(found);
                Ok(())
            }
        }
    }
}

/// What is written of a blob that was sent.
fn result(to: &Location, digest: &Digest, described: &Described) -> Vec<u8> {
    let mut object = Object::new();
    object.set("registry", to.registry.as_str());
    object.set("repository", to.repository.as_str());
    object.set("digest", digest.to_string());
    if !described.media_type.is_empty() {
        object.set("mediaType", &described.media_type);
    }
    if let Some(size) = described.size.filter(|size| *size > 0) {
        object.set("size", size);
    }
    object.to_compact()
}
