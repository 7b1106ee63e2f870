//! Writing mtree texts.

use std::collections::HashMap;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use imgtar::{EntryKind, Header, Timestamp};

use super::Keywords;
use super::keywords::{Keyword, Told};
use crate::filesystem::{Entry, name};

const XATTR: &str = "SCHILY.xattr.";

/// Writes entries as an mtree text, in their order, each path behind `prefix` (`./` is common).
///
/// Without a prefix, directories end with a `/`: a name without one would not be a full path. A hard link is written as
/// the file that it names, a directory that no layer mentions as that alone. The root itself is left out. What an entry
/// from another text did not tell is not told here either.
///
/// # Errors
///
/// What the output returns.
pub fn write<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    prefix: &str,
    keywords: &Keywords,
    output: &mut dyn Write,
) -> io::Result<()> {
    output.write_all(b"#mtree v2.0\n")?;
    let mut line = Vec::new();
    let mut files = HashMap::new();
    for entry in entries {
        let path = name(&entry.header.path);
        if path.is_empty() {
            continue;
        }
        let entry = match entry.header.kind {
            EntryKind::HardLink => *files.get(&name(&entry.header.link)).unwrap_or(&entry),
            _ => entry,
        };
        if matches!(entry.header.kind, EntryKind::File | EntryKind::HardLink) {
            files.insert(path.clone(), entry);
        }
        line.clear();
        escape(prefix.as_bytes(), &mut line);
        escape(&path, &mut line);
        if prefix.is_empty() && entry.header.kind == EntryKind::Directory {
            line.push(b'/');
        }
        match entry.told {
            Some(Told::KIND) => append_word("type", kind(entry.header.kind).as_bytes(), &mut line),
            told => {
                let told = |keyword: &_| told.is_none_or(|told| told.has(*keyword));
                for keyword in keywords.iter().filter(told) {
                    describe(entry, keyword, &mut line);
                }
            }
        }
        line.push(b'\n');
        output.write_all(&line)?;
    }
    Ok(())
}

fn describe(entry: &Entry, keyword: Keyword, line: &mut Vec<u8>) {
    let header = &entry.header;
    let number = |value: u64| Some(value.to_string().into_bytes());
    let text = |text: &[u8]| (!text.is_empty()).then(|| text.to_vec());
    let (word, value) = match keyword {
        Keyword::Kind => ("type", text(kind(header.kind).as_bytes())),
        Keyword::Size => ("size", size(header).and_then(number)),
        Keyword::Mode => ("mode", Some(mode(header.mode).into())),
        Keyword::UserId => ("uid", number(header.uid)),
        Keyword::UserName => ("uname", text(&header.user_name)),
        Keyword::GroupId => ("gid", number(header.gid)),
        Keyword::GroupName => ("gname", text(&header.group_name)),
        Keyword::Sha256 => ("sha256digest", content(entry)),
        Keyword::Time => ("time", Some(time(header.mtime).into())),
        Keyword::Link if header.kind == EntryKind::Symlink => ("link", text(&header.link)),
        Keyword::Link => return,
        Keyword::Links => ("nlink", number(entry.links)),
        Keyword::Xattrs => return append_xattrs(header, line),
    };
    if let Some(value) = value {
        append_word(word, &value, line);
    }
    if keyword == Keyword::Kind && header.kind.is_device() {
        let (major, minor) = header.device;
        append_word("device", format!("linux,{major},{minor}").as_bytes(), line);
    }
}

/// A symbolic link is as long as what it says, as file systems have it.
fn size(header: &Header) -> Option<u64> {
    match header.kind {
        EntryKind::Directory => None,
        EntryKind::Symlink => Some(header.link.len() as u64),
        _ => Some(header.size),
    }
}

/// An octal number with the `0` that tells it from others.
fn mode(mode: u32) -> String {
    if mode == 0 {
        "0".to_owned()
    } else {
        format!("0{mode:o}")
    }
}

/// Empty files need no digest.
fn content(entry: &Entry) -> Option<Vec<u8>> {
    let is_file = matches!(entry.header.kind, EntryKind::File | EntryKind::HardLink);
    let digest = entry.content.filter(|_| is_file && entry.header.size > 0)?;
    Some(digest.hex().into())
}

fn time(time: Timestamp) -> String {
    if time.nanos == 0 {
        time.secs.to_string()
    } else {
        format!("{}.{:09}", time.secs, time.nanos)
    }
}

fn append_xattrs(header: &Header, line: &mut Vec<u8>) {
    for (record, value) in &header.pax {
        if let Some(name) = record.strip_prefix(XATTR) {
            let word = format!("xattr.{}", escaped(name));
            append_word(&word, BASE64.encode(value).as_bytes(), line);
        }
    }
}

fn append_word(keyword: &str, value: &[u8], line: &mut Vec<u8>) {
    line.push(b' ');
    line.extend_from_slice(keyword.as_bytes());
    line.push(b'=');
    escape(value, line);
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::BlockDevice => "block",
        EntryKind::CharDevice => "char",
        EntryKind::Directory => "dir",
        EntryKind::Fifo => "fifo",
        EntryKind::File | EntryKind::HardLink => "file",
        EntryKind::Symlink => "link",
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = Vec::new();
    escape(text.as_bytes(), &mut escaped);
    // An `=` would end the keyword.
    String::from_utf8_lossy(&escaped).replace('=', "\\075")
}

/// Appends bytes so that no reader takes them for a separator, a comment or a pattern.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if byte == b'\\' {
            out.extend_from_slice(br"\\");
        } else if byte.is_ascii_graphic() && !b"#*?[".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        }
    }
}
