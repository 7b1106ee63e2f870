//! Writing mtree texts.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use imgtar::EntryKind;

use super::Keywords;
use super::keywords::Keyword;
use crate::filesystem::Entry;

const XATTR: &str = "SCHILY.xattr.";

/// Writes entries as an mtree text, in their order, each path behind `prefix` (`./` is common).
///
/// A hard link is written as the file that it names. The root itself is left out.
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
    output.write_all(b"#mtree\n")?;
    let mut line = Vec::new();
    for entry in entries {
        let path = crate::filesystem::name(&entry.header.path);
        if path.is_empty() {
            continue;
        }
        line.clear();
        escape(prefix.as_bytes(), &mut line);
        escape(&path, &mut line);
        describe(entry, keywords, &mut line);
        line.push(b'\n');
        output.write_all(&line)?;
    }
    Ok(())
}

fn describe(entry: &Entry, keywords: &Keywords, line: &mut Vec<u8>) {
    let header = &entry.header;
    let is_file = matches!(header.kind, EntryKind::File | EntryKind::HardLink);
    let is_symlink = header.kind == EntryKind::Symlink;
    let name = |name: &[u8]| (!name.is_empty()).then(|| name.to_vec());
    let number = |value: u64| value.to_string().into_bytes();
    let device = header.kind.is_device().then_some(header.device);
    let device = device.map(|(major, minor)| format!("linux,{major},{minor}").into());
    let content = entry.content.filter(|_| is_file);
    let time = format!("{}.{:09}", header.mtime.secs, header.mtime.nanos);
    let words: [(Keyword, &str, Option<Vec<u8>>); 12] = [
        (Keyword::Kind, "type", Some(kind(header.kind).into())),
        (Keyword::Kind, "device", device),
        (Keyword::Size, "size", is_file.then(|| number(header.size))),
        (
            Keyword::Mode,
            "mode",
            Some(format!("{:04o}", header.mode).into()),
        ),
        (Keyword::UserId, "uid", Some(number(header.uid))),
        (Keyword::UserName, "uname", name(&header.user_name)),
        (Keyword::GroupId, "gid", Some(number(header.gid))),
        (Keyword::GroupName, "gname", name(&header.group_name)),
        (
            Keyword::Sha256,
            "sha256digest",
            content.map(|digest| digest.hex().into()),
        ),
        (Keyword::Time, "time", Some(time.into())),
        (
            Keyword::Link,
            "link",
            is_symlink.then(|| header.link.clone()),
        ),
        (
            Keyword::Links,
            "nlink",
            is_file.then(|| number(entry.links)),
        ),
    ];
    for (keyword, word, value) in words {
        if let Some(value) = value.filter(|_| keywords.has(keyword)) {
            append_word(word, &value, line);
        }
    }
    let xattrs = header.pax.iter().filter(|_| keywords.has(Keyword::Xattrs));
    for (record, value) in xattrs {
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
        if byte.is_ascii_graphic() && !b"\\#*?[]".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        }
    }
}
