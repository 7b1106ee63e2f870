//! Sections that look at files after a command.

use fs_err as fs;
use imgcore::Digest;
use serde_json::Value;

use crate::case::Section;
use crate::run::{Outcome, State};
use crate::{layer, text};

/// Checks one section against the files of the case.
pub(crate) fn section(section: &Section, state: &State<'_>) -> Result<Outcome, String> {
    match section.kind() {
        "absent" => presence(section, state, false),
        "content" => content(section, state),
        "different" => same(section, state, false),
        "equals" => equals(section, state),
        "exists" => presence(section, state, true),
        "files" => files(section, state),
        "json" => json(section, state),
        "layer" => layer::check_with_metadata(section, state),
        "link" => link(section, state),
        "listing" => {
            let listing = layer::listing(&state.path(section.word(1)?))?;
            Ok(compare(&section.lines.join("\n"), listing))
        }
        "same" => same(section, state, true),
        "sha256" => sha256(section, state),
        kind => Err(format!("there is no section [{kind}]")),
    }
}

/// Compares texts, for a section that can be blessed.
pub(crate) fn compare(expected: &str, actual: String) -> Outcome {
    if expected == actual {
        Outcome::Holds
    } else {
        Outcome::Differs { actual }
    }
}

pub(crate) fn read(state: &State<'_>, name: &str) -> Result<Vec<u8>, String> {
    fs::read(state.path(name)).map_err(|error| error.to_string())
}

fn presence(section: &Section, state: &State<'_>, expected: bool) -> Result<Outcome, String> {
    for name in &section.words[1..] {
        if state.path(name).symlink_metadata().is_ok() != expected {
            let not = if expected { "does not exist" } else { "exists" };
            return Err(format!("{name} {not}"));
        }
    }
    Ok(Outcome::Holds)
}

fn equals(section: &Section, state: &State<'_>) -> Result<Outcome, String> {
    let actual = read(state, section.word(1)?)?;
    Ok(if section.text()? == actual {
        Outcome::Holds
    } else {
        Outcome::Differs {
            actual: as_body(section, &actual),
        }
    })
}

/// What the body of a section would be for these bytes; says so if no body can hold them.
fn as_body(section: &Section, bytes: &[u8]) -> String {
    let text = text::printable(bytes);
    match (section.has("bare"), text.strip_suffix('\n')) {
        (true, None) => text,
        (false, Some(body)) => body.to_owned(),
        (true, Some(_)) => format!("{text}(the file ends with a newline: not `bare`)"),
        (false, None) => format!("{text}\n(the file ends without a newline: `bare`)"),
    }
}

fn content(section: &Section, state: &State<'_>) -> Result<Outcome, String> {
    let member = section.word(2)?;
    let actual = layer::content(&state.path(section.word(1)?), member)?;
    Ok(if section.text()? == actual {
        Outcome::Holds
    } else {
        Outcome::Differs {
            actual: as_body(section, &actual),
        }
    })
}

fn same(section: &Section, state: &State<'_>, expected: bool) -> Result<Outcome, String> {
    let first = read(state, section.word(1)?)?;
    for name in &section.words[2..] {
        if (read(state, name)? == first) != expected {
            let how = if expected { "differs from" } else { "equals" };
            return Err(format!("{name} {how} {}", section.words[1]));
        }
    }
    Ok(Outcome::Holds)
}

/// Every file that the last command made.
fn files(section: &Section, state: &State<'_>) -> Result<Outcome, String> {
    let after = state.files()?;
    let made: Vec<&str> = after
        .difference(&state.before)
        .map(String::as_str)
        .collect();
    Ok(compare(&section.lines.join("\n"), made.join("\n")))
}

fn sha256(section: &Section, state: &State<'_>) -> Result<Outcome, String> {
    let digest = Digest::sha256_of(&read(state, section.word(1)?)?).to_string();
    Ok(compare(&section.lines.join("\n"), digest))
}

fn link(section: &Section, state: &State<'_>) -> Result<Outcome, String> {
    let target = fs::read_link(state.path(section.word(1)?)).map_err(|error| error.to_string())?;
    Ok(compare(
        &section.lines.join("\n"),
        target.display().to_string(),
    ))
}

/// Lines `pointer = json`: the value at an RFC 6901 pointer, or `absent`.
fn json(section: &Section, state: &State<'_>) -> Result<Outcome, String> {
    let name = section.word(1)?;
    let document: Value =
        serde_json::from_slice(&read(state, name)?).map_err(|error| format!("{name}: {error}"))?;
    let mut actual = Vec::new();
    for line in &section.lines {
        let (pointer, expected) = line.split_once(" = ").ok_or("a line is `pointer = json`")?;
        let found = document.pointer(pointer.trim());
        let equal = match found {
            Some(found) => {
                serde_json::from_str::<Value>(expected).is_ok_and(|value| value == *found)
            }
            None => expected == "absent",
        };
        let shown = found.map_or("absent".to_owned(), Value::to_string);
        actual.push(if equal {
            line.clone()
        } else {
            format!("{pointer} = {shown}")
        });
    }
    Ok(compare(&section.lines.join("\n"), actual.join("\n")))
}
