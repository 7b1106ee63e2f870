//! What `img` reads itself. The program has no library, so its modules stand in this crate by path,
//! where their own `use crate::…` finds them.

use imgcore::json::{Limits, Value};

use crate::build_file::schema::Build;
use crate::kvfile;
use crate::template::{Value as Data, expand};

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
    let data = Data::from(&data);
    let first = expand(text, &data, &[]);
    let second = expand(text, &data, &[]);
    assert_eq!(first.ok(), second.ok());
}

/// The file of `img build`.
pub fn build_file(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = toml::from_str::<Build>(text);
    }
}
