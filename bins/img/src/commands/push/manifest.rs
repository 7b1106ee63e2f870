//! `img push manifest`: the manifests of an image whose layers were sent while it was built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::deploy::Command;
use imgcore::json::{Fields, Limits, Value};
use imgcore::{Digest, RegistryHost};
use imgpush::{Location, Options};

use super::Mode;
use crate::cli::Run;
use crate::cli::value::Integer;
use crate::context::Context;
use crate::deploy::{Groups, Overrides, Request, SharingOverrides, SourceArguments, open_sources};
use crate::network::{Direction, Display, Network, NetworkArguments};
use crate::output;
use crate::push;
use crate::report::{Explain as _, Failure};

/// Pushes the manifests of images whose layers are on the registry
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A deploy manifest, of which the pushes are carried out
    #[arg(long, value_name = "FILE")]
    request_file: Option<PathBuf>,
    /// A directory with manifests and configs, below blobs/sha256
    #[arg(long, value_name = "DIR", action = clap::ArgAction::Append)]
    oci_layout: Vec<PathBuf>,
    /// Where a layer is, as `img push blob` wrote it
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append)]
    layer_result: Vec<PathBuf>,
    /// The repository that everything goes to, instead of the manifest's
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    manifest_repository: String,
    /// Whether a failure fails the build
    #[arg(long, value_name = "MODE", default_value = "enabled")]
    mode: Mode,
    /// An empty file that is written when that is done
    #[arg(long, value_name = "FILE")]
    marker: Option<PathBuf>,
    /// How many requests are in flight at once
    #[arg(long, value_name = "N", default_value = "4")]
    jobs: Integer,
    #[command(flatten)]
    network: NetworkArguments,
}

/// Where a layer is.
struct LayerResult {
    digest: Digest,
    /// `None` for the registry that the manifests go to.
    registry: Option<RegistryHost>,
    repository: imgcore::Repository,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let request = self.request(context)?;
        let results = self.layer_result.iter();
        let results = results.map(|path| LayerResult::read(context, path));
        let results: Vec<_> = results.collect::<Result<_, _>>()?;
        if let Err(failure) = self.push(context, &request, &results) {
            self.mode.take(context, failure)?;
        }
        match &self.marker {
            Some(marker) => output::write(context, marker, b""),
            None => Ok(()),
        }
    }
}

impl Arguments {
    /// Reads the pushes of the request. Their layers are on a registry, whatever the strategy.
    fn request(&self, context: &Context) -> Result<Request, Failure> {
        let repository = match self.manifest_repository.as_str() {
            "" => None,
            name => {
                let parsed = name.parse();
                Some(parsed.explain(|| format!("--manifest-repository {name}"))?)
            }
        };
        let overrides = Overrides {
            repository,
            ..Overrides::default()
        };
        let files: Vec<PathBuf> = self.request_file.iter().cloned().collect();
        let mut request = Request::read_lenient(context, &files, &overrides)?;
        let operations = &mut request.operations;
        operations.retain(|step| step.operation.command == Command::Push);
        if request.operations.is_empty() {
            return Err(Failure::new("the request has no push")
                .hint("make it with `img deploy-metadata --command push`"));
        }
        Ok(request)
    }

    fn push(
        &self,
        context: &Context,
        request: &Request,
        results: &[LayerResult],
    ) -> Result<(), Failure> {
        let mut hosts = request.hosts();
        hosts.extend(results.iter().filter_map(|it| it.registry.clone()));
        let network = Network::open_for(Direction::Push, context, &self.network, &hosts)?;
        let layouts = SourceArguments::of_layouts(self.oci_layout.clone());
        let sources = open_sources(context, &layouts, request, &network)?;
        let mut options = Options::default();
        options.jobs = usize::try_from(self.jobs.0).unwrap_or(1).max(1);
        let mut groups = Groups::of(request, &sources, &options, &SharingOverrides::default())?;
        for group in &mut groups.all {
            for image in &mut group.images {
                let places = places(results, &image.destination.registry);
                for (digest, place) in places {
                    let known = image.layer_sources.entry(digest).or_default();
                    known.retain(|it| *it != place);
                    known.insert(0, place);
                }
            }
        }
        let mut reports = Vec::new();
        for group in groups.all {
            let (images, options) = (group.images, &group.options);
            let report = push::push(context, &network, images, options, Display::None)?;
            reports.push(report);
        }
        push::check(context, &push::merged(reports))
    }
}

fn places(results: &[LayerResult], registry: &RegistryHost) -> BTreeMap<Digest, Location> {
    let place = |it: &LayerResult| {
        let registry = it.registry.as_ref().unwrap_or(registry);
        let place = Location::new(registry.clone(), it.repository.clone());
        (it.digest, place)
    };
    results.iter().map(place).collect()
}

impl LayerResult {
    fn read(context: &Context, path: &Path) -> Result<Self, Failure> {
        let what = || format!("layer result {}", path.display());
        let bytes = fs::read(context.path(path))?;
        let value = Value::parse(&bytes, &Limits::default()).explain(what)?;
        let mut fields = Fields::of(&value, what())?;
        let registry = fields.optional_string("registry")?.unwrap_or_default();
        Ok(Self {
            digest: fields.parsed("digest")?,
            registry: match registry.as_str() {
                "" => None,
                registry => Some(registry.parse().explain(what)?),
            },
            repository: fields.parsed("repository")?,
        })
    }
}
