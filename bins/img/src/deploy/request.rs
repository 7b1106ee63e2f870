//! What is to be deployed: the operations of all request files, checked before anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use fs_err as fs;
use imgcore::deploy::{Command, DeployManifest, Operation, PushStrategy, Settings};
use imgcore::json::Strictness;
use imgcore::{Digest, RegistryHost, Repository, Tag};
use imgpush::Location;

use super::sources::layer_places;
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// The operations of all request files in their order, and the settings that hold for them.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) operations: Vec<Step>,
    pub(crate) settings: Settings,
    /// The registries that are named as places of layers, best first.
    pub(crate) layer_places: BTreeMap<Digest, Vec<Location>>,
}

/// An operation and its place among all, by which runfiles name it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Counts every operation, those of commands that nobody here knows included.
    pub(crate) place: usize,
    pub(crate) operation: Operation,
    /// Where it goes; `None` for a load that names images by their tags alone.
    pub(crate) destination: Option<Location>,
    /// Where the base of the image probably is: a repository to mount from, if the registry is the same.
    pub(crate) cross_mount: Option<Location>,
    pub(crate) tags: Vec<String>,
}

/// What the command line says instead of the request files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) registry: Option<RegistryHost>,
    pub(crate) repository: Option<Repository>,
    /// Tags beside those of each push and load.
    pub(crate) tags: Vec<Tag>,
}

impl Request {
    /// Reads request files. The operations stand behind each other; the settings of the last file hold for all.
    ///
    /// One file by itself must not say anything that is not understood, unless a worker asks. Of several, settings and
    /// members at the top that nobody knows are passed over. Operations never have unknown members.
    ///
    /// # Errors
    ///
    /// Fails if there is no file, or one cannot be read or is no deploy manifest.
    pub(crate) fn read(
        context: &Context,
        files: &[PathBuf],
        overrides: &Overrides,
    ) -> Result<Self, Failure> {
        let is_alone = files.len() == 1 && context.report.owns_stdout();
        let strictness = if is_alone {
            Strictness::Strict
        } else {
            Strictness::Lenient
        };
        Self::read_as(context, files, overrides, strictness)
    }

    /// Reads request files, and passes over members at the top that nobody knows.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub(crate) fn read_lenient(
        context: &Context,
        files: &[PathBuf],
        overrides: &Overrides,
    ) -> Result<Self, Failure> {
        Self::read_as(context, files, overrides, Strictness::Lenient)
    }

    fn read_as(
        context: &Context,
        files: &[PathBuf],
        overrides: &Overrides,
        strictness: Strictness,
    ) -> Result<Self, Failure> {
        if files.is_empty() {
            return Err(Failure::new("missing --request-file")
                .hint("name a deploy manifest, as img deploy-metadata writes it"));
        }
        let mut request = Self::default();
        let mut place = 0;
        for file in files {
            let name = || file.display().to_string();
            let bytes = fs::read(context.path(file))?;
            let manifest = DeployManifest::parse(&bytes, strictness).explain(name)?;
            request.settings = manifest.settings;
            for operation in manifest.operations {
                if let Some(operation) = operation.decode().explain(name)? {
                    let step = Step::new(place, operation, overrides);
                    let step = step.map_err(|failure| failure.in_front(name()))?;
                    request.operations.push(step);
                }
                place += 1;
            }
        }
        request.layer_places = layer_places(&request.operations)?;
        Ok(request)
    }

    /// Lists every registry that the request names: where its images go, and where layers may be.
    pub(crate) fn hosts(&self) -> Vec<RegistryHost> {
        let steps = self.operations.iter();
        let named = steps.flat_map(|step| step.destination.iter().chain(&step.cross_mount));
        let places = self.layer_places.values().flatten();
        let hosts = places.chain(named).map(|place| place.registry.clone());
        let hosts: BTreeSet<_> = hosts.collect();
        hosts.into_iter().collect()
    }

    /// Returns the operations for registries: pushes and tags.
    pub(crate) fn pushes(&self) -> impl Iterator<Item = &Step> {
        let is_push = |step: &&Step| step.operation.command != Command::Load;
        self.operations.iter().filter(is_push)
    }

    /// Checks that every operation can be carried out by this program.
    ///
    /// # Errors
    ///
    /// Fails with the name of what is missing.
    pub(crate) fn check(&self, loads_too: bool) -> Result<(), Failure> {
        if self.pushes().next().is_some() {
            check_strategy(self.settings.push_strategy)?;
        }
        let is_load = |step: &&Step| step.operation.command == Command::Load;
        if let Some(load) = self.operations.iter().find(is_load)
            && !loads_too
        {
            let message = format!(
                "operation {} is a load, and loads of deploy manifests are not built yet",
                load.place
            );
            return Err(Failure::new(message)
                .hint("nothing was sent; `img load` loads an image into containerd, --sink docker-save:FILE writes it to a file"));
        }
        Ok(())
    }
}

impl Step {
    fn new(place: usize, operation: Operation, overrides: &Overrides) -> Result<Self, Failure> {
        let what = |member: &str| format!("operation {place}: {member}");
        let is_load = operation.command == Command::Load;
        let registry = match &overrides.registry {
            Some(registry) if !is_load => Some(registry.clone()),
            _ if operation.registry.is_empty() => None,
            _ => Some(operation.registry.parse().explain(|| what("registry"))?),
        };
        let repository = match &overrides.repository {
            Some(repository) if !is_load => Some(repository.clone()),
            _ if operation.repository.is_empty() => None,
            _ => Some(
                operation
                    .repository
                    .parse()
                    .explain(|| what("repository"))?,
            ),
        };
        let destination = match (registry, repository) {
            (Some(registry), Some(repository)) => Some(Location::new(registry, repository)),
            _ => None,
        };
        let mut tags: BTreeSet<String> = operation.tags.iter().cloned().collect();
        tags.remove("");
        let takes_more = operation.command != Command::RegistryTag && !operation.referrer;
        if takes_more && (!is_load || destination.is_some()) {
            tags.extend(overrides.tags.iter().map(ToString::to_string));
        }
        if destination.is_some() {
            for tag in &tags {
                tag.parse::<Tag>()
                    .explain(|| what(&format!("tag `{tag}`")))?;
            }
        }
        let cross_mount = match &destination {
            Some(to) if !is_load => cross_mount(&operation, to)
                .map_err(|failure| failure.in_front(what("cross_mount_hint")))?,
            _ => None,
        };
        Ok(Self {
            place,
            operation,
            destination,
            cross_mount,
            tags: tags.into_iter().collect(),
        })
    }
}

/// Reads where the base of an image probably is; without a registry, that is where the image goes.
fn cross_mount(operation: &Operation, to: &Location) -> Result<Option<Location>, Failure> {
    let Some(hint) = &operation.cross_mount_hint else {
        return Ok(None);
    };
    let registry = match &hint.registry {
        Some(registry) => registry.parse()?,
        None => to.registry.clone(),
    };
    Ok(Some(Location::new(registry, hint.repository.parse()?)))
}

/// Says what is missing where layers would have to come from a remote cache.
fn check_strategy(strategy: Option<PushStrategy>) -> Result<(), Failure> {
    let missing = match strategy {
        None | Some(PushStrategy::Eager) => return Ok(()),
        Some(PushStrategy::Lazy) => {
            "reading layers from a remote cache (IMG_REAPI_ENDPOINT) is not built yet"
        }
        Some(PushStrategy::CasRegistry) => {
            "a registry over a remote cache, which takes layers by digest alone, is not built yet"
        }
        Some(PushStrategy::Bes) => {
            "a server for build events, which pushes in place of this command, is not built yet"
        }
        Some(_) => "this strategy is not known",
    };
    let name = strategy.map_or("eager", PushStrategy::as_str);
    Err(Failure::new(format!("push strategy `{name}`: {missing}"))
        .hint("nothing was sent; write `eager` into the request, as deploy-metadata --strategy and deploy-merge --push-strategy do"))
}

#[cfg(test)]
mod tests {
    use imgcore::deploy::{CrossMountHint, ImageManifest, LayerBlob, RootKind};
    use imgcore::{Digest, LayerMetadata, MediaType};

    use super::*;

    fn push(tags: &[&str]) -> Operation {
        let root = LayerMetadata::new(None, MediaType::OCI_MANIFEST, Digest::sha256_of(b"{}"), 2);
        let mut operation = Operation::new(Command::Push, RootKind::Manifest, root);
        operation.registry = "r.example".to_owned();
        operation.repository = "team/app".to_owned();
        operation.tags = tags.iter().map(ToString::to_string).collect();
        operation
    }

    fn overrides() -> Overrides {
        Overrides {
            registry: Some("other.example".parse().unwrap()),
            repository: None,
            tags: vec!["more".parse().unwrap(), "a".parse().unwrap()],
        }
    }

    #[test]
    fn tags_are_sorted_and_each_is_there_once_and_empty_ones_are_none() {
        let step = Step::new(0, push(&["b", "", "a", "b"]), &Overrides::default()).unwrap();
        assert_eq!(step.tags, ["a", "b"]);
    }

    #[test]
    fn words_of_the_command_line_come_first_and_tags_are_added() {
        let step = Step::new(0, push(&["b"]), &overrides()).unwrap();
        assert_eq!(
            step.destination.unwrap().to_string(),
            "other.example/team/app"
        );
        assert_eq!(step.tags, ["a", "b", "more"]);
    }

    #[test]
    fn what_has_tags_of_its_own_gets_no_more() {
        let mut referrer = push(&[]);
        referrer.referrer = true;
        assert!(
            Step::new(0, referrer, &overrides())
                .unwrap()
                .tags
                .is_empty()
        );
        let mut child = push(&["v1-arm64"]);
        child.command = Command::RegistryTag;
        let step = Step::new(0, child, &overrides()).unwrap();
        assert_eq!(step.tags, ["v1-arm64"]);
        assert_eq!(step.destination.unwrap().registry.as_str(), "other.example");
    }

    #[test]
    fn a_load_keeps_its_names() {
        let mut load = push(&["demo:dev"]);
        load.command = Command::Load;
        load.registry.clear();
        load.repository.clear();
        let step = Step::new(0, load, &overrides()).unwrap();
        assert_eq!(step.destination, None);
        assert_eq!(step.tags, ["demo:dev"]);
    }

    #[test]
    fn every_registry_that_is_named_is_a_host() {
        let mut base = push(&["v7"]);
        base.original.registries = vec!["base.example".to_owned()];
        base.original.repository = "os/tiny".to_owned();
        let mut image = ImageManifest::new(base.root.clone(), base.root.clone());
        image.layer_blobs.push(LayerBlob::new(base.root.clone()));
        base.manifests.push(image);
        let hint = |registry: Option<&str>| {
            let mut push = push(&[]);
            let registry = registry.map(ToOwned::to_owned);
            push.cross_mount_hint = Some(CrossMountHint::new(registry, "os/tiny"));
            push
        };
        let mut manifest = DeployManifest::default();
        manifest.operations = [base, hint(Some("mount.example")), hint(None)]
            .map(|it| it.to_request())
            .into();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("push.json");
        fs::write(&file, manifest.to_json_bytes()).unwrap();
        let request = Request::read(&Context::of_process(), &[file], &Overrides::default());
        let hosts = request.unwrap().hosts().into_iter();
        let hosts: Vec<String> = hosts.map(|it| it.to_string()).collect();
        assert_eq!(hosts, ["base.example", "mount.example", "r.example"]);
    }

    #[test]
    fn a_bad_tag_is_told_with_its_operation() {
        let failure = Step::new(3, push(&["a b"]), &Overrides::default()).unwrap_err();
        insta::assert_snapshot!(failure, @"img: operation 3: tag `a b`: ` ` cannot stand in a tag");
    }
}
