//! Artifacts that refer to an image.

use std::path::Path;
use std::process::Command;

use imgtar::Codec;
use imgtest::image::{ImageBuilder, write_layout};
use imgtest::oracle::{oras, tool};
use imgtest::tar::{file, tar_of};
use tempfile::TempDir;

use crate::program::Program;
use crate::{succeed, text};

#[test]
fn oras_attaches_artifacts_and_discovers_them() {
    let (Some(oras), Some(skopeo)) = (oras(), tool("skopeo")) else {
        return;
    };
    let work = TempDir::new().unwrap();
    let program = Program::start(&work.path().join("registry"));
    let image = ImageBuilder::new()
        .layer(&tar_of([file("a", "b")]), Codec::Gzip)
        .build();
    let layout = work.path().join("layout");
    write_layout(Path::new(&layout), &image.blobs, &image.manifest, "test");
    let name = format!("{}/team/app:v1", program.address);
    let mut push = Command::new(skopeo);
    push.args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"]);
    push.arg("--dest-tls-verify=false");
    push.arg(format!("oci:{}:test", layout.display()));
    succeed(push.arg(format!("docker://{name}")));

    fs_err::write(work.path().join("sbom.json"), "{\"sbom\":1}").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&oras);
        command.current_dir(work.path()).env("HOME", work.path());
        text(command.args(arguments))
    };
    for artifact_type in [
        "application/vnd.example.sbom",
        "application/vnd.example.other",
    ] {
        let flags = ["--plain-http", "--artifact-type", artifact_type];
        let mut arguments = vec!["attach"];
        arguments.extend(flags);
        arguments.extend([&*name, "sbom.json:application/json"]);
        run(&arguments);
    }
    let all = run(&["discover", "--plain-http", "--format", "json", &name]);
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["referrers"].as_array().map(Vec::len), Some(2), "{all}");
    let flags = ["--plain-http", "--format", "json", "--artifact-type"];
    let mut arguments = vec!["discover"];
    arguments.extend(flags);
    arguments.extend(["application/vnd.example.sbom", &*name]);
    let one: serde_json::Value = serde_json::from_str(&run(&arguments)).unwrap();
    let found = one["referrers"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{one}");
    assert_eq!(found[0]["artifactType"], "application/vnd.example.sbom");

    // What was attached can be pulled by its digest.
    let digest = found[0]["digest"].as_str().unwrap();
    let repository = name.rsplit_once(':').unwrap().0;
    let out = work.path().join("out").display().to_string();
    run(&[
        "pull",
        "--plain-http",
        "-o",
        &out,
        &format!("{repository}@{digest}"),
    ]);
    let pulled = fs_err::read_to_string(work.path().join("out/sbom.json")).unwrap();
    assert_eq!(pulled, "{\"sbom\":1}");
}
