//! The client against doubles of registries: logins, faults, attacks and the ways of real services.
//!
//! Nothing here sleeps, and nothing leaves the process, with the exception of `sockets`, which talks over loopback. Every
//! secret of these tests contains `imgkit-canary-`, and everything that the client says is searched for it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test, a broken precondition is a failed test"
)]

mod auth;
mod edges;
mod faults;
mod matrix;
mod messages;
mod profiles;
mod real;
mod security;
mod sockets;
mod world;
