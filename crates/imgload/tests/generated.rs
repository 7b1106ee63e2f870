//! The gRPC code that is committed is what its definitions give.
//!
//! `IMGKIT_GENERATE=1 cargo test --workspace --test generated` writes it. No build needs this: whoever compiles imgload takes the
//! code as it is.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be generated fails the test"
)]

use std::path::Path;

use fs_err as fs;

const SERVICES: [&str; 4] = ["content", "images", "leases", "version"];
const DEFINITIONS: &str = "proto";
const GENERATED: &str = "src/containerd/unix/generated";

#[test]
fn the_committed_code_is_what_the_definitions_give() {
    let is_asked = std::env::var_os("IMGKIT_GENERATE").is_some();
    for (name, text) in generate() {
        let file = root().join(GENERATED).join(format!("{name}.rs"));
        if is_asked {
            fs::write(&file, &text).unwrap();
        }
        let committed = fs::read_to_string(file).unwrap();
        assert!(
            committed == text,
            "{name}.rs is not what {name}.proto gives: IMGKIT_GENERATE=1 writes it"
        );
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes the code of each service.
fn generate() -> Vec<(&'static str, String)> {
    let files = SERVICES.map(|name| format!("{name}.proto"));
    let descriptors = protox::compile(files, [root().join(DEFINITIONS)]).unwrap();
    let made = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".")
        .out_dir(made.path())
        .compile_fds(descriptors)
        .unwrap();
    let read = |name| {
        let file = made
            .path()
            .join(format!("containerd.services.{name}.v1.rs"));
        (name, fs::read_to_string(file).unwrap())
    };
    SERVICES.into_iter().map(read).collect()
}
