//! The client against registries in process and on loopback.

#![expect(clippy::unwrap_used, reason = "these are tests")]
#![expect(
    clippy::clone_on_ref_ptr,
    reason = "a handler's other type is not to be read here"
)]

mod auth;
mod copies;
mod limits;
mod lists;
mod messages;
mod mirrors;
mod network;
mod reading;
mod schemes;
mod sockets;
mod stores;
mod uploads;
