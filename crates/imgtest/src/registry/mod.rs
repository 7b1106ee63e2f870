//! Doubles of registries: recorders, token servers, guards, faults and the ways of real registries.
//!
//! Everything is a [`Handler`](imgserve::http::Handler) that wraps another one, so a test stacks what it needs:
//!
//! ```text
//! Running or InProcess → Recorder → Faults → Guard → a registry of imgserve
//! ```
//!
//! [`InProcess`] calls handlers without sockets, under whatever host names a test likes, and works with paused time.
//!
//! Passwords and tokens of tests contain [`CANARY`], so that a sweep over logs finds them where they should not be.

mod answers;
mod class;
pub mod customs;
mod fault;
mod guard;
mod in_process;
mod pace;
mod profile;
mod recorder;
mod running;
mod token;
#[cfg(feature = "wire")]
mod wire;

pub use answers::{answer, body_of, handler, refusal, respond};
pub use class::{RequestClass, query_value, query_values, repository_of};
pub use fault::{Fault, Faults, Reset, Rule, overloads, retry_after_forms};
pub use guard::{Challenge, Guard, Insufficient};
pub use in_process::{InProcess, Whole};
pub use pace::{in_pieces, slow};
pub use profile::{Fact, Login, Mark, Modelled, PASSWORD, Profile, USER, World, document};
pub use recorder::{Exchange, Recorder};
pub use running::{Protocols, Running};
pub use token::{ExpiresIn, Issued, Post, Scopes, TokenField, TokenOptions, TokenServer, Verdict};
#[cfg(feature = "wire")]
pub use wire::Wire;

/// What every secret of a test contains.
pub const CANARY: &str = "imgkit-canary-";
