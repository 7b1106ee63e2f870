//! What Docker and Podman keep: `config.json`, `auth.json`, and the `docker-credential-` helpers.

mod config;
mod entry;
mod files;
mod helper;
mod key;

pub use config::DockerConfig;
pub use helper::parse_answer;

pub(crate) use entry::decode;
pub(crate) use files::{Place, places};
pub(crate) use helper::{HelperName, says_not_found};
