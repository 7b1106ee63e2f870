use imgcore::json::Limits;

use super::*;

fn data(json: &str) -> Value {
    Value::from(&imgcore::json::Value::parse(json.as_bytes(), &Limits::default()).unwrap())
}

fn run(text: &str, json: &str) -> Result<String, TemplateError> {
    expand(text, &data(json), &[])
}

#[test]
fn templates_expand_as_in_go() {
    let table = include_str!("../../tests/oracles/template/table.txt");
    let mut lines = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "));
    let mut json = "null";
    let mut count = 0;
    let mut differences = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("data ") {
            json = text;
            continue;
        }
        let expected = lines.next().unwrap();
        let actual = match run(&line.replace('⏎', "\n"), json) {
            Ok(text) => format!("=> {}", serde_json::to_string(&text).unwrap()),
            Err(error) if error.phase() == Phase::Parse => "!! parse".to_owned(),
            Err(_) => "!! run".to_owned(),
        };
        let expected = expected
            .strip_prefix("=> ")
            .map(|text| serde_json::from_str::<String>(text).unwrap())
            .map_or(expected.to_owned(), |text| {
                format!("=> {}", serde_json::to_string(&text).unwrap())
            });
        if actual != expected {
            differences.push(format!("{line}\n  Go   {expected}\n  here {actual}"));
        }
        count += 1;
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(count > 600, "{count}");
}

#[test]
fn failures_name_the_line_and_the_thing() {
    let check = |text: &str, expected: &str| {
        let error = run(text, r#"{"s":"x","n":5,"list":[1]}"#).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    };
    check("a\nb {{nosuch}}", "line 2: there is no function \"nosuch\"");
    check("{{if .s}}\n\n", "line 3: an {{end}} is missing");
    check("{{.s", "line 1: the action has no end");
    check(
        "\n{{.s.x}}",
        "line 2: a value of type string has no field x",
    );
    check("{{$x}}", "line 1: there is no variable $x");
    check(
        "{{hasprefix .none \"a\"}}",
        "line 1: a text is needed, and there is no value",
    );
    check("{{index .list 7}}", "line 1: there is no item 7 of 1");
    check(
        "{{eq .n 5}}",
        "line 1: a whole number and one with a point (every number from JSON is one) cannot be compared",
    );
    check("{{len}}", "line 1: len takes 1 arguments, not 0");
    check(
        "{{slice \"h\u{e9}\" 0 2}}",
        "line 1: bytes 0 to 2 of \"h\u{e9}\" are no whole characters",
    );
    check("{{\"\\xff\"}}", "line 1: \"\\xff\" is no quoted text");
    check("{{template \"T\"}}", "line 1: there is no template \"T\"");
    check("{{.s} }", "line 1: '}' cannot follow a name");
}

#[test]
fn templates_that_do_not_end_are_stopped() {
    let check = |text: &str, expected: &str| {
        let error = run(text, "{}").unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    };
    let endless = "line 1: the template does not come to an end";
    check("{{range 9223372036854775807}}{{end}}", endless);
    check("{{range 99999}}{{range 99999}}x{{end}}{{end}}", endless);
    check(
        "{{$x := \"0123456789\"}}{{range 99}}{{$x = print $x $x}}{{end}}",
        "line 1: a text has more than 1048576 bytes",
    );
    check(
        "{{$x := split (printf \"%10000d\" 1) \"\"}}{{range 999}}{{$x = slice $x 0}}{{end}}",
        endless,
    );
    check(
        "{{define \"T\"}}{{template \"T\"}}{{end}}{{template \"T\"}}",
        "line 1: templates call each other too deep",
    );
    check(
        &format!("{{{{{}1{}}}}}", "(".repeat(200), ")".repeat(200)),
        "line 1: actions are nested more than 100 deep",
    );
    check(
        &"{{if 1}}".repeat(1000),
        "line 1: actions are nested more than 100 deep",
    );
    check(
        &("{{if 0}}".to_owned() + &"{{else if 0}}".repeat(1000)),
        "line 1: actions are nested more than 100 deep",
    );
}

#[test]
fn widths_that_nobody_needs_are_not_obeyed() {
    assert_eq!(
        run("{{printf \"%99999999d|\" 5}}", "{}").unwrap(),
        "%!(NOVERB)%!(EXTRA int=5)"
    );
    assert_eq!(
        run("{{printf \"%.99999999f|\" 5.0}}", "{}").unwrap(),
        "%!(NOVERB)%!(EXTRA float64=5)"
    );
    assert_eq!(
        run("{{printf \"%.10000f\" 1.5}}", "{}").unwrap().len(),
        10_002
    );
    let many = "%10000[1]d".repeat(2000);
    let text = format!("{{{{len (printf \"{many}\" 5)}}}}");
    assert_eq!(
        run(&text, "{}").unwrap_err().to_string(),
        "line 1: a text has more than 1048576 bytes"
    );
}

#[test]
fn given_variables_are_seen_in_the_template_but_not_in_its_definitions() {
    let variables = [("PATH".to_owned(), "/bin".to_owned())];
    let expand = |text| expand(text, &Value::Missing, &variables);
    assert_eq!(expand("  {{$PATH}}:/opt ").unwrap(), "/bin:/opt ");
    assert_eq!(expand("{{if $PATH}}{{$PATH}}{{end}}").unwrap(), "/bin");
    assert!(expand("{{define \"T\"}}{{$PATH}}{{end}}").is_err());
    assert!(expand("{{$HOME}}").is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_template_or_an_error(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24)
    ) {
        let text = pieces.concat();
        // Whatever comes of it, it comes back.
        let _ = run(&text, r#"{"a":"x","n":5,"l":["a",null,{"k":1}],"m":{"k":null}}"#);
    }

    #[test]
    fn text_without_braces_stands_for_itself(text in "[^{]{0,40}") {
        proptest::prop_assert_eq!(run(&text, "{}").unwrap(), text);
    }

    #[test]
    fn quoted_text_reads_back(text in "\\PC{0,20}") {
        let json = serde_json::json!({ "t": text }).to_string();
        let quoted = run("{{printf \"%q\" .t}}", &json).unwrap();
        proptest::prop_assert_eq!(run(&format!("{{{{{quoted}}}}}"), "{}").unwrap(), text);
    }
}

const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{- ",
    " -}}",
    "{{/*",
    "*/}}",
    "(",
    ")",
    " ",
    "\n",
    "|",
    "$",
    "$x",
    ":=",
    "=",
    ",",
    ".",
    ".a",
    ".n",
    ".l",
    ".m.k",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    "define ",
    "template ",
    "block ",
    "break",
    "continue",
    "\"T\"",
    "`raw`",
    "'c'",
    "1",
    "-1.5e3",
    "0x1F",
    "nil",
    "true",
    "print ",
    "printf \"%[2]*.[1]*d %v\" ",
    "index ",
    "slice ",
    "len ",
    "eq ",
    "lt ",
    "and ",
    "or ",
    "not ",
    "html ",
    "js ",
    "call ",
    "split ",
    "join ",
    "rfc3339 ",
    "getkv ",
    "{{end}}",
    "{{else}}",
    "{{range .l}}",
    "{{if .a}}",
    "{{with .m}}",
    "\u{e9}",
    "\\",
    "\"",
    "'",
    "%",
    "{{.}}",
    "{{$x := .}}",
];
