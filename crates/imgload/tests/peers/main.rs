//! Real engines take what imgload loads, whatever befalls them.
//!
//! An engine that is not here is a skip that is printed and counted (`imgtest::oracle`), and in CI a failure.
#![cfg(all(unix, feature = "containerd"))]
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "all of this is a test"
)]

mod daemon;
mod faults;
mod garbage;
mod loads;
mod sample;
