//! Go's `encoding/json` against ours: registries, runtimes and the peer read and write documents with it.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use imgcore::json::{Limits, Value};
use imgcore::{Descriptor, Digest, Document, MediaType};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// What Go makes of a document.
#[derive(serde::Deserialize)]
struct Answer {
    valid: bool,
    compact: String,
    indented: String,
    parts: String,
}

/// Asks Go about documents; `None` where it is not installed.
fn ask(documents: &[Vec<u8>]) -> Option<Vec<Answer>> {
    let go = imgtest::oracle::go()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go/oracle/main.go");
    let mut child = Command::new(go)
        .arg("run")
        .arg(source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = documents
        .iter()
        .map(|document| hex(document) + "\n")
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let answers: Vec<_> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter::<Answer>()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(answers.len(), documents.len());
    Some(answers)
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// Draws the same values on every run.
fn draw<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    let mut next = || strategy.new_tree(&mut runner).unwrap().current();
    (0..count).map(|_| next()).collect()
}

/// Any JSON with sorted members (Go sorts them), in various spellings.
fn any_json() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        any::<String>(),
        "[\\x00-\\x40\u{7f}-\u{a0}\u{2027}-\u{202a}\u{fffd}]{0,4}",
    ];
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        Just("-0.50e+3".to_owned()),
        text.prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""\u003c\/\ud83d\ude00\u0041""#.to_owned()),
    ];
    scalar.prop_recursive(4, 32, 5, |inner| {
        let array = prop::collection::vec(inner.clone(), 0..5)
            .prop_map(|elements| format!("[ {} ]", elements.join(" ,\n")));
        let members = prop::collection::btree_map("[a-z<\u{e9}\"]{0,3}", inner, 0..5);
        let object = members.prop_map(|members| {
            let members: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{} :\t{value}", serde_json::to_string(key).unwrap()))
                .collect();
            format!("{{{}}}", members.join(", "))
        });
        prop_oneof![array, object]
    })
}

#[test]
fn the_canonical_form_is_gos() {
    let documents = draw(&any_json(), 3000);
    let documents: Vec<_> = documents.into_iter().map(String::into_bytes).collect();
    for (document, answer) in documents.iter().zip(ask(&documents).into_iter().flatten()) {
        let value = Value::parse(document, &Limits::default()).unwrap();
        assert_eq!(
            String::from_utf8(value.to_compact()).unwrap(),
            answer.compact
        );
        assert_eq!(
            String::from_utf8(value.to_indented()).unwrap(),
            answer.indented
        );
    }
}

/// A manifest or an index, of which a few bytes were replaced by pieces that matter to a parser.
fn broken_document() -> impl Strategy<Value = Vec<u8>> {
    let descriptor = |media_type: MediaType, content: &[u8]| {
        String::from_utf8(Descriptor::of(media_type, content).to_json().to_compact()).unwrap()
    };
    let config = descriptor(MediaType::OCI_CONFIG, b"config");
    let layers = [b"a", b"b"].map(|content| descriptor(MediaType::OCI_LAYER_GZIP, content));
    let layers = layers.join(",");
    let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#);
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{layers}]}}"#);
    let other = descriptor(MediaType::OCI_LAYER_TAR, b"other");
    let pieces = prop::sample::select(vec![
        format!(r#""layers":[{other}],"#),
        format!(r#""Layers":[{other}],"#),
        format!(r#""\u006cayers":[{other}],"#),
        format!("\"layer\u{17f}\":[{other}],"),
        format!(r#""manifests":[{other}],"#),
        format!(r#""MANIFESTS":null,"#),
        format!(r#""config":{other},"#),
        format!(r#""digest":"{}","#, Digest::sha256_of(b"twice")),
        r#""Size":1,"#.to_owned(),
        r#""mediaType":"x","#.to_owned(),
        "null,".to_owned(),
        "{},".to_owned(),
        " ".to_owned(),
        "\u{feff}".to_owned(),
        "1e1".to_owned(),
        "\\".to_owned(),
        "}".to_owned(),
        String::new(),
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_usize..3, pieces), 0..3);
    (prop::sample::select(vec![manifest, index]), edits).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, removed, piece) in edits {
            // Pieces are members, so most of them belong behind a brace or a comma.
            let places: Vec<_> = (0..bytes.len())
                .filter(|at| b"{,[".contains(&bytes[*at]))
                .collect();
            let start = at.get(&places).saturating_add(1);
            let end = (start + removed / 2).min(bytes.len());
            bytes.splice(start..end, piece.into_bytes());
        }
        bytes
    })
}

/// Spells the parts of a document as the Go program does.
fn parts(document: &Document) -> String {
    let line = |name: &str, it: &Descriptor| {
        format!("{name} {} {} {}\n", it.media_type, it.digest, it.size)
    };
    match document {
        Document::Index(index) => index
            .manifests
            .iter()
            .map(|it| line("manifest", it))
            .collect(),
        Document::Manifest(manifest) => {
            let layers = manifest.layers.iter().map(|it| line("layer", it));
            std::iter::once(line("config", &manifest.config))
                .chain(layers)
                .collect()
        }
    }
}

#[test]
fn what_we_accept_go_reads_alike() {
    let documents = draw(&broken_document(), 4000);
    let mut accepted = 0;
    for (document, answer) in documents.iter().zip(ask(&documents).into_iter().flatten()) {
        let Ok(read) = Document::classify(document, None) else {
            continue;
        };
        accepted += 1;
        let text = String::from_utf8_lossy(document);
        assert!(answer.valid, "{text}");
        assert_eq!(parts(&read), answer.parts, "{text}");
    }
    // Neither everything nor nothing.
    assert!(
        accepted == 0 || (400..3600).contains(&accepted),
        "{accepted} were accepted"
    );
}
