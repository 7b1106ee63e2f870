//! Pushes to doubles of registries, with every request counted on the registry's side. Nothing sleeps, and but for `real`
//! nothing leaves the process.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test, a broken precondition is a failed test"
)]

mod ceiling;
mod counted;
mod dedup;
mod faults;
mod many;
mod profiles;
mod real;
mod referrers;
mod refused;
mod world;
