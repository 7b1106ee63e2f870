//! Real runtimes, copiers and readers take what `img` makes.
//!
//! A tool that is not here is a skip that is printed and counted (`imgtest::oracle`), and in CI a failure.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "all of this is a test"
)]

mod containerd;
mod demo;
mod estargz_image;
mod estargz_layer;
mod large;
mod layers;
mod lazy_pull;
mod load;
mod pull;
mod push;
mod real_tree;
mod runtimes;
mod templates;
mod tool;
