//! `img deploy-metadata`: the deploy manifest of one push or load.

mod destination;
mod image;
mod referrers;
mod sign;
mod tags;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use fs_err as fs;
use imgcore::deploy::{
    Command, CrossMountHint, DeployManifest, LoadStrategy, Operation, Original, PushStrategy,
    RootKind, Settings, Sign, Source,
};
use imgcore::json::Strictness;

use super::layer_hints;
use crate::cli::Run;
use crate::cli::value::{IndexAndFile, IndexesAndFile, KeyAndValue};
use crate::context::Context;
use crate::output::Outputs;
use crate::report::{Explain as _, Failure};

use destination::Destination;
use image::{DeployedImage, Extras};
use sign::SignFlags;

/// Writes what a push or load of an image has to do
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What is to be done: `push` or `load`
    #[arg(long, value_name = "COMMAND", value_parser = parse_command)]
    command: Command,
    /// The manifest or index that is pushed or loaded
    #[arg(long, value_name = "FILE")]
    root_path: PathBuf,
    /// What the root is: `manifest` or `index`
    #[arg(long, value_name = "KIND")]
    root_kind: RootKind,
    /// A manifest of the image, by its place in the index
    #[arg(long, value_name = "I=FILE")]
    manifest_path: Vec<IndexAndFile>,
    /// A JSON file with `registry`, `repository` and `tags`, for a load also `daemon`
    #[arg(long, value_name = "FILE")]
    configuration_file: Option<PathBuf>,
    /// A file with `REGISTRY/REPOSITORY`, in place of those in the configuration
    #[arg(long, value_name = "FILE")]
    destination_file: Option<PathBuf>,
    /// Where layers come from: `eager`, `lazy`, and for a push `cas_registry` or `bes`
    #[arg(long, default_value = "eager")]
    strategy: String,
    /// The tags of one manifest of the index: JSON with the list `manifest_tags`
    #[arg(long, value_name = "I=FILE")]
    manifest_tag_file: Vec<IndexAndFile>,
    #[command(flatten)]
    push: PushFlags,
    #[command(flatten)]
    original: OriginalFlags,
    #[command(flatten)]
    layers: LayerFlags,
    #[command(flatten)]
    referrers: ReferrerFlags,
    #[command(flatten)]
    sign: SignFlags,
    /// The file for the deploy manifest
    #[arg(value_name = "OUT", help_heading = None::<&'static str>)]
    output: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How a push uploads")]
struct PushFlags {
    /// Which repositories blobs may be mounted from: `same_registry`, `cross_registry`, `disabled`
    #[arg(long, value_name = "STRATEGY")]
    cross_mount_strategy: Option<String>,
    /// A deploy manifest whose repositories blobs may be mounted from
    #[arg(long, value_name = "FILE")]
    cross_mount_from_manifest_path: Option<PathBuf>,
    /// The repository that blobs are staged in
    #[arg(long, value_name = "REPOSITORY")]
    blob_repository: Option<String>,
    /// Layers must be in the registry already
    #[arg(long)]
    forbid_layer_push: bool,
    /// How blobs are uploaded once for all repositories
    #[arg(long, value_name = "MODE")]
    deduplicated_push: Option<String>,
    /// The repository that de-duplicated blobs are uploaded to
    #[arg(long, value_name = "REPOSITORY")]
    deduplicated_push_blob_repository: Option<String>,
    /// What a de-duplicated push uploads
    #[arg(long, value_name = "CONTENT")]
    deduplicated_push_content: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where the base came from")]
struct OriginalFlags {
    /// A registry that the base was pulled from, best first
    #[arg(long = "original-registry", value_name = "REGISTRY")]
    registries: Vec<String>,
    /// The repository that the base was pulled from
    #[arg(long = "original-repository", value_name = "REPOSITORY")]
    repository: Option<String>,
    /// The tag that the base was pulled by
    #[arg(long = "original-tag", value_name = "TAG")]
    tag: Option<String>,
    /// The digest that the base was pulled by
    #[arg(long = "original-digest", value_name = "DIGEST")]
    digest: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where layers are")]
struct LayerFlags {
    /// A JSON file that says which repositories have which layer
    #[arg(long = "layer-sources-file", value_name = "FILE")]
    sources: Option<PathBuf>,
    /// The file that a layer can be rebuilt from, by the places of its manifest and itself
    #[arg(long = "layer-compact-stream", value_name = "I,J=FILE")]
    compact_streams: Vec<IndexesAndFile>,
    /// Paths of layers and of their metadata, one pair a line
    #[arg(long = "layer-hints-paths-file-input", value_name = "FILE")]
    hints_input: Option<PathBuf>,
    /// Where the paths of layers by digest go
    #[arg(long = "layer-hints-paths-output", value_name = "FILE")]
    hints_output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Referrers, which are pushed after the image")]
struct ReferrerFlags {
    /// A manifest or index that refers to the image
    #[arg(long = "referrer-root-path", value_name = "I=FILE")]
    root_paths: Vec<IndexAndFile>,
    /// What a referrer's root is: `manifest` or `index`
    #[arg(long = "referrer-root-kind", value_name = "I=KIND")]
    root_kinds: Vec<KeyAndValue>,
    /// A manifest of a referrer, by the places of the referrer and in its index
    #[arg(long = "referrer-manifest-path", value_name = "I,J=FILE")]
    manifest_paths: Vec<IndexesAndFile>,
}

fn parse_command(word: &str) -> Result<Command, String> {
    match word.parse() {
        Ok(command @ (Command::Push | Command::Load)) => Ok(command),
        _ => Err("known are push and load".to_owned()),
    }
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let mut outputs = Outputs::default();
        layer_hints::write(
            context,
            self.layers.hints_input.as_deref(),
            self.layers.hints_output.as_deref(),
            &mut outputs,
        )?;
        let extras = Extras::read(
            context,
            self.layers.sources.as_deref(),
            &self.layers.compact_streams,
        )?;
        let image = DeployedImage::read(
            context,
            self.root_kind,
            &self.root_path,
            &self.manifest_path,
            &extras,
        )?;
        let mut manifest = DeployManifest::default();
        let operations = if self.command == Command::Load {
            manifest.settings.load_strategy = Some(self.strategy::<LoadStrategy>()?);
            vec![self.load(context, &image)?]
        } else {
            self.set_push_settings(context, &mut manifest.settings)?;
            self.pushes(context, &image)?
        };
        manifest.operations = operations.iter().map(Operation::to_request).collect();
        outputs.add_bytes(context, &self.output, &manifest.to_json_bytes())?;
        outputs.commit(context)
    }
}

impl Arguments {
    fn load(&self, context: &Context, image: &DeployedImage) -> Result<Operation, Failure> {
        if !self.manifest_tag_file.is_empty() || !self.referrers.root_paths.is_empty() {
            return Err(
                Failure::new("tags of manifests and referrers are for a push")
                    .hint("leave --manifest-tag-file and --referrer-root-path out"),
            );
        }
        let destination = Destination::of_load(context, self.configuration_file.as_deref())?;
        let mut operation = image.operation(Command::Load);
        operation.original = self.original.original();
        operation.registry = destination.registry;
        operation.repository = destination.repository;
        operation.tags = destination.tags;
        operation.daemon = destination.daemon;
        Ok(operation)
    }

    fn set_push_settings(&self, context: &Context, settings: &mut Settings) -> Result<(), Failure> {
        settings.push_strategy = Some(self.strategy::<PushStrategy>()?);
        settings.blob_repository = self.push.blob_repository.clone().unwrap_or_default();
        settings.forbid_layer_push = self.push.forbid_layer_push;
        settings.default_sign_setting = self.sign.default_setting(context)?;
        Ok(())
    }

    fn strategy<T: FromStr<Err = imgcore::Error>>(&self) -> Result<T, Failure> {
        self.strategy.parse().explain(|| "--strategy")
    }

    /// The push, then the tags of manifests, then what refers to the image.
    fn pushes(&self, context: &Context, image: &DeployedImage) -> Result<Vec<Operation>, Failure> {
        let destination = Destination::of_push(
            context,
            self.configuration_file.as_deref(),
            self.destination_file.as_deref(),
        )?;
        let mut push = image.operation(Command::Push);
        push.cross_mount_hint = self.cross_mount_hint(context, &destination)?;
        push.original = self.original.original();
        destination.address(&mut push);
        push.tags.clone_from(&destination.tags);
        push.sign = self.sign.sign(context)?;
        self.push.deduplicate(&mut push);

        let mut operations = vec![push];
        for (child, tags) in tags::read(context, image, &self.manifest_tag_file)? {
            let mut tag = Operation::new(Command::RegistryTag, RootKind::Manifest, child);
            destination.address(&mut tag);
            tag.tags = tags;
            self.push.deduplicate(&mut tag);
            operations.push(tag);
        }
        let sign = operations[0].sign.clone();
        for referrer in self.referrers.read(context, image)? {
            let mut operation = referrer.operation(Command::Push);
            destination.address(&mut operation);
            operation.sign = sign.clone().filter(Sign::covers_referrers);
            if let Some(sign) = &mut operation.sign {
                sign.targets.clear();
            }
            operation.referrer = true;
            operations.push(operation);
        }
        Ok(operations)
    }

    /// Finds the first repository that the registry may mount blobs from.
    fn cross_mount_hint(
        &self,
        context: &Context,
        destination: &Destination,
    ) -> Result<Option<CrossMountHint>, Failure> {
        let across = match self.push.cross_mount_strategy.as_deref() {
            Some("same_registry") => false,
            Some("cross_registry") => true,
            _ => return Ok(None),
        };
        let mut sources = Vec::new();
        if let Some(path) = &self.push.cross_mount_from_manifest_path {
            sources = pushed_repositories(context, path)?;
        }
        let original = self.original.original();
        if !original.repository.is_empty() {
            let registries = original.registries.iter();
            sources.extend(registries.map(|registry| Source::new(registry, &original.repository)));
        }
        Ok(sources.into_iter().find_map(|source| {
            let same = source.registry == destination.registry;
            (same || across).then(|| {
                let registry = (!same).then_some(source.registry);
                CrossMountHint::new(registry, source.repository)
            })
        }))
    }
}

/// The destinations of the pushes of another deploy manifest.
fn pushed_repositories(context: &Context, path: &Path) -> Result<Vec<Source>, Failure> {
    let bytes = fs::read(context.path(path))?;
    let place = || path.display().to_string();
    let manifest = DeployManifest::parse(&bytes, Strictness::Lenient).explain(place)?;
    let mut sources = Vec::new();
    for request in &manifest.operations {
        if request.command() == Command::Push.as_str()
            && let Some(push) = request.decode().explain(place)?
        {
            sources.push(Source::new(push.registry, push.repository));
        }
    }
    Ok(sources)
}

impl OriginalFlags {
    fn original(&self) -> Original {
        let mut original = Original::default();
        original.registries.clone_from(&self.registries);
        original.repository = self.repository.clone().unwrap_or_default();
        original.tag = self.tag.clone().unwrap_or_default();
        original.digest = self.digest.clone().unwrap_or_default();
        original
    }
}

impl PushFlags {
    fn deduplicate(&self, operation: &mut Operation) {
        let text = |flag: &Option<String>| flag.clone().unwrap_or_default();
        operation.deduplicated_push = text(&self.deduplicated_push);
        operation.deduplicated_push_blob_repository = text(&self.deduplicated_push_blob_repository);
        operation.deduplicated_push_content = text(&self.deduplicated_push_content);
    }
}
