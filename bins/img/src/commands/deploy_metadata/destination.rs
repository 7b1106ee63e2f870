//! Where an image goes: the configuration of a push or load.

use std::path::Path;

use fs_err as fs;
use imgcore::deploy::Operation;
use imgcore::json::{Fields, Kind, Limits, Strictness, Value};
use imgcore::{Error, Reference};

use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// Where an image goes. What is not said is empty.
#[derive(Debug, Default)]
pub(super) struct Destination {
    pub(super) registry: String,
    pub(super) repository: String,
    pub(super) tags: Vec<String>,
    pub(super) daemon: String,
}

impl Destination {
    /// Reads the destination of a push: from its own file, or from the configuration.
    pub(super) fn of_push(
        context: &Context,
        configuration: Option<&Path>,
        own_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let mut destination = Self::read(context, configuration)?;
        if let Some(path) = own_file {
            let text = fs::read_to_string(context.path(path))?;
            let place = || format!("destination file {}", path.display());
            let (registry, repository) = split(text.trim()).ok_or_else(|| {
                Failure::new(format!("{}: {:?} is no destination", place(), text.trim()))
                    .hint("write one line, REGISTRY/REPOSITORY")
            })?;
            registry.clone_into(&mut destination.registry);
            repository.clone_into(&mut destination.repository);
        }
        for (name, text) in [
            ("registry", &destination.registry),
            ("repository", &destination.repository),
        ] {
            if text.is_empty() {
                let message = format!("a push needs a {name}");
                return Err(Failure::new(message)
                    .hint("name it in the configuration file or give a destination file"));
            }
        }
        Ok(destination)
    }

    /// Reads the destination of a load from the configuration.
    pub(super) fn of_load(
        context: &Context,
        configuration: Option<&Path>,
    ) -> Result<Self, Failure> {
        let destination = Self::read(context, configuration)?;
        if destination.daemon.is_empty() {
            return Err(Failure::new("a load needs a daemon")
                .hint("name it in the configuration file: \"daemon\": \"docker\""));
        }
        if destination.registry.is_empty() != destination.repository.is_empty() {
            return Err(Failure::new(
                "a load has registry and repository, or neither: one of them is missing",
            ));
        }
        destination.check_names()?;
        Ok(destination)
    }

    /// Lets an operation go to the same repository.
    pub(super) fn address(&self, operation: &mut Operation) {
        operation.registry.clone_from(&self.registry);
        operation.repository.clone_from(&self.repository);
    }

    fn read(context: &Context, path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let bytes = fs::read(context.path(path))?;
        Self::parse(&bytes).explain(|| path.display().to_string())
    }

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of(&Value::parse(bytes, &Limits::default())?, "configuration")?;
        // What is no list is no tags.
        let has_tags = fields
            .optional("tags")
            .is_some_and(|tags| tags.kind() == Kind::Array);
        let destination = Self {
            registry: fields.optional_string("registry")?.unwrap_or_default(),
            repository: fields.optional_string("repository")?.unwrap_or_default(),
            tags: if has_tags {
                fields.strings("tags")?
            } else {
                Vec::new()
            },
            daemon: fields.optional_string("daemon")?.unwrap_or_default(),
        };
        fields.finish(Strictness::Lenient)?;
        Ok(destination)
    }

    /// Checks that an engine can be told the names.
    fn check_names(&self) -> Result<(), Failure> {
        for tag in &self.tags {
            let name = if self.registry.is_empty() {
                tag.clone()
            } else {
                format!("{}/{}:{tag}", self.registry, self.repository)
            };
            name.parse::<Reference>()
                .explain(|| format!("{name:?} is no name for an image"))?;
        }
        Ok(())
    }
}

fn split(destination: &str) -> Option<(&str, &str)> {
    destination
        .split_once('/')
        .filter(|(registry, repository)| !registry.is_empty() && !repository.is_empty())
}
