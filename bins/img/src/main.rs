//! `img`: builds, inspects and moves OCI container images.

#[allow(dead_code, reason = "its commands are still to come")]
mod kvfile;

fn main() {}
