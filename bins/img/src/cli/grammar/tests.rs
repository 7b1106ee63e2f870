//! The grammar as a table: what is written, and what clap is given.

use clap::{Arg, ArgAction, Command};

use super::*;

/// A command with one flag of each kind.
fn command() -> Command {
    Command::new("test").args([
        Arg::new("add").long("add").action(ArgAction::Append),
        Arg::new("format").long("format").action(ArgAction::Set),
        Arg::new("annotation")
            .long("annotation")
            .action(ArgAction::Append),
        Arg::new("estargz")
            .long("estargz")
            .action(ArgAction::SetTrue),
        Arg::new("symlink")
            .long("symlink")
            .action(ArgAction::SetTrue),
        Arg::new("tag")
            .long("tag")
            .short('t')
            .alias("label")
            .action(ArgAction::Append),
        Arg::new("output")
            .long("output")
            .value_parser(clap::value_parser!(PathBuf)),
        Arg::new("layer")
            .long("layer")
            .value_parser(clap::value_parser!(PathBuf))
            .action(ArgAction::Append),
        Arg::new("rest").action(ArgAction::Append),
    ])
}

/// Writes what came of the words in one line: flags, `|`, other words, then help and verbose.
fn read(grammar: Grammar, words: &[&str]) -> String {
    let words = words.iter().map(OsString::from).collect();
    match normalise(&command(), grammar, words) {
        Ok(words) => {
            let text = |word: &OsString| match word.to_string_lossy().into_owned() {
                dashes if dashes == "--" => "|".to_owned(),
                empty if empty.is_empty() => "<empty>".to_owned(),
                other => other,
            };
            let mut parts: Vec<String> = words.arguments.iter().map(text).collect();
            parts.extend(words.help.then(|| "HELP".to_owned()));
            parts.extend(words.verbose.then(|| "VERBOSE".to_owned()));
            parts.join(" ")
        }
        Err(failure) => failure
            .to_string()
            .trim_start_matches("img: ")
            .trim_end()
            .replace('\n', "; "),
    }
}

fn check_all(grammar: Grammar, rows: &[(&[&str], &str)]) {
    for (words, expected) in rows {
        assert_eq!(read(grammar, words), *expected, "{words:?}");
    }
}

#[test]
fn one_dash_and_two_are_the_same() {
    check_all(
        Grammar::FlagsFirst,
        &[
            (&[], "|"),
            (&["--add=x"], "--add=x |"),
            (&["-add=x"], "--add=x |"),
            (&["--add", "x"], "--add=x |"),
            (&["-add", "x"], "--add=x |"),
            (&["-t", "x"], "--tag=x |"),
            (&["--t", "x"], "--tag=x |"),
            (&["-t=x"], "--tag=x |"),
            (&["--label", "x"], "--tag=x |"),
            (&["-estargz"], "--estargz |"),
            (&["---add=x"], "bad flag `---add`"),
            (&["--=x"], "bad flag `--`"),
            (&["-=x"], "bad flag `-`"),
        ],
    );
}

#[test]
fn values_may_be_anything() {
    check_all(
        Grammar::FlagsFirst,
        &[
            (&["--add="], "--add= |"),
            (&["--add", ""], "--add= |"),
            (&["--add", "-x"], "--add=-x |"),
            (&["--add", "--format"], "--add=--format |"),
            (&["--add", "--"], "--add=-- |"),
            (&["--add", "-"], "--add=- |"),
            (&["--add", "--estargz", "x"], "--add=--estargz | x"),
            (&["--add=a=b"], "--add=a=b |"),
            (&["--add", "a=b=c"], "--add=a=b=c |"),
            (&["--add==b"], "--add==b |"),
            (&["--add=--format=x"], "--add=--format=x |"),
            (&["--add", "a b"], "--add=a b |"),
            (&["--add", "@file"], "--add=@file |"),
            (&["--add"], "--add: its value is missing"),
            (&["--format=a", "--add"], "--add: its value is missing"),
        ],
    );
}

#[test]
fn empty_path_is_no_path() {
    check_all(
        Grammar::FlagsFirst,
        &[
            (&["--output="], "|"),
            (&["--output", "", "x"], "| x"),
            (&["--output=a", "--add=b", "-output="], "--add=b |"),
            (&["--output=", "--output=a"], "--output=a |"),
            (&["--layer="], "--layer= |"),
            (&["--format="], "--format= |"),
        ],
    );
}

#[test]
fn repeats_keep_their_order() {
    check_all(
        Grammar::FlagsFirst,
        &[
            (
                &["--add", "1", "-add=2", "--add", "3"],
                "--add=1 --add=2 --add=3 |",
            ),
            (
                &["--add=1", "--tag=2", "--add=3"],
                "--add=1 --tag=2 --add=3 |",
            ),
            (&["--format=a", "--format", "b"], "--format=a --format=b |"),
            (
                &["--annotation=a=1", "--annotation=a=2"],
                "--annotation=a=1 --annotation=a=2 |",
            ),
        ],
    );
}

#[test]
fn switches_take_a_value_only_behind_an_equals_sign() {
    check_all(
        Grammar::FlagsFirst,
        &[
            (&["--estargz"], "--estargz |"),
            (&["--estargz=1"], "--estargz |"),
            (&["--estargz=t"], "--estargz |"),
            (&["--estargz=T"], "--estargz |"),
            (&["--estargz=true"], "--estargz |"),
            (&["--estargz=TRUE"], "--estargz |"),
            (&["--estargz=True"], "--estargz |"),
            (&["--estargz=0"], "|"),
            (&["--estargz=f"], "|"),
            (&["--estargz=F"], "|"),
            (&["--estargz=false"], "|"),
            (&["--estargz=FALSE"], "|"),
            (&["--estargz=False"], "|"),
            (&["--estargz", "true"], "--estargz | true"),
            (&["--estargz", "--estargz=false"], "|"),
            (&["--estargz=false", "--estargz"], "--estargz |"),
            (
                &["--estargz=yes"],
                "--estargz: bad value `yes`; hint: write --estargz, --estargz=true or --estargz=false",
            ),
            (
                &["--estargz=tRUE"],
                "--estargz: bad value `tRUE`; hint: write --estargz, --estargz=true or --estargz=false",
            ),
            (
                &["-estargz="],
                "-estargz: bad value ``; hint: write -estargz, -estargz=true or -estargz=false",
            ),
        ],
    );
}

#[test]
fn flags_end_at_the_first_other_word() {
    check_all(
        Grammar::FlagsFirst,
        &[
            (&["out"], "| out"),
            (&["out", "--add", "x"], "| out --add x"),
            (
                &["--add", "x", "out", "--add", "y"],
                "--add=x | out --add y",
            ),
            (&["--", "--add", "x"], "| --add x"),
            (&["--add=x", "--", "out"], "--add=x | out"),
            (&["--", "--"], "| |"),
            (&["out", "--", "x"], "| out x"),
            (&["-"], "| -"),
            (&["-", "--add", "x"], "| - --add x"),
            (&["", "--add"], "| <empty> --add"),
            (&["out", "--help"], "| out --help"),
            (&["out", "-x"], "| out -x"),
        ],
    );
}

#[test]
fn people_may_write_flags_anywhere() {
    check_all(
        Grammar::FlagsAnywhere,
        &[
            (&["out", "--add", "x"], "--add=x | out"),
            (&["a", "-estargz", "b"], "--estargz | a b"),
            (&["a", "--", "--add"], "| a --add"),
            (&["a", "--help"], "| a HELP"),
            (&["a", "-", "--add=x"], "--add=x | a -"),
            (
                &["a", "--ad"],
                "unknown flag --ad; hint: did you mean --add?",
            ),
        ],
    );
}

#[test]
fn global_flags_are_taken_anywhere_but_not_as_values() {
    check_all(
        Grammar::FlagsFirst,
        &[
            (&["--verbose"], "| VERBOSE"),
            (&["-verbose", "out"], "| out VERBOSE"),
            (&["out", "--verbose"], "| out VERBOSE"),
            (&["out", "-insecure", "x"], "| out x"),
            (&["--add", "--verbose", "out"], "--add=--verbose | out"),
            (&["--add=--verbose"], "--add=--verbose |"),
            (&["--", "--verbose"], "| --verbose"),
            (&["--insecure=true"], "|"),
            (&["--verbose=false"], "|"),
            (
                &["--insecure=x"],
                "--insecure: bad value `x`; hint: write --insecure, --insecure=true or --insecure=false",
            ),
            (&["out", "---verbose"], "| out ---verbose"),
        ],
    );
}

#[test]
fn unknown_flags_are_refused_with_the_one_that_was_meant() {
    check_all(
        Grammar::FlagsFirst,
        &[
            (&["--bogus"], "unknown flag --bogus"),
            (&["-bogus=1"], "unknown flag --bogus"),
            (
                &["--fromat=x"],
                "unknown flag --fromat; hint: did you mean --format?",
            ),
            (&["--form=x"], "unknown flag --form"),
            (
                &["--anotation", "a=b"],
                "unknown flag --anotation; hint: did you mean --annotation?",
            ),
            (&["-et"], "unknown flag --et"),
            (
                &["--Add=x"],
                "unknown flag --Add; hint: did you mean --add?",
            ),
            (&["--rest=x"], "unknown flag --rest"),
            (&["--help"], "| HELP"),
            (&["-h"], "| HELP"),
            (&["-help", "--bogus"], "| HELP"),
            (&["--add", "--help"], "--add=--help |"),
        ],
    );
}

#[cfg(unix)]
#[test]
fn values_need_not_be_text() {
    use std::os::unix::ffi::OsStringExt as _;
    let word = OsString::from_vec(b"--add=srv/\xff=\xfe".to_vec());
    let words = normalise(&command(), Grammar::FlagsFirst, vec![word.clone()]).unwrap();
    assert_eq!(words.arguments, [word, "--".into()]);
    let word = OsString::from_vec(b"--a\xff".to_vec());
    assert!(normalise(&command(), Grammar::FlagsFirst, vec![word]).is_err());
}

proptest::proptest! {
    /// What clap is given says the same when it is read again.
    #[test]
    fn canonical_words_are_read_as_themselves(
        words in proptest::collection::vec(
            "(-{0,3}(add|format|estargz|t|output|x|verbose|help)?(=(|a|-b|true|0|=))?|[a-z=-]{0,3})",
            0..6,
        ),
        anywhere: bool,
    ) {
        let grammar = if anywhere { Grammar::FlagsAnywhere } else { Grammar::FlagsFirst };
        let words = words.iter().map(OsString::from).collect();
        if let Ok(first) = normalise(&command(), grammar, words) {
            let again = normalise(&command(), grammar, first.arguments.clone()).unwrap();
            proptest::prop_assert_eq!(again.arguments, first.arguments);
        }
    }
}
