//! Loading images into container engines: which engine, and what is said about it.

mod platforms;
mod shown;

use std::path::{Path, PathBuf};

use imgauth::Environment;
use imgload::containerd::{Containerd, Options, default_sockets, parse_address};
use imgload::{Engine, Image, Report};
use tokio::runtime::Runtime;

pub(crate) use self::platforms::PlatformList;
pub(crate) use self::shown::summary;
use crate::cli::value::Integer;
use crate::context::Context;
use crate::credentials;
use crate::network::{Display, watch_load};
use crate::report::{Explain as _, Failure};

/// Which engine images are loaded into, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EngineArguments {
    /// Which engine
    #[arg(long, value_name = "ENGINE", default_value = "containerd")]
    engine: EngineName,
    /// The socket of containerd, instead of `CONTAINERD_ADDRESS` and the usual places
    #[arg(long, value_name = "SOCKET")]
    containerd: Option<String>,
    /// The namespace of containerd, instead of `CONTAINERD_NAMESPACE` and `default`
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// How many blobs are sent at once
    #[arg(short, long, value_name = "N", default_value = "4")]
    jobs: Integer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum EngineName {
    /// Over its socket
    Containerd,
    /// Not built yet
    Docker,
    /// Not built yet
    Podman,
}

/// An engine that answers.
#[derive(Debug)]
pub(crate) struct Loader {
    runtime: Runtime,
    engine: Containerd,
}

impl EngineArguments {
    /// Finds the engine.
    ///
    /// # Errors
    ///
    /// Fails if it does not answer, or if nobody can load into it yet.
    pub(crate) fn open(&self, context: &Context) -> Result<Loader, Failure> {
        let other = match self.engine {
            EngineName::Containerd => None,
            EngineName::Docker => Some(("Docker", "docker load")),
            EngineName::Podman => Some(("Podman", "podman load")),
        };
        if let Some((name, command)) = other {
            let message = format!("loading into {name} is not built yet");
            return Err(Failure::new(message).hint(format!(
                "write an archive with `img docker-save`, and give it to `{command}`"
            )));
        }
        let environment = credentials::environment();
        let sockets = self.sockets(context, &environment)?;
        let mut options = Options::default();
        let namespace = environment.text("CONTAINERD_NAMESPACE");
        if let Some(namespace) = self.namespace.as_deref().or(namespace) {
            namespace.clone_into(&mut options.namespace);
        }
        options.jobs = usize::try_from(self.jobs.0).unwrap_or(1).max(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .explain(|| "cannot start the threads for sockets and disk")?;
        let engine = runtime.block_on(Containerd::connect(&sockets, options));
        let engine = engine.map_err(|error| {
            let is_absent = error.kind() == imgload::ErrorKind::NoEngine;
            let failure = Failure::from(error);
            if is_absent {
                failure.hint("--containerd or CONTAINERD_ADDRESS names a socket; loading into Docker and Podman is not built yet")
            } else {
                failure
            }
        })?;
        Ok(Loader { runtime, engine })
    }

    /// Lists the sockets to try: one that is named is the only one.
    fn sockets(
        &self,
        context: &Context,
        environment: &Environment,
    ) -> Result<Vec<PathBuf>, Failure> {
        if let Some(address) = &self.containerd {
            let socket = parse_address(address).explain(|| "--containerd")?;
            return Ok(vec![context.path(socket)]);
        }
        if let Some(address) = environment.text("CONTAINERD_ADDRESS") {
            let socket = parse_address(address).explain(|| "CONTAINERD_ADDRESS")?;
            return Ok(vec![socket]);
        }
        Ok(default_sockets(
            environment.text("XDG_RUNTIME_DIR").map(Path::new),
        ))
    }
}

impl Loader {
    /// Loads an image, and shows how that goes on.
    ///
    /// # Errors
    ///
    /// Fails if it is not there with all its names.
    pub(crate) fn load(
        &self,
        context: &Context,
        image: &Image,
        display: Display,
    ) -> Result<Report, Failure> {
        watch_load(context, display, |progress| {
            Ok(self.runtime.block_on(self.engine.load(image, progress))?)
        })
    }
}
