//! Deterministic OCI layer bytes: plan, tar, parallel compression.

mod error;

pub use error::{Error, ErrorKind};
