//! containerd where there are Unix sockets.

mod blobs;
mod client;
mod labels;
mod lease;
mod load;
mod names;
mod presence;
mod proto;
mod supply;
mod write;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_core::future::BoxFuture;
use imgcore::{Digest, Reference};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use self::client::Session;
use super::Options;
use crate::error::Attempt;
use crate::{Engine, Error, ErrorKind, Image, Progress, Report, Result};

/// How long a daemon may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// A containerd that answers. Cheap to clone; clones share one connection, which is made anew when it breaks.
#[derive(Clone, Debug)]
pub struct Containerd {
    channel: Channel,
    /// What it is called in messages.
    name: String,
    options: Options,
}

impl Containerd {
    /// Connects to the first of some sockets at which a containerd answers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoEngine`] if none does; the error says for each why. [`ErrorKind::InvalidInput`] for a namespace that
    /// cannot be.
    pub async fn connect(sockets: &[PathBuf], options: Options) -> Result<Self> {
        options.check()?;
        let mut attempts = Vec::new();
        let mut tried = HashSet::new();
        for socket in sockets {
            // `/var/run` is `/run` nearly everywhere.
            let same = std::path::absolute(socket).unwrap_or_else(|_| socket.clone());
            let same = socket.canonicalize().unwrap_or(same);
            if !tried.insert(same) {
                continue;
            }
            match Self::try_connect(socket, &options).await {
                Ok(containerd) => return Ok(containerd),
                Err(reason) => attempts.push(Attempt::new(socket, reason)),
            }
        }
        let text = "no containerd answers; start it, or name the socket of one that runs";
        Err(Error::new(ErrorKind::NoEngine, text).with_attempts(attempts))
    }

    async fn try_connect(socket: &Path, options: &Options) -> Result<Self, String> {
        // The channel would only say that it did not work.
        let connected = UnixStream::connect(socket).await;
        drop(connected.map_err(|error| reason_of(&error))?);
        let path = socket.to_str().ok_or("the path is no UTF-8")?;
        let endpoint = Endpoint::from_shared(format!("unix://{path}"));
        let endpoint = endpoint.map_err(|error| imgstore::with_causes(&error))?;
        let answer = async {
            let channel = endpoint.connect().await;
            let channel = channel.map_err(|error| imgstore::with_causes(&error))?;
            let containerd = Self {
                channel,
                name: format!("containerd at {path}, namespace {}", options.namespace),
                options: options.clone(),
            };
            containerd.session(None).check_version().await?;
            Ok(containerd)
        };
        let patience = PATIENCE.as_secs();
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| {
            Err(format!(
                "somebody listens and says nothing for {patience} seconds"
            ))
        })
    }

    fn session(&self, lease: Option<&str>) -> Session {
        Session::new(
            self.channel.clone(),
            &self.name,
            &self.options.namespace,
            lease,
        )
    }
}

/// Says why a socket cannot be used, and what may help.
fn reason_of(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        std::io::ErrorKind::PermissionDenied => {
            "permission denied: the socket is for root, or for a group".to_owned()
        }
        std::io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        _ => error.to_string(),
    }
}

impl Engine for Containerd {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn load<'a>(
        &'a self,
        image: &'a Image,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<Report>> {
        Box::pin(load::load(self, image, progress))
    }

    fn find<'a>(&'a self, name: &'a Reference) -> BoxFuture<'a, Result<Option<Digest>>> {
        Box::pin(async move {
            let session = self.session(None);
            let found = names::find(&session, &name.to_string()).await?;
            found
                .map(|target| target.digest.parse())
                .transpose()
                .map_err(|error: imgcore::digest::ParseDigestError| {
                    let text = format!("{}: what {name} stands for", self.name);
                    Error::new(ErrorKind::Refused, text).because(error)
                })
        })
    }
}
