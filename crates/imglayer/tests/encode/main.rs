//! Tests of `imglayer::encode` through its public names.

mod content;
mod determinism;
mod failures;
mod golden;
mod readers;
