//! The table of templates is what Go makes of them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::tool::{go, succeed, text};

#[test]
fn table_of_templates_is_what_go_answers() {
    let Some(go) = go() else { return };
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/template");
    let templates = fs_err::File::open(oracle.join("templates.txt")).unwrap();
    let answers = succeed(
        Command::new(go)
            .args(["run", "-trimpath", "."])
            .current_dir(&oracle)
            .env("GOTOOLCHAIN", "local")
            .stdin(Stdio::from(std::fs::File::from(templates))),
    );
    let table = fs_err::read_to_string(oracle.join("table.txt")).unwrap();
    let answers = text(&answers);
    let differences: Vec<_> = table
        .lines()
        .zip(answers.lines())
        .filter(|(ours, theirs)| ours != theirs)
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!(table.lines().count(), answers.lines().count());
}
