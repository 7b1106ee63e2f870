//! Builders, checkers and doubles for imgkit's tests.
//!
//! * [`tar`]: archives in a few words, proper and hostile ones;
//! * [`layer`]: the invariants that every layer satisfies, checked on a stream;
//! * [`tree`]: random directory trees, and the same trees on disk;
//! * [`image`]: small images as documents and blobs in memory;
//! * [`oracle`]: what other programs make of an archive;
//! * [`peer`]: programs of others that a test starts for itself;
//! * [`registry`]: registries that record, demand credentials and misbehave by script.
//!
//! ```
//! use imgtest::tar::{directory, file, tar_of};
//!
//! let layer = tar_of([directory("etc"), file("etc/motd", "hello")]);
//! assert_eq!(imgtest::layer::check_invariants(layer.as_slice()), Ok(()));
//! ```
//!
//! Only for tests: it panics where a test should fail, and is not published.
#![forbid(unsafe_code)]
#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "in a test, a broken precondition is a failed test"
)]

pub mod image;
pub mod layer;
pub mod oracle;
pub mod peer;
pub mod registry;
pub mod tar;
pub mod tree;

/// Bytes that no codec makes smaller, the same ones on every run.
#[must_use]
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
