//! eStargz layers, as a reader of them sees them: one that knows where the footer is, and nothing else.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod content;
mod errors;
mod golden;
mod order;
mod properties;
mod reader;
mod support;
