//! `img build`: an image from a build file.

use std::path::PathBuf;

use imgcore::Platform;

use crate::build::{self, BuildOptions, LockPolicy};
use crate::cli::Run;
use crate::context::Context;
use crate::network::{Display, NetworkArguments};
use crate::report::Failure;

/// Builds an image from one small file: no daemon, no root, no Bazel
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The build file, in TOML, or a directory with an img.toml; docs/build-file.md has every key
    #[arg(default_value = "img.toml")]
    file: PathBuf,

    /// Build only for these of the file's platforms, separated by commas
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', action = clap::ArgAction::Append)]
    platform: Vec<Platform>,

    /// Fail if the lock file (img.lock beside img.toml) would have to change
    #[arg(long, conflicts_with = "update")]
    locked: bool,

    /// Take what the base means now, and write that to the lock file
    #[arg(long)]
    update: bool,

    /// Push the image as well, to what the file names in `push`, or else under its `name`
    #[arg(long)]
    push: bool,

    /// How the progress of a pull or push is shown
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Display,

    #[command(flatten)]
    network: NetworkArguments,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let policy = match (self.locked, self.update) {
            (true, _) => LockPolicy::Locked,
            (_, true) => LockPolicy::Update,
            _ => LockPolicy::Follow,
        };
        let file = if context.path(&self.file).is_dir() {
            self.file.join("img.toml")
        } else {
            self.file
        };
        let options = BuildOptions {
            platforms: self.platform,
            policy,
            push: self.push,
            network: self.network,
            display: self.progress,
        };
        build::run(context, &file, &options)
    }
}
