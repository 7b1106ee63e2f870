//! The distribution protocol as a client sees it: every row of the specification's table, on memory and on files, without
//! sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

mod blobs;
mod manifests;
mod model;
mod peer;
mod persistence;
mod referrers;
mod sockets;
mod tags;
mod uploads;
