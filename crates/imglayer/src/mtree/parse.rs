//! Reading mtree texts.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use imgcore::{Algorithm, Digest};
use imgtar::{EntryKind, Header, Timestamp};

use super::keywords::Told;
use crate::filesystem::Entry;
use crate::{Error, ErrorKind};

/// Reads an mtree text: entries in their order, paths as written.
///
/// Both forms are taken, full paths and names below the directory of the lines before (with `..` back up), and also
/// `/set`, `/unset`, comments and continued lines. Keywords without a place in an [`Entry`] are passed over.
///
/// # Errors
///
/// [`ErrorKind::Malformed`] with the number of the line that cannot be read.
///
/// # Examples
///
/// ```
/// let entries = imglayer::mtree::parse(b"#mtree\n./etc type=dir mode=0755\n./etc/motd type=file size=6\n")?;
/// assert_eq!((entries.len(), entries[1].header.size), (2, 6));
/// # Ok::<(), imglayer::Error>(())
/// ```
pub fn parse(text: &[u8]) -> Result<Vec<Entry>, Error> {
    let mut parser = Parser::default();
    let mut number = 0;
    let mut lines = text.split(|&byte| byte == b'\n');
    while let Some(line) = lines.next() {
        number += 1;
        let first = number;
        let mut whole = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        while is_continued(&whole) {
            whole.pop();
            let Some(next) = lines.next() else { break };
            number += 1;
            whole.extend_from_slice(next.strip_suffix(b"\r").unwrap_or(next));
        }
        parser.line(&whole).map_err(|what| {
            Error::new(
                ErrorKind::Malformed,
                format!("line {first} of the mtree text: {what}"),
            )
        })?;
    }
    Ok(parser.entries)
}

/// Two backslashes at the end of a line are one that belongs to its last word.
fn is_continued(line: &[u8]) -> bool {
    let backslashes = line.iter().rev().take_while(|&&byte| byte == b'\\');
    backslashes.count() % 2 == 1
}

type Words = BTreeMap<Vec<u8>, Vec<u8>>;

/// How many bytes `/set` may say: every line after it says them again.
const MAX_DEFAULTS: usize = 64 * 1024;
/// How many directories names may stand in: every line below repeats them.
const MAX_DEPTH: usize = 256;

#[derive(Default)]
struct Parser {
    entries: Vec<Entry>,
    /// What `/set` said.
    defaults: Words,
    /// Where names without a slash stand.
    directory: Vec<Vec<u8>>,
}

impl Parser {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let Some(first) = words.next() else {
            return Ok(());
        };
        match first {
            _ if first[0] == b'#' => Ok(()),
            b"/set" => {
                self.defaults.extend(words.map(keyword));
                let defaults = self.defaults.iter();
                let size: usize = defaults.map(|(word, value)| word.len() + value.len()).sum();
                if size > MAX_DEFAULTS {
                    return Err(format!("`/set` says more than {MAX_DEFAULTS} bytes"));
                }
                Ok(())
            }
            b"/unset" => {
                for word in words {
                    self.defaults.remove(word);
                }
                Ok(())
            }
            b".." => {
                self.directory.pop();
                Ok(())
            }
            _ => {
                let mut all = self.defaults.clone();
                all.extend(words.map(keyword));
                self.entry(unescape(first)?, &all)
            }
        }
    }

    fn entry(&mut self, path: Vec<u8>, words: &Words) -> Result<(), String> {
        let kind = kind(words)?;
        let is_full = path.contains(&b'/');
        let full = if is_full {
            path
        } else {
            let mut parts = self.directory.clone();
            parts.push(path.clone());
            if kind == EntryKind::Directory {
                self.directory.push(path);
                if self.directory.len() > MAX_DEPTH {
                    return Err(format!("more than {MAX_DEPTH} directories in each other"));
                }
            }
            parts.join(&b'/')
        };
        self.entries.push(entry(full, kind, words)?);
        Ok(())
    }
}

fn keyword(word: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match word.iter().position(|&byte| byte == b'=') {
        Some(equals) => (word[..equals].to_vec(), word[equals + 1..].to_vec()),
        None => (word.to_vec(), Vec::new()),
    }
}

fn entry(path: Vec<u8>, kind: EntryKind, words: &Words) -> Result<Entry, String> {
    let mut header = match kind {
        EntryKind::Directory => Header::directory(path),
        _ => Header::new(kind, path, 0o644),
    };
    let number = |name: &str, radix| number(words, name, radix);
    if let Some(mode) = number("mode", 8)? {
        header.mode = u32::try_from(mode)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .ok_or("`mode` is over 7777")?;
    }
    let size = number("size", 10)?.unwrap_or(0);
    // The size of a link is the length of what it says.
    header.size = if kind == EntryKind::Symlink { 0 } else { size };
    header.uid = number("uid", 10)?.unwrap_or(0);
    header.gid = number("gid", 10)?.unwrap_or(0);
    header.user_name = bytes(words, "uname")?;
    header.group_name = bytes(words, "gname")?;
    header.link = bytes(words, "link")?;
    header.mtime = time(words)?;
    if kind.is_device() {
        header.device = device(words)?;
    }
    for (keyword, value) in words {
        if let Some(name) = keyword.strip_prefix(b"xattr.") {
            let name = String::from_utf8(unescape(name)?)
                .map_err(|_| "an attribute's name is not UTF-8")?;
            let value = BASE64
                .decode(value)
                .map_err(|_| format!("`xattr.{name}` is not base64"))?;
            header.pax.insert(format!("SCHILY.xattr.{name}"), value);
        }
    }
    let mut entry = Entry::new(header);
    entry.content = content(words)?;
    entry.links = number("nlink", 10)?.unwrap_or(1).max(1);
    let mut told = Told::default();
    for word in words.keys() {
        told.insert(word);
    }
    entry.told = Some(told);
    Ok(entry)
}

fn kind(words: &Words) -> Result<EntryKind, String> {
    Ok(match words.get(&b"type"[..]).map(Vec::as_slice) {
        Some(b"block") => EntryKind::BlockDevice,
        Some(b"char") => EntryKind::CharDevice,
        Some(b"dir") => EntryKind::Directory,
        Some(b"fifo") => EntryKind::Fifo,
        Some(b"link") => EntryKind::Symlink,
        None | Some(b"file") => EntryKind::File,
        Some(other) => {
            return Err(format!(
                "`type={}` is not known",
                String::from_utf8_lossy(other)
            ));
        }
    })
}

/// Takes `format,major,minor`; a number alone means another device on every system.
fn device(words: &Words) -> Result<(u32, u32), String> {
    let Some(value) = words.get(&b"device"[..]) else {
        return Ok((0, 0));
    };
    let text = String::from_utf8_lossy(value);
    let parts: Vec<&str> = text.split(',').collect();
    if let [_, major, minor] = parts[..]
        && let (Ok(major), Ok(minor)) = (major.parse(), minor.parse())
    {
        return Ok((major, minor));
    }
    Err(format!("`device={text}` is not a format and two numbers"))
}

fn content(words: &Words) -> Result<Option<Digest>, String> {
    let Some(hex) = words
        .get(&b"sha256digest"[..])
        .or_else(|| words.get(&b"sha256"[..]))
    else {
        return Ok(None);
    };
    let text = format!(
        "{}:{}",
        Algorithm::Sha256.name(),
        String::from_utf8_lossy(hex)
    );
    text.parse()
        .map(Some)
        .map_err(|error| format!("`sha256digest`: {error}"))
}

fn time(words: &Words) -> Result<Timestamp, String> {
    let Some(value) = words.get(&b"time"[..]) else {
        return Ok(Timestamp::EPOCH);
    };
    let text = String::from_utf8_lossy(value);
    let (secs, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let nanos = if fraction.is_empty() {
        Ok(0)
    } else {
        format!("{fraction:0<9.9}").parse()
    };
    match (secs.parse(), nanos) {
        (Ok(secs), Ok(nanos)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Timestamp { secs, nanos })
        }
        _ => Err(format!("`time={text}` is no time")),
    }
}

fn number(words: &Words, name: &str, radix: u32) -> Result<Option<u64>, String> {
    let Some(value) = words.get(name.as_bytes()) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value);
    u64::from_str_radix(&text, radix)
        .map(Some)
        .map_err(|_| format!("`{name}={text}` is no number"))
}

fn bytes(words: &Words, name: &str) -> Result<Vec<u8>, String> {
    words
        .get(name.as_bytes())
        .map_or(Ok(Vec::new()), |value| unescape(value))
}

/// Undoes `\ooo`, and the letters that BSD's `vis` writes.
fn unescape(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (value, length) = match *rest {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 3)
            }
            [b'\\', ..] => (b'\\', 1),
            [b's', ..] => (b' ', 1),
            [b't', ..] => (b'\t', 1),
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b'#', ..] => (b'#', 1),
            _ => return Err("a `\\` stands before no escape".to_owned()),
        };
        out.push(value);
        rest = &rest[length..];
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Keywords, write};
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let text = b"#mtree\n/set type=file uid=7\n. type=dir\n    etc type=dir mode=0700\n        motd size=3 \\\n  mode=0600\n    ..\n..\n./full/path\\040x type=link link=a\\134b\n";
        let entries = parse(text).unwrap();
        let shown: Vec<_> = entries
            .iter()
            .map(|entry| {
                (
                    String::from_utf8_lossy(&entry.header.path),
                    entry.header.uid,
                    entry.header.mode,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("./".into(), 7, 0o755),
                ("./etc/".into(), 7, 0o700),
                ("./etc/motd".into(), 7, 0o600),
                ("./full/path x".into(), 7, 0o644),
            ]
        );
        assert_eq!(entries[3].header.link, b"a\\b");
    }

    #[test]
    fn a_backslash_at_the_end_of_a_word_continues_no_line() {
        let entries = parse(b"./a\\\\\n./b link=c\\\\ \\\n type=link\n").unwrap();
        let shown: Vec<_> = entries
            .iter()
            .map(|entry| (&entry.header.path[..], &entry.header.link[..]))
            .collect();
        assert_eq!(shown, [(&b"./a\\"[..], &b""[..]), (b"./b", b"c\\")]);
    }

    #[test]
    fn errors_name_the_line() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), expected);
        };
        check(
            "#mtree\n\na type=what",
            "line 3 of the mtree text: `type=what` is not known",
        );
        check(
            "a size=-1",
            "line 1 of the mtree text: `size=-1` is no number",
        );
        check(
            "a mode=10000",
            "line 1 of the mtree text: `mode` is over 7777",
        );
        check(
            "a time=1.x",
            "line 1 of the mtree text: `time=1.x` is no time",
        );
        check(
            "a type=char device=5",
            "line 1 of the mtree text: `device=5` is not a format and two numbers",
        );
        check(
            &"d type=dir\n".repeat(257),
            "line 257 of the mtree text: more than 256 directories in each other",
        );
        check(
            &format!("/set {}", "uname=x".repeat(10_000)),
            "line 1 of the mtree text: `/set` says more than 65536 bytes",
        );
        check(
            "a\\9",
            "line 1 of the mtree text: a `\\` stands before no escape",
        );
        check(
            "a sha256digest=00",
            "line 1 of the mtree text: `sha256digest`: a sha256 digest has 64 hex digits",
        );
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let entry = (
            proptest::collection::vec(1u8.., 1..12),
            0u32..=0o7777,
            0u64..=u64::from(u32::MAX),
            any::<(u32, u8, i32)>(),
        )
            .prop_map(|(name, mode, size, (uid, kind, secs))| {
                // A plain name stands below a directory, so that it is a full path; and no name is `.`.
                let mut path = b"d/n".to_vec();
                path.extend(
                    name.iter()
                        .map(|&byte| if byte == b'/' { b'_' } else { byte }),
                );
                let mut header = match kind % 3 {
                    0 => Header::symlink(path, name),
                    1 => Header::new(EntryKind::CharDevice, path, mode),
                    _ => Header::file(path, size),
                };
                if header.kind.is_device() {
                    header.device = (uid % 512, mode);
                }
                header.mode = mode;
                header.uid = uid.into();
                header.mtime = Timestamp {
                    secs: secs.into(),
                    nanos: 5,
                };
                header
                    .pax
                    .insert("SCHILY.xattr.user.x=y".into(), vec![0, 255]);
                Entry::new(header)
            });
        proptest::collection::vec(entry, 0..8)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(entries in entries()) {
            let keywords: Keywords = "type,size,mode,uid,gid,time,link,nlink,xattr".parse().unwrap();
            let mut text = Vec::new();
            write(&entries, "", &keywords, &mut text).unwrap();
            prop_assert!(text.is_ascii());
            let mut read = parse(&text).unwrap();
            for entry in &mut read {
                entry.told = None;
            }
            prop_assert_eq!(read, entries);
        }

        #[test]
        fn any_bytes_give_entries_or_an_error(text: Vec<u8>) {
            let _ = parse(&text);
        }
    }
}
