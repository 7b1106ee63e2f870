//! The distribution protocol without I/O: what is sent, and what an answer means.
//!
//! Everything here is a function of its arguments. There is no clock, no chance, no socket; a driver (this crate's
//! client, or a test) moves the bytes. Bytes from outside can only ever be refused.
//!
//! * [`url`] builds every URL and prints every URL.
//! * [`challenge`] and [`scope`] say what a registry wants to see, [`realm`] who may give it, [`token`] how that one is
//!   asked.
//! * [`redirect`], [`location`] and [`link`] are about URLs that a server gives ([`named`] has what they share),
//!   [`address`] about where those may lead.
//! * [`range`] reads and writes parts of blobs, [`download`] is the plan that reads one, [`upload`] the state machine that
//!   writes one.
//! * [`error_body`] reads what a registry says about an error, [`retry`] decides whether it is asked again,
//!   [`warning`] is for people.

pub mod address;
mod allowed;
pub mod challenge;
pub mod download;
pub mod error_body;
pub mod link;
pub mod location;
pub mod named;
pub mod range;
pub mod realm;
pub mod redirect;
pub mod retry;
pub mod scope;
pub mod token;
pub mod upload;
pub mod url;
pub mod warning;
