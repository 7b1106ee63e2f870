use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Value, Error> {
    Value::parse(text.as_bytes(), &Limits::default())
}

fn object(text: &str) -> Object {
    parse(text).unwrap().as_object().unwrap()
}

fn check_error(text: &str, expected: &str) {
    assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
}

/// What is no JSON for us, and what is said about it.
const MALFORMED: &[(&str, &str)] = &[
    ("", "JSON document ends too early at byte 0"),
    (
        "\u{feff}{}",
        "JSON document starts with a byte order mark at byte 0",
    ),
    ("{} {}", "JSON document goes on after its end at byte 3"),
    (
        "[1,]",
        "JSON document has no value where one must start at byte 3",
    ),
    (
        "{\"a\":1,}",
        "JSON document has no member name where one must start at byte 7",
    ),
    (
        "{\"a\" 1}",
        "JSON document has no ':' where one must stand at byte 5",
    ),
    (
        "[1 2]",
        "JSON document has no ',' where one must stand at byte 3",
    ),
    ("{\"a\":1", "JSON document ends too early at byte 6"),
    ("\"a", "JSON document ends inside a string at byte 2"),
    (
        "\"a\nb\"",
        "JSON document has a control character in a string at byte 2",
    ),
    (
        "\"\\x\"",
        "JSON document has an unknown escape in a string at byte 1",
    ),
    (
        "\"\\u12g4\"",
        "JSON document has an unknown escape in a string at byte 1",
    ),
    (
        "\"\\ud800\"",
        "JSON document has half a surrogate pair in a string at byte 1",
    ),
    (
        "\"\\ud800\\u0041\"",
        "JSON document has half a surrogate pair in a string at byte 1",
    ),
    (
        "\"\\udc00\"",
        "JSON document has half a surrogate pair in a string at byte 1",
    ),
    (
        "nul",
        "JSON document has no value where one must start at byte 0",
    ),
    (
        "NaN",
        "JSON document has no value where one must start at byte 0",
    ),
    (
        "+1",
        "JSON document has no value where one must start at byte 0",
    ),
    (
        "-",
        "JSON document has a number without a digit where one must stand at byte 1",
    ),
    (
        "1.",
        "JSON document has a number without a digit where one must stand at byte 2",
    ),
    (
        "1e",
        "JSON document has a number without a digit where one must stand at byte 2",
    ),
    ("01", "JSON document goes on after its end at byte 1"),
    (
        "// a\n1",
        "JSON document has no value where one must start at byte 0",
    ),
    (
        "18446744073709551616",
        "JSON document has a number beyond 64 bits at byte 0",
    ),
    (
        "-9223372036854775809",
        "JSON document has a number beyond 64 bits at byte 0",
    ),
    (
        "[1e400]",
        "JSON document has a number beyond 64 bits at byte 1",
    ),
];

#[test]
fn what_is_not_strict_json_is_refused_with_its_place() {
    for (text, expected) in MALFORMED {
        check_error(text, expected);
    }
}

#[test]
fn a_member_twice_is_refused_also_in_another_case() {
    for twice in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"x":{"layers":1,"Layers":1}}"#,
        // The Kelvin sign and the long s, which Go folds.
        "{\"k\":1,\"\u{212a}\":1}",
        "{\"size\":1,\"\u{17f}ize\":1}",
        // In maps of free text only exact repetitions.
        r#"{"annotations":{"a":"","a":""}}"#,
        r#"{"annotations":{},"Annotations":{}}"#,
    ] {
        let error = parse(twice).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(
            error.to_string().contains("a second time"),
            "{twice}: {error}"
        );
    }
    check_error(
        r#"{"a":1, "A":2}"#,
        r#"JSON document has the member "A" a second time at byte 8"#,
    );
}

#[test]
fn keys_of_free_text_maps_may_differ_in_case() {
    parse(r#"{"config":{"Volumes":{"/Data":{},"/data":{}},"Labels":{"A":"","a":""}}}"#).unwrap();
    let variants = br#"{"http_proxy":"","HTTP_PROXY":""}"#;
    Value::parse(variants, &Limits::default()).unwrap_err();
    Value::parse(variants, &Limits::default().with_case_variants(true)).unwrap();
}

#[test]
fn invalid_utf_8_is_refused() {
    let error = Value::parse(b"\"\xff\"", &Limits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "JSON document is not valid UTF-8 at byte 1"
    );
}

#[test]
fn documents_beyond_the_limits_are_refused() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    parse(&nested(64)).unwrap();
    let error = parse(&nested(65)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        "JSON document is nested deeper than 64 levels at byte 64"
    );

    let endless = Limits::default().with_max_depth(usize::MAX);
    let error = Value::parse(nested(1 << 20).as_bytes(), &endless).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);

    let error = Value::parse(b"[1,2]", &Limits::default().with_max_bytes(4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        "JSON document has 5 bytes, more than the 4 that are taken"
    );
}

#[test]
fn values_are_read_as_what_they_are() {
    let value = |text| parse(text).unwrap();
    assert_eq!(value("18446744073709551615").as_u64(), Some(u64::MAX));
    assert_eq!(value("-9223372036854775808").as_i64(), Some(i64::MIN));
    assert_eq!(value("-1").as_u64(), None);
    assert_eq!(value("1.0").as_u64(), None);
    assert_eq!(value("1e3").as_f64(), Some(1000.0));
    assert_eq!(value("\"1\"").as_u64(), None);
    assert_eq!(value("true").as_bool(), Some(true));
    assert!(value(" null ").is_null());
    assert_eq!(
        value(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 x""#)
            .as_str()
            .unwrap(),
        "\"\\/\u{8}\u{c}\n\r\té😀 x"
    );
    assert_eq!(value("[ ]").as_array(), Some(Vec::new()));
    assert_eq!(value("{ }").as_object().map(|object| object.len()), Some(0));
    assert_eq!(value("[]").as_object(), None);
}

#[test]
fn strings_are_escaped_as_go_does() {
    let text = "\"\\/\u{0}\u{7}\u{8}\u{c}\n\r\t\u{1f}<>&é\u{7f}\u{2028}\u{2029}😀";
    assert_eq!(
        String::from_utf8(Value::from(text).to_compact()).unwrap(),
        "\"\\\"\\\\/\\u0000\\u0007\\b\\f\\n\\r\\t\\u001f\\u003c\\u003e\\u0026é\u{7f}\\u2028\\u2029😀\""
    );
}

#[test]
fn an_edit_leaves_every_other_byte() {
    let source = "{\n  \"a\" : 1.50 ,\n  \"b\":\t[ 1,2 ],\n  \"\\u0063\": \"\\u003c\"\n}";
    assert_eq!(object(source).to_bytes(), source.as_bytes());

    let mut edited = object(source);
    edited.set("b", 7_u64);
    insta::assert_snapshot!(String::from_utf8(edited.to_bytes()).unwrap(), @r#"
    {
      "a" : 1.50 ,
      "b":	7,
      "\u0063": "\u003c"
    }
    "#);
    assert_eq!(edited.remove("c").unwrap().as_str().unwrap(), "<");
    edited.set("d", "new");
    insta::assert_snapshot!(String::from_utf8(edited.to_bytes()).unwrap(), @r#"
    {
      "a" : 1.50 ,
      "b":	7,
      "d":	"new"
    }
    "#);
}

#[test]
fn canonical_forms_have_one_spelling() {
    let source = "{ \"a\" : [ ], \"b\": { }, \"c\": [1, {\"d\": \"\\u0041<\"}], \"e\": null }";
    let value = parse(source).unwrap();
    assert_eq!(
        String::from_utf8(value.to_compact()).unwrap(),
        r#"{"a":[],"b":{},"c":[1,{"d":"A\u003c"}],"e":null}"#
    );
    insta::assert_snapshot!(String::from_utf8(value.to_indented()).unwrap(), @r#"
    {
      "a": [],
      "b": {},
      "c": [
        1,
        {
          "d": "A\u003c"
        }
      ],
      "e": null
    }
    "#);
}

#[test]
fn fields_name_the_place_and_the_member() {
    let check = |text: &str, expected: &str| {
        let read = || -> Result<(), Error> {
            let mut fields = Fields::of(&parse(text)?, "thing 3")?;
            fields.string("name")?;
            fields.optional_string("note")?;
            fields.flag("empty")?;
            fields.strings("words")?;
            fields.string_map("notes")?;
            fields.parsed::<crate::Digest>("digest")?;
            fields.unsigned("size")?;
            fields.finish(Strictness::Strict)
        };
        let text = read().map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        assert_eq!(text, expected);
    };
    let digest = crate::Digest::sha256_of(b"");
    check("[]", "thing 3 is no JSON object");
    check("{}", "thing 3: name is missing");
    check(r#"{"name":1}"#, "thing 3: name is no string");
    check(
        r#"{"name":"","empty":1}"#,
        "thing 3: empty is neither true nor false",
    );
    check(r#"{"name":"","words":1}"#, "thing 3: words is no array");
    check(
        r#"{"name":"","words":["a",1]}"#,
        "thing 3: words[1] is no string",
    );
    check(r#"{"name":"","notes":[]}"#, "thing 3: notes is no object");
    check(
        r#"{"name":"","notes":{"a":1}}"#,
        "thing 3: notes.a is no string",
    );
    check(r#"{"name":"","digest":"x"}"#, r#"thing 3: digest is "x""#);
    let rest = |more: &str| format!(r#"{{"name":"","digest":"{digest}","size":{more}}}"#);
    check(&rest("-1"), "thing 3: size is no whole number of 0 or more");
    check(&rest("1"), "ok");
    check(&rest("1,\"note\":null"), "ok");
    check(&rest("1,\"x\":2"), r#"thing 3 has the unknown member "x""#);
    check(
        &rest("1,\"Note\":\"\""),
        r#"thing 3 has the member "Note", which must be spelled "note""#,
    );
}

/// Any JSON value, as the text that some writer might have given it.
fn any_json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        Just("-0.50e+3".to_owned()),
        any::<String>().prop_map(|text| Value::from(text).text().to_owned()),
        Just("\"\\ud83d\\ude00\\/\"".to_owned()),
    ];
    let space = prop_oneof![Just(""), Just(" "), Just("\r\n\t")];
    scalar.prop_recursive(4, 32, 6, move |inner| {
        let list = prop::collection::vec((inner.clone(), space.clone()), 0..6);
        let array = list.prop_map(|items| {
            let items: Vec<_> = items
                .iter()
                .map(|(item, space)| format!("{space}{item}"))
                .collect();
            format!("[{} ]", items.join(" ,"))
        });
        let map = prop::collection::btree_map("[a-z\"<\\\\]{0,4}", (inner, space.clone()), 0..6);
        let object = map.prop_map(|members| {
            let members: Vec<_> = members
                .iter()
                .map(|(key, (value, space))| {
                    format!("{space}{}{space}:{value}{space}", Value::from(key).text())
                })
                .collect();
            format!("{{{}}}", members.join(","))
        });
        prop_oneof![array, object]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Value::parse(&bytes, &Limits::default());
    }

    #[test]
    fn text_that_looks_like_json_never_panics(text in r#"[\[\]{}",:\\u0-9a-f.eE+ \-tn]{0,40}"#) {
        if let Ok(value) = parse(&text) {
            value.to_compact();
            value.to_indented();
            value.as_str();
            value.as_array();
            value.as_object();
        }
    }

    #[test]
    fn canonical_text_is_a_fixed_point_and_says_the_same(text in any_json()) {
        let value = parse(&text).unwrap();
        let compact = Value::parse(&value.to_compact(), &Limits::default()).unwrap();
        prop_assert_eq!(compact.to_compact(), value.to_compact());
        let indented = Value::parse(&value.to_indented(), &Limits::default()).unwrap();
        prop_assert_eq!(indented.to_compact(), value.to_compact());
        prop_assert_eq!(indented.to_indented(), value.to_indented());
        // An independent reader sees the same in both.
        let original: serde_json::Value = serde_json::from_str(&text).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&value.to_compact()).unwrap();
        prop_assert_eq!(original, written);
    }

    #[test]
    fn what_is_accepted_serde_json_accepts_too(text in r#"[\[\]{}",:\\u0-9a.eE+ \-]{0,24}"#) {
        if parse(&text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn edits_keep_all_other_members_byte_for_byte(
        before in any_json(), edited in any_json(), after in any_json(), new in any::<String>(),
    ) {
        let document = |middle: &str| format!("{{ \"a\":{before}\n, \"b\" : {middle},\"c\":{after} }}");
        let mut object = object(&document(&edited));
        prop_assert_eq!(object.to_bytes(), document(&edited).into_bytes());
        object.set("b", new.as_str());
        prop_assert_eq!(object.to_bytes(), document(Value::from(new).text()).into_bytes());
    }
}
