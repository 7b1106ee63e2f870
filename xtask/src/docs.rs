//! `cargo xtask docs`: rustdoc without a warning.

use crate::run::{Result, cargo, check};

pub(crate) fn run() -> Result<()> {
    check(
        cargo(&[
            "doc",
            "--quiet",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ])
        .env(
            "RUSTDOCFLAGS",
            "-D warnings -A rustdoc::private-intra-doc-links",
        ),
    )
}
