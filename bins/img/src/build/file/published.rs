//! The published schema and the page about build files agree with the parser.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const SCHEMA: &str = include_str!("../../../../../docs/img-build.schema.json");
const PAGE: &str = include_str!("../../../../../docs/build-file.md");
const EXAMPLE: &str = include_str!("../../../../../examples/hello/img.toml");
const README: &str = include_str!("../../../../../README.md");

/// Each table of a build file: its name in the schema, and a way to write a key into it.
const TABLES: &[(&str, &str)] = &[
    ("", "KEY = 1"),
    ("base", "base.KEY = 1"),
    ("layer", "layer = [{ KEY = 1 }]"),
    ("copy", "layer = [{ copy = [{ KEY = 1 }] }]"),
    ("directory", "layer = [{ directories = [{ KEY = 1 }] }]"),
    ("symlink", "layer = [{ symlinks = [{ KEY = 1 }] }]"),
    ("config", "config.KEY = 1"),
    ("healthcheck", "config.healthcheck.KEY = 1"),
    ("output", "output.KEY = 1"),
];

/// Files that are taken, so the schema must take them too.
const TAKEN: &[&str] = &[
    "platforms = [\"linux/amd64\"]\noutput.layout = \"a\"",
    r#"
    name = "a:1"
    platforms = ["windows(10.0.20348)/amd64"]
    base = { path = "b", digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
    compression = "zstd"
    level = "best"
    preserve_modes = true
    [[layer]]
    remove = ["/a"]
    owner = "1"
    hard_links = false
    [config]
    exposed_ports = ["1"]
    healthcheck = { test = ["NONE"], interval = "1s", retries = 1 }
    [output]
    oci_archive = "a"
    docker_platform = "windows/amd64"
    push = ["r.example/a", "r.example/b:2"]
    "#,
];

#[test]
fn schema_and_parser_know_the_same_keys() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for (name, text) in TABLES {
        let table = match *name {
            "" => &schema,
            name => &schema["$defs"][name],
        };
        assert_eq!(table["additionalProperties"], false, "{name}");
        let published: BTreeSet<&str> = keys(&table["properties"]);
        let message = toml::from_str::<Build>(&text.replace("KEY", "no_such_key"))
            .unwrap_err()
            .message()
            .to_owned();
        // The names between backquotes; the first is the unknown key.
        let known: BTreeSet<&str> = message.split('`').skip(1).step_by(2).skip(1).collect();
        assert_eq!(published, known, "{name}: {message}");
    }
    let objects = keys(&schema["$defs"])
        .into_iter()
        .filter(|name| schema["$defs"][name]["type"] == "object");
    assert_eq!(objects.count() + 1, TABLES.len(), "a table is not tested");
}

#[test]
fn what_the_parser_takes_the_schema_takes() {
    let page = block(PAGE);
    let readme = block(README.split("Build an image of your own").nth(1).unwrap());
    for text in TAKEN.iter().copied().chain([page, readme, EXAMPLE]) {
        let parsed = BuildFile::parse(Path::new("img.toml"), PathBuf::from("."), text.to_owned());
        assert!(parsed.is_ok(), "{}", parsed.unwrap_err());
        assert_eq!(violations(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_the_schema_refuses_is_named() {
    let check = |text: &str| violations(text).join("; ");
    insta::assert_snapshot!(check("name = 1"), @r#"/name: is no "string"; : lacks "platforms"; : lacks "output""#);
    insta::assert_snapshot!(check("platforms = []\nlevel = \"9\"\n[output]\nx = 1"), @"/level: is not in the list; /output/x: is unknown; /platforms: is empty");
}

#[test]
fn every_key_is_on_the_page() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    // Every second piece between backquotes is code.
    let code = PAGE.split('`').skip(1).step_by(2);
    let words: BTreeSet<&str> = code
        .flat_map(|code| code.split(|it: char| !it.is_alphanumeric() && it != '_'))
        .collect();
    for (name, _) in TABLES {
        let table = match *name {
            "" => &schema,
            name => &schema["$defs"][name],
        };
        for key in keys(&table["properties"]) {
            assert!(words.contains(key), "{key} of {name:?} is not on the page");
        }
    }
}

#[test]
fn every_key_has_a_form_that_is_taken() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for (name, text) in TABLES {
        let table = match *name {
            "" => &schema,
            name => &schema["$defs"][name],
        };
        for key in keys(&table["properties"]) {
            if name.is_empty() && matches!(key, "push" | "load") {
                continue;
            }
            let form = form::form(key).unwrap_or_else(|| panic!("{key} has no form"));
            let starts = [format!("{key} = "), format!("[[{key}]]")];
            assert!(starts.iter().any(|it| form.starts_with(it)), "{form}");
            let text = text.replace("KEY = 1", form).replace('…', &"0".repeat(64));
            // What it says may lack other keys, but is of the right type.
            let message = toml::from_str::<Build>(&text).unwrap_err();
            let message = message.message();
            assert!(message.starts_with("missing field"), "{text}: {message}");
        }
    }
}

/// Returns the first TOML block of a page.
fn block(page: &str) -> &str {
    let (_, rest) = page.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn violations(text: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let value: Value = toml::from_str(text).unwrap();
    let mut found = Vec::new();
    validate(&schema, &schema, &value, "", &mut found);
    found
}

/// As much of JSON Schema as the schema uses; a keyword that is not here fails the test.
fn validate(root: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                validate(root, &root["$defs"][name], value, place, found);
            }
            "type" => {
                let is_right = match rule.as_str().unwrap() {
                    "array" => value.is_array(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "object" => value.is_object(),
                    "string" => value.is_string(),
                    other => panic!("type {other}"),
                };
                if !is_right {
                    fail(found, place, &format!("is no {rule}"));
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => {
                fail(found, place, "is not in the list");
            }
            "minimum" if value.as_i64() < rule.as_i64() => fail(found, place, "is too small"),
            "minItems" if value.as_array().map_or(0, Vec::len) == 0 => {
                fail(found, place, "is empty");
            }
            "minProperties" if value.as_object().is_none_or(serde_json::Map::is_empty) => {
                fail(found, place, "is empty");
            }
            "required" => {
                for key in rule.as_array().unwrap() {
                    if value.get(key.as_str().unwrap()).is_none() {
                        fail(found, place, &format!("lacks {key}"));
                    }
                }
            }
            "items" => {
                for (position, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(root, rule, item, &format!("{place}/{position}"), found);
                }
            }
            "properties" | "additionalProperties" => {
                for (key, member) in value.as_object().into_iter().flatten() {
                    let place = format!("{place}/{key}");
                    match (keyword.as_str(), schema["properties"].get(key)) {
                        ("properties", Some(rule)) => {
                            validate(root, rule, member, &place, found);
                        }
                        ("additionalProperties", None) if *rule == false => {
                            found.push(format!("{place}: is unknown"));
                        }
                        ("additionalProperties", None) => {
                            validate(root, rule, member, &place, found);
                        }
                        _ => {}
                    }
                }
            }
            // The parser checks what has a pattern in its own way: see the tests of the values.
            "$schema" | "$defs" | "title" | "description" | "default" | "pattern" | "enum"
            | "minimum" | "minItems" | "minProperties" => {}
            other => panic!("keyword {other}"),
        }
    }
}

fn fail(found: &mut Vec<String>, place: &str, what: &str) {
    found.push(format!("{place}: {what}"));
}
