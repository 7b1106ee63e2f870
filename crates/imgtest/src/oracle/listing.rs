//! From what each program prints to one form.

use std::io::Read;
use std::process::Command;

use imgcore::{Algorithm, Digest};
use imgtar::EntryKind;
use serde_json::Value;

use super::{Seen, View, run, tool};

/// Reads what our own oracle programs print: one JSON object a line.
pub(super) fn lines(command: Command, archive: &[u8]) -> View {
    let output = run(command, archive)?;
    let text = String::from_utf8(output).map_err(|error| error.to_string())?;
    text.lines().map(line).collect()
}

fn line(line: &str) -> Result<Seen, String> {
    let object: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    let digest = Digest::from_bytes(Algorithm::Sha256, &unhex(text("digest")))
        .map_err(|error| error.to_string())?;
    let flag = text("kind").bytes().next().unwrap_or(b'?');
    let kind = kind_of_flag(flag)?;
    Ok(Seen {
        path: without_slash(unhex(text("path"))),
        kind,
        size: object["size"].as_u64().unwrap_or_default(),
        digest: (kind == EntryKind::File).then_some(digest),
        link: if kind.is_link() {
            unhex(text("link"))
        } else {
            Vec::new()
        },
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.filter_map(byte).collect()
}

fn kind_of_flag(flag: u8) -> Result<EntryKind, String> {
    Ok(match flag {
        b'0' => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        _ => return Err(format!("an entry of type {:?}", char::from(flag))),
    })
}

pub(super) fn without_slash(mut path: Vec<u8>) -> Vec<u8> {
    if path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    path
}

/// GNU tar tells names, kinds and sizes in its list, and all contents in a row when it extracts.
pub(super) fn gnu_tar(archive: &[u8]) -> Option<View> {
    let program = tool("tar")?;
    let mut list = Command::new(&program);
    list.args(["--list", "--verbose", "--numeric-owner", "--full-time"]);
    // Columns may end with spaces, so that one at the start of a name must not look like those.
    list.args(["--quoting-style=escape", "--quote-chars= "]);
    list.args(["--absolute-names", "--file=-"]);
    let mut extract = Command::new(program);
    extract.args(["--extract", "--to-stdout", "--file=-"]);
    for command in [&mut list, &mut extract] {
        command.env("LC_ALL", "C").env("TZ", "UTC0");
    }
    // mode, owner, size, date, time
    Some(list_and_extract(
        [list, extract],
        archive,
        Columns { count: 5, size: 2 },
    ))
}

/// libarchive's program lists in nearly the same form.
pub(super) fn bsdtar(archive: &[u8]) -> Option<View> {
    let program = tool("bsdtar")?;
    let mut list = Command::new(&program);
    list.args(["--numeric-owner", "-tvf", "-"]);
    let mut extract = Command::new(program);
    extract.args(["-xOf", "-"]);
    for command in [&mut list, &mut extract] {
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC0");
    }
    // mode, links, uid, gid, size, month, day, year
    Some(list_and_extract(
        [list, extract],
        archive,
        Columns { count: 8, size: 4 },
    ))
}

/// Where things stand in front of the name.
#[derive(Clone, Copy, Debug)]
struct Columns {
    count: usize,
    size: usize,
}

fn list_and_extract(commands: [Command; 2], archive: &[u8], columns: Columns) -> View {
    let [list, extract] = commands;
    let listed = run(list, archive)?;
    let text = String::from_utf8_lossy(&listed);
    let entries: View = text
        .lines()
        .map(|line| verbose_line(line, columns))
        .collect();
    let mut entries = entries?;
    add_digests(&mut entries, &run(extract, archive)?)?;
    Ok(entries)
}

/// Cuts the contents of all files, which stand in a row, by the sizes of the files.
fn add_digests(entries: &mut [Seen], contents: &[u8]) -> Result<(), String> {
    let mut rest = contents;
    for entry in entries {
        if entry.kind == EntryKind::File {
            let size = usize::try_from(entry.size).unwrap_or(usize::MAX);
            let (content, after) = rest.split_at_checked(size).ok_or("too little content")?;
            entry.digest = Some(Digest::sha256_of(content));
            rest = after;
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("too much content".into())
    }
}

/// `-rw-r--r-- 0/0  5 1970-01-01 00:00:00 name`; links with ` -> target` or ` link to target`.
fn verbose_line(line: &str, columns: Columns) -> Result<Seen, String> {
    let unusable = || format!("an unusable line: {line}");
    let mut rest = line;
    let mut fields = Vec::new();
    for _ in 0..columns.count {
        let (field, after) = rest.trim_start().split_once(' ').ok_or_else(unusable)?;
        fields.push(field);
        rest = after;
    }
    let kind = match fields[0].as_bytes().first() {
        Some(b'-') => EntryKind::File,
        Some(b'h') => EntryKind::HardLink,
        Some(b'l') => EntryKind::Symlink,
        Some(b'c') => EntryKind::CharDevice,
        Some(b'b') => EntryKind::BlockDevice,
        Some(b'd') => EntryKind::Directory,
        Some(b'p') => EntryKind::Fifo,
        _ => return Err(unusable()),
    };
    // GNU tar widens its columns as it goes, with spaces behind the time.
    let rest = rest.trim_start();
    let separator = if kind == EntryKind::HardLink {
        " link to "
    } else {
        " -> "
    };
    let (path, target) = if kind.is_link() {
        rest.split_once(separator).ok_or_else(unusable)?
    } else {
        (rest, "")
    };
    let size = match kind {
        EntryKind::File => fields[columns.size].parse().map_err(|_| unusable())?,
        _ => 0,
    };
    let path = without_slash(unescape(path));
    Ok(Seen {
        path,
        kind,
        size,
        digest: None,
        link: unescape(target),
    })
}

/// Takes back the escapes of C strings and octal numbers.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let Some((&code, behind)) = after.split_first().filter(|_| byte == b'\\') else {
            out.push(byte);
            continue;
        };
        let octal = after
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(value) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            out.push(value);
            rest = &after[3..];
            continue;
        }
        rest = behind;
        out.push(match code {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b's' => b' ',
            b't' => b'\t',
            b'v' => 11,
            _ => code,
        });
    }
    out
}

pub(super) fn tar_crate(archive: &[u8]) -> View {
    let mut archive = ::tar::Archive::new(archive);
    let entries = archive.entries().map_err(|error| error.to_string())?;
    let mut seen = Vec::new();
    for entry in entries {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let flag = match entry.header().entry_type() {
            ::tar::EntryType::XGlobalHeader => continue,
            flag => flag.as_byte(),
        };
        let kind = kind_of_flag(if flag == 0 { b'0' } else { flag })?;
        let mut content = Vec::new();
        entry
            .read_to_end(&mut content)
            .map_err(|error| error.to_string())?;
        let link = entry.link_name_bytes().filter(|_| kind.is_link());
        seen.push(Seen {
            path: without_slash(entry.path_bytes().into_owned()),
            kind,
            size: content.len() as u64,
            digest: (kind == EntryKind::File).then(|| Digest::sha256_of(&content)),
            link: link.map(std::borrow::Cow::into_owned).unwrap_or_default(),
        });
    }
    Ok(seen)
}
