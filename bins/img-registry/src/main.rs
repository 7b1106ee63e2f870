//! `img-registry`: an OCI registry over files.

#![forbid(unsafe_code)]

fn main() {}
