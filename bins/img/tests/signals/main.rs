//! What a signal leaves behind.
#![cfg(unix)]

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fs_err as fs;
use tempfile::TempDir;

/// Ends the command with a signal as soon as it has a temporary file or directory, and checks that it is removed.
fn check(arguments: &[&str], signal: &str, number: i32) -> io::Result<()> {
    check_in(&tempfile::tempdir()?, arguments, signal, number)
}

fn check_in(directory: &TempDir, arguments: &[&str], signal: &str, number: i32) -> io::Result<()> {
    let file = "platforms = [\"linux/amd64\"]\nlevel = \"best\"\noutput.layout = \"out\"\n\
                [[layer]]\ncopy = [{ from = \"large\", to = \"/\" }]\n";
    fs::write(directory.path().join("img.toml"), file)?;
    // Nothing reads this to its end in the time of a test.
    let large = fs::File::create(directory.path().join("large"))?;
    large.set_len(1 << 40)?;
    let mut child = Command::new(env!("CARGO_BIN_EXE_img"))
        .args(arguments)
        .current_dir(directory.path())
        .env("TMPDIR", directory.path())
        .stdout(Stdio::null())
        .spawn()?;
    let start = Instant::now();
    while temporaries(directory.path())? == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is made");
        assert_eq!(child.try_wait()?, None, "{arguments:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Made, and a moment later watched.
    std::thread::sleep(Duration::from_millis(500));
    let kill = format!("kill -s {signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status()?.success());
    assert_eq!(child.wait()?.signal(), Some(number));
    assert_eq!(temporaries(directory.path())?, 0, "{arguments:?}");
    Ok(())
}

fn temporaries(directory: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        count += usize::from(name.to_string_lossy().starts_with(".img-"));
    }
    Ok(count)
}

#[test]
fn a_build_that_is_ended_leaves_no_directory() -> io::Result<()> {
    check(&["build"], "INT", 2)?;
    check(&["build"], "TERM", 15)
}

#[test]
fn a_layer_that_is_ended_leaves_no_file() -> io::Result<()> {
    check(&["layer", "--add", "large=large", "a.tar.gz"], "TERM", 15)
}

#[test]
fn a_deployment_that_is_ended_while_it_signs_leaves_no_file() -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir()?;
    let program = directory.path().join("sign-it");
    fs::write(&program, "#!/bin/sh\nexec sleep 20\n")?;
    fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let setting = r#"{"schema_version": 1, "mode": "command", "tool": "./sign-it"}"#;
    fs::write(directory.path().join("sign.json"), setting)?;
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let request = format!(
        r#"{{"operations": [{{"command": "push", "root_kind": "manifest", "root": {{"mediaType":
        "application/vnd.oci.image.manifest.v1+json", "digest": "{digest}", "size": 1}},
        "manifests": [], "registry": "127.0.0.1:1", "repository": "app", "tags": ["1"]}}]}}"#
    );
    fs::write(directory.path().join("push.json"), request)?;
    let arguments = "deploy --request-file push.json --default_sign_setting sign.json --sign_force";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    check_in(&directory, &arguments, "INT", 2)
}
