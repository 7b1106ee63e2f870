//! The crate through its public names, against itself and against other readers.
#![allow(
    clippy::unwrap_used,
    reason = "functions beside the tests are tests too"
)]

mod decoder;
mod differential;
mod hostile;
mod names;
mod round_trip;
