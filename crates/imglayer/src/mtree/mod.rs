//! mtree: a text that lists the entries of a layer or of a file system, a line each.
//!
//! The form is the one of [mtree(5)] with full paths, which libarchive, NetBSD's and Go's tools read: a first line
//! `#mtree v2.0`, then a path and `keyword=value` words. Bytes of a path other than plain ASCII are written as `\ooo`.
//!
//! [mtree(5)]: https://man.freebsd.org/cgi/man.cgi?query=mtree&sektion=5

mod keywords;
mod parse;
mod write;

pub use keywords::Keywords;
pub(crate) use keywords::Told;
pub use parse::parse;
pub use write::write;
