//! What `img` reads itself. The program has no library, so the modules stand here by path.

#![allow(
    dead_code,
    unused_imports,
    reason = "the program uses what the targets do not"
)]

#[path = "../../bins/img/src/kvfile.rs"]
mod kvfile;
#[path = "../../bins/img/src/template/mod.rs"]
mod template_language;

use imgcore::json::{Limits, Value};

use crate::build_file::schema::Build;

/// Files of keys and values.
pub fn key_values(bytes: &[u8]) {
    let _ = kvfile::KeyValueFile::parse(bytes);
}

/// Templates: the first line is JSON data, the rest the template.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (data, text) = text.split_once('\n').unwrap_or(("{}", text));
    let Ok(data) = Value::parse(data.as_bytes(), &Limits::default()) else {
        return;
    };
    let data = template_language::Value::from(&data);
    let first = template_language::expand(text, &data, &[]);
    let second = template_language::expand(text, &data, &[]);
    assert_eq!(first.ok(), second.ok());
}

/// The file of `img build`.
pub fn build_file(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = toml::from_str::<Build>(text);
    }
}
