//! The words of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "img-registry", version, about = "An OCI registry over files")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves the images in a directory, for pulling and pushing
    ///
    /// Prints one line with its address once it listens, and goes on until it is told to end (SIGTERM or SIGINT), after
    /// which open requests have ten seconds to finish.
    Serve(Serve),
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The directory of the registry, made unless it is there; one process at a time may use it
    #[arg(long, value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5000")]
    pub(crate) address: SocketAddr,
    /// Listens where other machines reach it: whoever does may read and write everything
    #[arg(long)]
    pub(crate) expose: bool,
    /// Serves HTTPS with this certificate and those that lead from it to a root (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Takes manifests whose blobs or images are not there
    #[arg(long)]
    pub(crate) accept_sparse: bool,
    /// Lets a blob be mounted by its digest alone: whoever knows a digest gets the bytes, of any repository
    #[arg(long)]
    pub(crate) anonymous_mounts: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_fit_together() {
        Arguments::command().debug_assert();
    }
}
