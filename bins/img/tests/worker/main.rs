//! The persistent worker, as Bazel drives it: a real child process and its two streams.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod worker;

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fs_err as fs;
use serde_json::{Value, json};

use worker::Worker;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn requests_are_answered_one_after_the_other() {
    let mut worker = Worker::start(&["hash", "--persistent_worker"]);
    worker.write("a", "abc");
    worker.send(r#"{"arguments":["--encoding=hex","a","out"]}"#);
    assert_eq!(worker.line(), r#"{"exitCode":0,"output":"","requestId":0}"#);
    assert_eq!(worker.read("out"), ABC);
    // Members of newer protocols do not matter, nor does what is between two requests.
    worker.send(
        "\n\n {\"arguments\":[\"--encoding=oci-digest\",\"a\",\"out\"],\"later\":{\"x\":[1]}}",
    );
    assert_eq!(worker.line(), r#"{"exitCode":0,"output":"","requestId":0}"#);
    assert_eq!(worker.read("out"), format!("sha256:{ABC}"));
    let end = worker.end();
    assert_eq!((end.code, end.rest.as_str()), (Some(0), ""));
}

#[test]
fn failed_request_says_why_in_its_answer_and_the_worker_goes_on() {
    let mut worker = Worker::start(&["hash", "--persistent_worker"]);
    worker.send(r#"{"arguments":["missing","out"],"requestId":7}"#);
    let answer = worker.answer();
    assert_eq!(
        (&answer["exitCode"], &answer["requestId"]),
        (&json!(1), &json!(7))
    );
    let output = answer["output"].as_str().unwrap();
    assert!(
        output.starts_with("img: ") && output.contains("missing"),
        "{output}"
    );
    worker.send(r#"{"arguments":["--no-such-flag"],"requestId":8}"#);
    let output = worker.answer()["output"].to_string();
    assert!(output.contains("unknown flag --no-such-flag"), "{output}");
    worker.write("a", "abc");
    worker.send(r#"{"arguments":["a","out"],"requestId":9}"#);
    assert_eq!(worker.answer()["exitCode"], 0);
    let end = worker.end();
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
}

#[test]
fn many_requests_at_once_are_all_answered() {
    let mut worker = Worker::start(&["hash", "--persistent_worker"]);
    for number in 1..=40 {
        worker.write(&format!("in{number}"), &format!("{number}"));
        let arguments = [
            "--encoding=hex",
            &format!("in{number}"),
            &format!("out{number}"),
        ];
        worker.send(&json!({"arguments": arguments, "requestId": number}).to_string());
    }
    let mut codes = BTreeMap::new();
    for _ in 1..=40 {
        let answer = worker.answer();
        codes.insert(
            answer["requestId"].as_i64().unwrap(),
            answer["exitCode"].clone(),
        );
    }
    assert_eq!(codes.len(), 40);
    assert!(codes.values().all(|code| *code == 0), "{codes:?}");
    for number in 1..=40 {
        let digest = imgcore::Digest::sha256_of(format!("{number}").as_bytes());
        assert_eq!(worker.read(&format!("out{number}")), digest.hex());
    }
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn sandbox_directory_is_where_relative_paths_start() {
    let mut worker = Worker::start(&["hash", "--persistent_worker"]);
    worker.write("box/7/a", "abc");
    worker.write("a", "other");
    let request = json!({
        "arguments": ["--encoding=hex", "a", "out"],
        "requestId": 7,
        "sandboxDir": "box/7",
    });
    worker.send(&request.to_string());
    assert_eq!(worker.answer()["exitCode"], 0);
    assert_eq!(worker.read("box/7/out"), ABC);
    assert!(!worker.path("out").exists());
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn words_of_the_start_command_line_stand_in_front_of_every_request() {
    let mut worker = Worker::start_with(&["hash", "@start", "--persistent_worker"], |worker| {
        worker.write("start", "--encoding=hex\n# a comment\n--digest\nsha512\n");
    });
    worker.write("a", "abc");
    worker.send(r#"{"arguments":["a","out"]}"#);
    worker.line();
    assert!(worker.read("out").starts_with("ddaf35a193617aba"));
    worker.send(r#"{"arguments":["--digest=sha256","a","out"]}"#);
    worker.line();
    assert_eq!(worker.read("out"), ABC);
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn arguments_of_a_request_are_literal() {
    let mut worker = Worker::start(&["hash", "--persistent_worker"]);
    worker.write("@a", "abc");
    worker.send(r#"{"arguments":["--encoding=hex","@a","out"]}"#);
    worker.line();
    assert_eq!(worker.read("out"), ABC);
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn cancelled_request_answers_that_it_was_and_writes_nothing() {
    let mut worker = Worker::start(&["hash", "--persistent_worker"]);
    worker.send(r#"{"requestId":99,"cancel":true}"#);
    // A pipe without a writer: the request cannot end before it is told to.
    worker.make_pipe("pipe");
    worker.send(r#"{"arguments":["pipe","out"],"requestId":3}"#);
    // Opening it waits until the request has it open, too.
    let mut pipe = fs::OpenOptions::new()
        .write(true)
        .open(worker.path("pipe"))
        .unwrap();
    worker.send(r#"{"requestId":3,"cancel":true}"#);
    worker.write("a", "abc");
    worker.send(r#"{"arguments":["a","other"],"requestId":4}"#);
    assert_eq!(worker.answer()["requestId"], 4);
    pipe.write_all(b"abc").unwrap();
    drop(pipe);
    let answer = worker.answer();
    assert_eq!(
        (&answer["requestId"], &answer["was_cancelled"]),
        (&json!(3), &json!(true))
    );
    assert!(!worker.path("out").exists());
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn end_of_requests_waits_for_those_that_run() {
    let mut worker = Worker::start(&["hash", "--persistent_worker"]);
    worker.make_pipe("pipe");
    worker.send(r#"{"arguments":["--encoding=hex","pipe","out"],"requestId":1}"#);
    worker.close_input();
    worker.write("pipe", "abc");
    let end = worker.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(
        end.rest,
        "{\"exitCode\":0,\"output\":\"\",\"requestId\":1}\n"
    );
}

#[test]
fn bad_request_ends_the_worker_with_an_error() {
    for bad in [
        "{\"arguments\":[}",
        "[]",
        "{\"arguments\":\"x\"}",
        "{\"requestId\":",
    ] {
        let mut worker = Worker::start(&["hash", "--persistent_worker"]);
        worker.send(bad);
        let end = worker.end();
        assert_eq!(end.code, Some(1), "{bad}");
        assert_eq!(end.rest, "", "{bad}");
        assert!(
            end.stderr.starts_with("img: bad request to the worker: "),
            "{}",
            end.stderr
        );
    }
}

fn with_digest(arguments: &[&str], hex: &str) -> String {
    let digest = BASE64_STANDARD.encode(hex);
    let inputs = json!([{"path": "a", "digest": digest}]);
    json!({"arguments": arguments, "inputs": inputs, "requestId": 1}).to_string()
}

#[test]
fn cheat_mode_takes_the_digest_of_the_input_instead_of_reading_it() {
    let mut worker = Worker::start(&["hash", "--persistent_worker", "--cheat-mode"]);
    worker.write("a", "abc");
    let known = "a1".repeat(32);
    worker.send(&with_digest(&["--encoding=hex", "a", "out"], &known));
    assert_eq!(worker.answer()["exitCode"], 0);
    assert_eq!(worker.read("out"), known);
    // Another algorithm is not what the build knows.
    worker.send(&with_digest(
        &["--encoding=hex", "--digest=sha512", "a", "out"],
        &known,
    ));
    worker.answer();
    assert!(worker.read("out").starts_with("ddaf35a193617aba"));
    worker.send(&with_digest(&["--encoding=hex", "a", "out"], &known[..40]));
    worker.answer();
    assert_eq!(worker.read("out"), ABC);
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn cheat_mode_makes_layer_metadata() {
    let mut worker = Worker::start(&["hash", "--persistent_worker", "--cheat-mode"]);
    worker.write("a", "abc");
    let known = "a1".repeat(32);
    let metadata = [
        "--encoding=layer-metadata",
        "--digest-mode=digest",
        "a",
        "out",
    ];
    worker.send(&with_digest(&metadata, &known));
    assert_eq!(worker.answer()["exitCode"], 0);
    let document: Value = serde_json::from_str(&worker.read("out")).unwrap();
    assert_eq!(document["digest"], format!("sha256:{known}"));
    assert_eq!(document["size"], 3);
    // A diff ID needs the bytes, and then they say what the digest is.
    let tar = "\0".repeat(1024);
    worker.write("a", &tar);
    worker.send(&with_digest(
        &["--encoding=layer-metadata", "a", "out"],
        &known,
    ));
    assert_eq!(worker.answer()["exitCode"], 0);
    let document: Value = serde_json::from_str(&worker.read("out")).unwrap();
    let measured = imgcore::Digest::sha256_of(tar.as_bytes()).to_string();
    assert_eq!(document["digest"], measured);
    assert_eq!(document["diff_id"], measured);
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn digests_of_inputs_are_not_trusted_without_cheat_mode() {
    let mut worker = Worker::start(&["hash", "--persistent_worker"]);
    worker.write("a", "abc");
    worker.send(&with_digest(
        &["--encoding=hex", "a", "out"],
        &"a1".repeat(32),
    ));
    worker.answer();
    assert_eq!(worker.read("out"), ABC);
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn standard_output_belongs_to_the_protocol() {
    let mut worker = Worker::start(&["hash", "--persistent_worker"]);
    worker.write("a", "abc");
    worker.send(r#"{"arguments":["a","-"],"requestId":2}"#);
    let answer = worker.answer();
    assert_eq!(answer["exitCode"], 1);
    assert!(
        answer["output"]
            .as_str()
            .unwrap()
            .contains("no standard output"),
        "{answer}"
    );
    worker.send(r#"{"arguments":["--help"],"requestId":3}"#);
    let answer = worker.answer();
    assert_eq!(answer["exitCode"], 0);
    assert!(
        answer["output"]
            .as_str()
            .unwrap()
            .contains("Usage: img hash"),
        "{answer}"
    );
    fs::remove_file(worker.path("a")).unwrap();
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn layers_are_the_same_as_those_of_a_process() {
    let mut worker = Worker::start(&["layer", "--persistent_worker", "--compressor-jobs", "2"]);
    let big = "0123456789abcdef".repeat(200_000);
    for number in 1..=6 {
        worker.write(&format!("box{number}/big"), &format!("{big}{}", number % 2));
        let request = json!({
            "arguments": ["--add", "opt/big=big", "--metadata", "m.json", "out.tgz"],
            "requestId": number,
            "sandboxDir": format!("box{number}"),
        });
        worker.send(&request.to_string());
    }
    for _ in 1..=6 {
        assert_eq!(worker.answer()["exitCode"], 0);
    }
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_img"))
        .args([
            "layer",
            "--add",
            "opt/big=box1/big",
            "--metadata",
            "m.json",
            "out.tgz",
        ])
        .current_dir(worker.path("."))
        .status()
        .unwrap();
    assert!(status.success());
    for number in 1..=6 {
        let same = number % 2 == 1;
        for file in ["m.json", "out.tgz"] {
            let ours = fs::read(worker.path(&format!("box{number}/{file}"))).unwrap();
            assert_eq!(
                ours == fs::read(worker.path(file)).unwrap(),
                same,
                "{number} {file}"
            );
        }
    }
    assert_eq!(worker.end().code, Some(0));
}

#[test]
fn warnings_stand_in_the_answer() {
    let mut worker = Worker::start(&["layer", "--persistent_worker"]);
    worker.send(r#"{"arguments":["--deduplicate=x","out.tar"],"requestId":1}"#);
    let answer = worker.answer();
    assert_eq!(answer["exitCode"], 0);
    let output = answer["output"].as_str().unwrap();
    assert!(
        output.starts_with("img: warning: --deduplicate has no effect"),
        "{output}"
    );
    let end = worker.end();
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
}

#[test]
fn every_command_that_a_build_runs_often_can_be_a_worker() {
    for command in [
        "layer",
        "hash",
        "compress",
        "manifest",
        "index",
        "expand-template",
        "oci-layout",
        "sparse-oci-layout",
        "docker-save",
        "deploy-metadata",
        "deploy-merge",
        "validate layer-presence",
        "optimize",
        "mtree",
    ] {
        let mut words: Vec<&str> = command.split(' ').collect();
        words.push("--persistent_worker");
        let mut worker = Worker::start(&words);
        worker.send(r#"{"arguments":["--help"],"requestId":5}"#);
        let answer = worker.answer();
        assert_eq!(
            (&answer["exitCode"], &answer["requestId"]),
            (&json!(0), &json!(5))
        );
        let usage = format!("Usage: img {command}");
        assert!(
            answer["output"].as_str().unwrap().contains(&usage),
            "{command}: {answer}"
        );
        assert_eq!(worker.end().code, Some(0), "{command}");
    }
}

#[test]
fn file_that_changes_while_it_is_read_is_named() {
    let mut worker = Worker::start(&["layer", "--persistent_worker"]);
    worker.write("changing", "before");
    worker.make_pipe("pipe");
    let arguments = [
        "--add",
        "opt/a=changing",
        "--symlinks-from-file",
        "pipe",
        "out.tar",
    ];
    worker.send(&json!({"arguments": arguments, "requestId": 1}).to_string());
    // Links are read after files were looked at, and before they are read.
    let pipe = fs::OpenOptions::new()
        .write(true)
        .open(worker.path("pipe"))
        .unwrap();
    worker.write("changing", "something else");
    drop(pipe);
    let answer = worker.answer();
    assert_eq!(answer["exitCode"], 1);
    let output = answer["output"].as_str().unwrap();
    assert!(
        output.contains("changing") && output.contains("changed"),
        "{output}"
    );
    assert!(!worker.path("out.tar").exists());
    assert_eq!(worker.end().code, Some(0));
}
