//! Bazel's credential helpers: which one is for which host, what it is asked, and what it answers.
//!
//! The protocol is that of the [specification]: the program is run as `helper get`, reads `{"uri": "https://host/…"}` and
//! writes `{"headers": {"Authorization": ["Bearer …"]}, "expires": "2026-11-24T18:00:00Z"}`.
//!
//! [specification]: https://github.com/EngFlow/credential-helper-spec/blob/main/spec.md

mod answer;
mod choice;

pub use answer::HelperAnswer;
pub use choice::CredentialHelper;

pub(crate) use choice::choose;
