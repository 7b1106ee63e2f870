//! Readers of others make of our layers what we put in.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use imgcore::digest::HashingReader;
use tempfile::TempDir;

use crate::tool::{go, img, succeed, text, tool};

/// A layer in one format, and the hash of the tar in it.
struct Layer {
    _work: TempDir,
    blob: PathBuf,
    /// The hex of the `diff_id`.
    tar_sha256: String,
}

/// Makes a layer of several blocks: this test's own `img`, and a file small enough to share a block.
fn layer(format: &str) -> Layer {
    let work = TempDir::new().unwrap();
    let (blob, metadata) = (work.path().join("layer"), work.path().join("layer.json"));
    img([
        "layer",
        "--format",
        format,
        "--add",
        concat!("usr/bin/img=", env!("CARGO_BIN_EXE_img")),
        "--add",
        concat!(
            "src/peers.rs=",
            env!("CARGO_MANIFEST_DIR"),
            "/tests/peers/main.rs"
        ),
        "--metadata",
        &metadata.to_string_lossy(),
        &blob.to_string_lossy(),
    ]);
    let metadata: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(metadata).unwrap()).unwrap();
    let diff_id = metadata["diff_id"].as_str().unwrap();
    let tar_sha256 = diff_id.strip_prefix("sha256:").unwrap().to_owned();
    Layer {
        _work: work,
        blob,
        tar_sha256,
    }
}

fn reader(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers/readers")
        .join(name)
}

#[test]
fn a_single_member_reader_of_rust_reads_gzip_layers_whole() {
    let layer = layer("gzip");
    let file = fs_err::File::open(&layer.blob).unwrap();
    let mut decoder = HashingReader::new(flate2::read::GzDecoder::new(io::BufReader::new(file)));
    io::copy(&mut decoder, &mut io::sink()).unwrap();
    let (digest, _, decoder) = decoder.finish();
    assert_eq!(digest.hex(), layer.tar_sha256);
    let mut rest = Vec::new();
    decoder.into_inner().read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "{} bytes behind the member", rest.len());
}

#[test]
fn java_reads_gzip_layers_whole() {
    let Some(java) = tool("java") else { return };
    let layer = layer("gzip");
    let output = succeed(
        Command::new(java)
            .arg(reader("Gunzip.java"))
            .arg(&layer.blob),
    );
    assert_eq!(text(&output).trim(), layer.tar_sha256);
}

#[test]
fn python_reads_gzip_layers_as_one_member() {
    let Some(python) = tool("python3") else {
        return;
    };
    let layer = layer("gzip");
    let output = succeed(
        Command::new(python)
            .arg(reader("gunzip.py"))
            .arg(&layer.blob),
    );
    assert_eq!(text(&output).trim(), layer.tar_sha256);
}

#[test]
fn gzip_of_gnu_tests_gzip_layers() {
    let Some(gzip) = tool("gzip") else { return };
    succeed(
        Command::new(gzip).arg("--test").stdin(
            fs_err::File::open(layer("gzip").blob)
                .unwrap()
                .into_parts()
                .0,
        ),
    );
}

#[test]
fn zstd_reads_zstd_layers() {
    let Some(zstd) = tool("zstd") else { return };
    let layer = layer("zstd");
    let output = succeed(Command::new(zstd).arg("-dc").arg(&layer.blob));
    assert_eq!(
        imgcore::Digest::sha256_of(&output.stdout).hex(),
        layer.tar_sha256
    );
}

#[test]
fn klauspost_in_go_reads_zstd_layers() {
    let Some(go) = go() else { return };
    let layer = layer("zstd");
    let mut command = Command::new(go);
    command
        .args(["run", "."])
        .arg(&layer.blob)
        .current_dir(reader("zstd"));
    assert_eq!(text(&succeed(&mut command)).trim(), layer.tar_sha256);
}
