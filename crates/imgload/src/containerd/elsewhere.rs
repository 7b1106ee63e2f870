//! Systems without Unix sockets.

use std::path::PathBuf;

use futures_core::future::BoxFuture;
use imgcore::{Digest, Reference};

use super::Options;
use crate::{Engine, Error, ErrorKind, Image, Progress, Report, Result};

/// A containerd that answers. There is none on this system: [`connect`](Self::connect) says so.
#[derive(Debug)]
pub struct Containerd(Never);

#[derive(Debug)]
enum Never {}

impl Containerd {
    /// Says that containerd cannot be reached.
    ///
    /// # Errors
    ///
    /// Always, with [`ErrorKind::Unsupported`].
    pub async fn connect(_sockets: &[PathBuf], _options: Options) -> Result<Self> {
        let text = "containerd is reached by a Unix socket, and this system has none: load into it where it runs";
        std::future::ready(Err(Error::new(ErrorKind::Unsupported, text))).await
    }
}

impl Engine for Containerd {
    fn name(&self) -> String {
        match self.0 {}
    }

    fn load<'a>(
        &'a self,
        _image: &'a Image,
        _progress: &'a Progress,
    ) -> BoxFuture<'a, Result<Report>> {
        match self.0 {}
    }

    fn find<'a>(&'a self, _name: &'a Reference) -> BoxFuture<'a, Result<Option<Digest>>> {
        match self.0 {}
    }
}
