//! The servers of imgkit as a library: a registry that can be run, embedded and tested against.

#![forbid(unsafe_code)]

mod error;
pub mod http;

pub use error::{Error, ErrorKind, Result};
