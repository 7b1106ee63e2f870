//! Registry to store: shallow, eager and lazy pulls, platform selection, mirrors, and a cache on this machine.
#![forbid(unsafe_code)]

mod cache;
mod error;
mod event;
mod sys;
mod transfer;
mod wait;

pub use cache::{Cache, Ensured};
pub use error::{Attempt, Error, Result};
pub use event::{Event, From, Progress};
