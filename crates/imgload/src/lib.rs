//! Store to container engine: only what the engine lacks, and never half an image under a name.
//!
//! ```no_run
//! # #[cfg(feature = "containerd")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use imgload::containerd::{Containerd, Options, default_sockets};
//! use imgload::{Engine, Image, Progress};
//! use imgstore::{OciLayout, Selector};
//!
//! let layout = OciLayout::open("app")?;
//! let root = layout.index()?.select(&Selector::Only)?.remove(0);
//! let image = Image::new(root, ["team/app:1.2".parse()?], Arc::new(layout));
//!
//! let containerd = Containerd::connect(&default_sockets(None), Options::default()).await?;
//! let report = containerd.load(&image, &Progress::default()).await?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! # Central types
//!
//! * An [`Image`] says what is loaded, under which names, and for which [`Platforms`].
//! * An [`Engine`] loads it, and returns a [`Report`].
//! * [`Event`]s tell a [`Progress`] what happens.
//! * [`conformance`] is what every engine must do, for the tests of yours.
//!
//! # What this crate does not do
//!
//! It reads no environment and finds no engine by itself: programs say which one they mean. It unpacks no layer. It knows no
//! registry and no remote cache: those are [`BlobSource`](imgstore::BlobSource)s. Docker and Podman are not among the
//! engines yet.
//!
//! # Guarantees
//!
//! * **Names last**: no name stands for an image that is not whole, whatever fails.
//! * **Few bytes**: what the engine has is not sent, and what of a blob arrived before a load broke off is not sent again
//!   where the engine can tell. Loading what is loaded writes nothing.
//! * **Digests stay**: the name stands for the digest of the root; an index stays whole.
//! * **Verified**: the engine checks what it gets, and where it finds something wrong, the source is read again, and blamed if
//!   it is to blame.
//! * **Flat memory**: layers pass in pieces; documents are kept, with a limit on all of an image together.
//!
//! # Features
//!
//! * `containerd` (off): the engine of containerd, with the gRPC that it takes. On systems without Unix sockets it says that
//!   it cannot be reached.
//!
//! Engines want a tokio runtime. The minimum supported Rust version is 1.88.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(all(unix, feature = "containerd")),
    allow(dead_code, reason = "most of what engines share is for the only one")
)]

pub mod conformance;
#[cfg(feature = "containerd")]
pub mod containerd;
mod contents;
mod engine;
mod error;
mod event;
mod image;
mod report;

pub use engine::Engine;
pub use error::{Attempt, Error, ErrorKind, Result};
pub use event::{Change, Event, How, Progress};
pub use image::{Image, Origin, Platforms};
pub use report::{Amount, Named, Report};

#[cfg(test)]
mod tests {
    use super::*;

    fn is_shared<T: Send + Sync + 'static>() {}

    #[test]
    fn what_is_public_moves_between_threads() {
        is_shared::<Box<dyn Engine>>();
        is_shared::<Error>();
        is_shared::<Event>();
        is_shared::<Image>();
        is_shared::<Progress>();
        is_shared::<Report>();
    }
}
