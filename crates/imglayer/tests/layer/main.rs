//! What layers are made of, seen through the public interface.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod archives;
mod entries;
mod errors;
mod golden;
mod hard_links;
mod metadata;
mod properties;
mod reading;
mod small_files;
mod support;
#[cfg(unix)]
mod trees;
