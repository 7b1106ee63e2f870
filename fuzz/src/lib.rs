//! One function for each parser of outside bytes: it must not panic, and what it took must survive
//! being written and read again.
//!
//! The programs in `fuzz_targets/` feed them from libFuzzer, `tests/replay.rs` from the committed
//! corpora.

mod build_file;
mod credentials;
#[allow(
    dead_code,
    clippy::pedantic,
    reason = "the crate uses what the target does not, and its own lints are checked there"
)]
#[path = "../../crates/imglayer/src/encode/deflate/mod.rs"]
mod deflate;
mod documents;
#[allow(dead_code, reason = "the program uses what the target does not")]
#[path = "../../bins/img/src/kvfile.rs"]
mod kvfile;
mod layers;
mod programs;
mod registry;
mod servers;
mod streams;
#[allow(
    dead_code,
    unused_imports,
    reason = "the program uses what the target does not"
)]
#[path = "../../bins/img/src/template/mod.rs"]
mod template;

pub use credentials::{credential_helper_output, docker_config};
pub use documents::{
    config, deploy_manifest, digest, document, json, layer_metadata, platform, reference,
};
pub use layers::{archive, decoder, gzip_stitch, mtree, pax, tar};
pub use programs::{build_file, key_values, template};
pub use registry::{error_body, link, location, realm, token_body, upload, www_authenticate};
pub use servers::registry_route;
pub use streams::deflate_joint;

/// A target: bytes in, a panic when something is wrong.
pub type Target = fn(&[u8]);

/// Every target under the name of its program and its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("archive", archive),
    ("build_file", build_file),
    ("config", config),
    ("credential_helper_output", credential_helper_output),
    ("decoder", decoder),
    ("deflate_joint", deflate_joint),
    ("deploy_manifest", deploy_manifest),
    ("digest", digest),
    ("docker_config", docker_config),
    ("document", document),
    ("error_body", error_body),
    ("gzip_stitch", gzip_stitch),
    ("json", json),
    ("key_values", key_values),
    ("layer_metadata", layer_metadata),
    ("link", link),
    ("location", location),
    ("mtree", mtree),
    ("pax", pax),
    ("platform", platform),
    ("realm", realm),
    ("reference", reference),
    ("registry_route", registry_route),
    ("tar", tar),
    ("template", template),
    ("token_body", token_body),
    ("upload", upload),
    ("www_authenticate", www_authenticate),
];
