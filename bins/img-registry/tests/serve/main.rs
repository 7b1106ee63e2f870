//! The program as its user sees it: what it says, how it ends, and what it keeps.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

mod client;
mod program;

use std::process::Command;
#[cfg(unix)]
use std::time::Duration;

use client::Client;
use program::{Program, failure};

const SERVE: &str = env!("CARGO_BIN_EXE_img-registry");

#[test]
fn it_serves_what_it_is_given_and_keeps_it() {
    let root = tempfile::tempdir().unwrap();
    let program = Program::start(root.path());
    let mut client = Client::connect(&program.address);
    client.push_image("team/app", "v1", "one");
    program.end();
    let program = Program::start(root.path());
    let mut client = Client::connect(&program.address);
    let manifest = client.get("/v2/team/app/manifests/v1");
    assert_eq!(manifest.status, 200);
    assert!(String::from_utf8(manifest.body).unwrap().contains("one"));
}

#[cfg(unix)]
#[test]
fn it_ends_well_when_told() {
    use rustix::process::Signal;

    for signal in [Signal::TERM, Signal::INT] {
        let root = tempfile::tempdir().unwrap();
        let mut program = Program::start(root.path());
        let mut client = Client::connect(&program.address);
        assert_eq!(client.get("/v2/").status, 200);
        program.signal(signal);
        let status = program.wait(Duration::from_secs(30));
        assert!(status.success(), "{signal:?}: {status}");
    }
}

/// The process is killed while three clients push as fast as they can, again and again.
#[test]
fn a_killed_process_loses_nothing_that_it_answered_for() {
    let root = tempfile::tempdir().unwrap();
    let mut pushed = Vec::new();
    for round in 0..6_u64 {
        let program = Program::start(root.path());
        let mut clients: Vec<_> = (0..3).map(|_| Client::connect(&program.address)).collect();
        let answered = std::thread::scope(|scope| {
            let pushing: Vec<_> = clients
                .iter_mut()
                .enumerate()
                .map(|(number, client)| {
                    scope.spawn(move || {
                        let mut answered = Vec::new();
                        for image in 0.. {
                            let tag = format!("r{round}-{number}-{image}");
                            let Some(digest) = client.try_push_image("app", &tag, &tag) else {
                                break;
                            };
                            answered.push((tag, digest));
                        }
                        answered
                    })
                })
                .collect();
            // Each round is cut at another place, which need not be the same in every run.
            let enough = 3 + 5 * round;
            program.kill_after_records(enough);
            let answered = pushing.into_iter().map(|it| it.join().unwrap());
            answered.flatten().collect::<Vec<_>>()
        });
        assert!(!answered.is_empty());
        pushed.extend(answered);
    }
    let program = Program::start(root.path());
    let mut client = Client::connect(&program.address);
    for (tag, digest) in &pushed {
        let manifest = client.get(&format!("/v2/app/manifests/{tag}"));
        assert_eq!(manifest.status, 200, "{tag} is lost");
        assert_eq!(manifest.header("docker-content-digest"), Some(&**digest));
        let body: serde_json::Value = serde_json::from_slice(&manifest.body).unwrap();
        let layer = body["layers"][0]["digest"].as_str().unwrap();
        let blob = client.get(&format!("/v2/app/blobs/{layer}"));
        assert_eq!((blob.status, blob.body), (200, tag.as_bytes().to_vec()));
    }
    let listed = client.get("/v2/app/tags/list");
    let listed: serde_json::Value = serde_json::from_slice(&listed.body).unwrap();
    // What was written but not answered for may be there too.
    assert!(listed["tags"].as_array().unwrap().len() >= pushed.len());
}

#[test]
fn it_listens_for_others_only_when_told() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().to_str().unwrap();
    let text = failure(&["serve", "--root", root, "--address", "0.0.0.0:0"], 1);
    let expected = "img-registry: 0.0.0.0:0 can be reached from other machines, and the registry \
                    asks nobody who they are: --expose allows it\n";
    assert_eq!(text, expected);
    let program = Program::start_with(&["--root", root, "--address", "0.0.0.0:0", "--expose"]);
    assert!(program.line.starts_with("listening on http://0.0.0.0:"));
}

#[cfg(unix)]
#[test]
fn a_directory_is_served_once() {
    let root = tempfile::tempdir().unwrap();
    let program = Program::start(root.path());
    let words = root.path().to_str().unwrap();
    let text = failure(&["serve", "--root", words, "--address", "127.0.0.1:0"], 1);
    assert_eq!(
        text,
        format!(
            "img-registry: the registry in {words} is open already: end the program that has it, or name another \
             directory\n"
        )
    );
    program.end();
    Program::start(root.path()).end();
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_would_write_no_core() {
    let root = tempfile::tempdir().unwrap();
    let program = Program::start(root.path());
    let limits = fs_err::read_to_string(format!("/proc/{}/limits", program.id())).unwrap();
    let mut lines = limits.lines();
    let core = lines.find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{limits}");
}

#[test]
fn a_mount_without_a_source_must_be_allowed() {
    for (flag, status) in [(None, 202), (Some("--anonymous-mounts"), 201)] {
        let root = tempfile::tempdir().unwrap();
        let words = root.path().to_str().unwrap();
        let mut arguments = vec!["--root", words, "--address", "127.0.0.1:0"];
        arguments.extend(flag);
        let program = Program::start_with(&arguments);
        let mut client = Client::connect(&program.address);
        client.push_image("one", "v1", "one");
        let config = imgcore::Digest::sha256_of(b"{}");
        let answer = client.post(&format!("/v2/two/blobs/uploads/?mount={config}"));
        assert_eq!(answer.status, status, "{flag:?}");
    }
}

#[test]
fn what_it_cannot_do_is_said_on_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs_err::write(&file, "no directory").unwrap();
    let file = file.to_str().unwrap();
    let text = failure(&["serve", "--root", file, "--address", "127.0.0.1:0"], 1);
    assert!(text.starts_with("img-registry: "), "{text}");
    assert!(text.contains(file), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let root = directory.path().join("root");
    let root = root.to_str().unwrap();
    let text = failure(&["serve", "--root", root, "--address", &address], 1);
    let expected = format!("img-registry: listening on {address}: ");
    assert!(text.starts_with(&expected), "{text}");

    let tls = ["--tls-certificate", file, "--tls-key", file];
    let mut arguments = vec!["serve", "--root", root, "--address", "127.0.0.1:0"];
    arguments.extend(tls);
    let text = failure(&arguments, 1);
    assert_eq!(text, "img-registry: there is no certificate in the PEM\n");
}

#[test]
fn wrong_words_are_refused_with_the_right_ones() {
    for arguments in [
        vec![],
        vec!["serve"],
        vec!["serve", "--root", "x", "--address", "localhost"],
        vec!["serve", "--root", "x", "--tls-key", "x"],
        vec!["serve", "--root", "x", "--other"],
    ] {
        let text = failure(&arguments, 2);
        let leads_on = ["Usage: img-registry", "try '--help'"].map(|it| text.contains(it));
        assert!(leads_on.contains(&true), "{arguments:?}: {text}");
    }
    let help = Command::new(SERVE)
        .args(["serve", "--help"])
        .output()
        .unwrap();
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for word in [
        "--root <DIR>",
        "--address <IP:PORT>",
        "--expose",
        "--tls-certificate",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn it_says_that_it_serves_https() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (
        directory.path().join("cert.pem"),
        directory.path().join("key.pem"),
    );
    fs_err::write(&certificate, made.cert.pem()).unwrap();
    fs_err::write(&key, made.signing_key.serialize_pem()).unwrap();
    let root = directory.path().join("root");
    let arguments = ["--root", "--tls-certificate", "--tls-key"]
        .into_iter()
        .zip([root, certificate, key].map(|path| path.to_str().unwrap().to_owned()));
    let mut words: Vec<_> = arguments
        .flat_map(|(flag, path)| [flag.to_owned(), path])
        .collect();
    words.extend(["--address".to_owned(), "127.0.0.1:0".to_owned()]);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let program = Program::start_with(&words);
    assert!(program.line.starts_with("listening on https://127.0.0.1:"));
}
