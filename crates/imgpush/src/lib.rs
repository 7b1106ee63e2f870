//! Store to registry: planned, mounted, deduplicated pushes, in which every byte moves at most once.
//!
//! ```no_run
//! use std::sync::Arc;
//! use imgpush::{Image, Location, Options, Progress, Sources, push};
//! use imgstore::{OciLayout, Selector};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let layout = OciLayout::open("app")?;
//! let root = layout.index()?.select(&Selector::Only)?.remove(0);
//! let to = Location::new("registry.example".parse()?, "team/app".parse()?);
//! let mut image = Image::new(root, to, Sources::of("app", Arc::new(layout)));
//! image.tags.push("v1".parse()?);
//!
//! let client = imgregistry::Client::builder().build()?;
//! let report = push(&client, [image], &Options::default(), &Progress::default()).await;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! # Central types
//!
//! * [`push()`] brings [`Image`]s to where they belong, as [`Options`] say, and returns a [`Report`].
//! * It is four steps that can be taken one by one: [`Batch::read`], [`survey()`], [`plan()`] and [`execute()`]. A [`Plan`] is
//!   a value that can be read and printed; [`dry_run`] makes one that leaves nothing open.
//! * [`Sources`] are where bytes come from, in order; a [`Location`] is where they go.
//! * [`Event`]s tell a [`Progress`] what happens.
//!
//! # What this crate does not do
//!
//! It speaks no protocol: that is imgregistry's. It knows no deploy manifests (imgcore has them as types, programs
//! translate) and no remote cache: that is one more [`BlobSource`](imgstore::BlobSource). It prints nothing.
//!
//! # Guarantees
//!
//! * **Children first**: a manifest is written after all that it names, a tag last and once. No tag points to an image
//!   that is not whole.
//! * **Few requests**: a blob is asked for at most once a repository; an image that is there costs one HEAD, an index one
//!   more for each manifest that it leads to.
//! * **Repeatable**: a push that failed is completed by the same call. What arrived is not sent again.
//! * **A ceiling**: no more requests are in flight than there are jobs, tokens aside.
//! * **Flat memory**: blobs pass in pieces; documents are kept, with a limit on all of an image together.
//!
//! [`push()`] wants a tokio runtime. There are no features. The minimum supported Rust version is 1.88.
#![forbid(unsafe_code)]

mod ahead;
mod batch;
mod error;
mod event;
mod execute;
mod holdings;
mod image;
mod options;
mod plan;
mod report;
mod sources;
mod supply;
mod survey;

pub use batch::Batch;
pub use error::{Attempt, Error, ErrorKind, Result};
pub use event::{Event, How, Progress};
pub use execute::{execute, push};
pub use holdings::Holdings;
pub use image::{Image, Location};
pub use options::{Dedup, ExistingTags, MountMode, Options, VerifyExisting};
pub use plan::{Action, Artificial, BlobStep, ManifestStep, MountFrom, Plan, Step, plan};
pub use report::{Amount, ImageReport, Report};
pub use sources::Sources;
pub use survey::{dry_run, survey};

#[cfg(test)]
mod tests {
    use super::*;

    fn is_shared<T: Send + Sync + 'static>() {}

    fn is_spawned(_: impl Future + Send) {}

    #[test]
    fn what_is_public_moves_between_threads() {
        is_shared::<Batch>();
        is_shared::<Error>();
        is_shared::<Image>();
        is_shared::<Options>();
        is_shared::<Plan>();
        is_shared::<Progress>();
        is_shared::<Report>();
        let _ = |client: imgregistry::Client, images: Vec<Image>| async move {
            is_spawned(push(
                &client,
                images,
                &Options::default(),
                &Progress::default(),
            ));
        };
    }
}
