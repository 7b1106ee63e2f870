//! The distribution protocol without I/O: what is sent, and what an answer means.
//!
//! Everything here is a function of its arguments. There is no clock, no chance, no socket; a driver (this crate's
//! client, or a test) moves the bytes. Bytes from outside can only ever be refused.
//!
//! * [`url`] builds every URL and prints every URL.
//! * [`challenge`] and [`scope`] say what a registry wants to see.
//! * [`error_body`] reads what a registry says about an error, [`retry`] decides whether it is asked again.

pub mod challenge;
pub mod error_body;
pub mod retry;
pub mod scope;
pub mod url;
