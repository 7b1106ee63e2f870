//! `cargo xtask conformance`: the distribution specification's suite against our registry and Docker's.

use crate::run::{Result, cargo, check};

/// Runs the one test that does it, and lets it say what the suite counted.
pub(crate) fn run() -> Result<()> {
    check(&mut cargo(&[
        "test",
        "--package",
        "img-registry",
        "--test",
        "peers",
        "--",
        "--include-ignored",
        "--nocapture",
        "conformance::",
    ]))
}
