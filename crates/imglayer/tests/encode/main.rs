//! Tests of `imglayer::encode` through its public names.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod content;
mod determinism;
mod failures;
mod golden;
mod members;
mod readers;
