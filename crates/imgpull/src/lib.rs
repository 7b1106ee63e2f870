//! Registry to store: shallow, eager and lazy pulls, platform selection, mirrors, and a cache on this machine.
#![forbid(unsafe_code)]

mod cache;
mod error;
mod event;
mod origin;
mod pull;
mod sys;
mod transfer;
mod wait;

pub use cache::{Cache, Ensured};
pub use error::{Attempt, Error, Result};
pub use event::{Event, From, Progress};
pub use imgregistry::protocol::url::TagOrDigest;
pub use origin::{ManifestSource, Origin};
pub use pull::{Handling, LayerSource, PullOptions, Pulled, PulledImage, PulledLayer, Store, pull};
