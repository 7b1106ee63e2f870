//! Tars and layers, made and read with the `tar` crate and the codecs' own readers, so that our
//! writer is not checked by our reader.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::{GzDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use fs_err as fs;
use imgcore::Digest;
use imgtar::{DecodeLimits, Decoder};
use imgtest::layer::{Rules, check_with};
use serde_json::Value;
use tar::{Archive, EntryType, Header};

use crate::case::Section;
use crate::run::{Outcome, State};
use crate::{check, text};

/// The end of an eStargz layer's footer, before the trailer of the member that it is.
const FOOTER_MAGIC: &[u8] = b"STARGZ\x01\0\0\xff\xff";

/// Decodes a layer. For gzip only the first member is read, as many tools do: a layer that needs
/// more than that is incomplete to them. Only eStargz layers have many by their nature.
fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut tar = Vec::new();
    match bytes {
        [0x1f, 0x8b, .., _, _, _, _, _, _, _, _] => {
            let is_estargz = bytes[..bytes.len() - 8].ends_with(FOOTER_MAGIC);
            let read = if is_estargz {
                MultiGzDecoder::new(bytes).read_to_end(&mut tar)
            } else {
                GzDecoder::new(bytes).read_to_end(&mut tar)
            };
            read.map_err(|error| error.to_string())?;
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            tar = zstd::decode_all(bytes).map_err(|error| error.to_string())?;
        }
        plain => tar.extend_from_slice(plain),
    }
    Ok(tar)
}

/// One line an entry: kind, mode, owner, time if any, size of a file, name, target of a link.
pub(crate) fn listing(path: &Path) -> Result<String, String> {
    let tar = decode(&fs::read(path).map_err(|error| error.to_string())?)?;
    if !tar.ends_with(&[0; 1024]) {
        return Err("the tar does not end with two zero blocks".to_owned());
    }
    let mut lines = Vec::new();
    let mut archive = Archive::new(&*tar);
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        lines.push(line(&mut entry).map_err(|error| error.to_string())?);
    }
    Ok(lines.join("\n"))
}

fn line<R: Read>(entry: &mut tar::Entry<'_, R>) -> std::io::Result<String> {
    let mut records = String::new();
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            let key = String::from_utf8_lossy(extension.key_bytes()).into_owned();
            if !matches!(&*key, "path" | "linkpath" | "size") {
                let value = text::printable(extension.value_bytes());
                let _ = write!(records, " {key}={value:?}");
            }
        }
    }
    let header = entry.header();
    let kind = match header.entry_type() {
        EntryType::Directory => "dir",
        EntryType::Link => "hardlink",
        EntryType::Regular => "file",
        EntryType::Symlink => "symlink",
        EntryType::Fifo => "fifo",
        EntryType::Char => "char",
        EntryType::Block => "block",
        _ => "other",
    };
    let mut line = format!(
        "{kind} {:04o} {}/{}",
        header.mode()?,
        header.uid()?,
        header.gid()?
    );
    let names = [header.username_bytes(), header.groupname_bytes()];
    if let [Some(user), Some(group)] = names
        && !(user.is_empty() && group.is_empty())
    {
        let _ = write!(
            line,
            " {}:{}",
            text::printable(user),
            text::printable(group)
        );
    }
    if header.mtime()? != 0 {
        let _ = write!(line, " @{}", header.mtime()?);
    }
    if kind == "file" {
        let _ = write!(line, " {}", entry.size());
    }
    let _ = write!(line, " {}", text::printable(&entry.path_bytes()));
    if let Some(target) = entry.link_name_bytes() {
        let _ = write!(line, " -> {}", text::printable(&target));
    }
    line.push_str(&records);
    Ok(line)
}

/// The content of the file with that name.
pub(crate) fn content(path: &Path, name: &str) -> Result<Vec<u8>, String> {
    let tar = decode(&fs::read(path).map_err(|error| error.to_string())?)?;
    let mut archive = Archive::new(&*tar);
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        if *entry.path_bytes() == *name.as_bytes() {
            let mut content = Vec::new();
            entry
                .read_to_end(&mut content)
                .map_err(|error| error.to_string())?;
            return Ok(content);
        }
    }
    Err(format!("the layer has no {name}"))
}

/// What every layer of `img layer` owes, whatever the case is about.
pub(crate) fn check_output(state: &State<'_>, arguments: &[String]) -> Result<(), String> {
    let Some(output) = arguments.last().filter(|output| *output != "-") else {
        return Ok(());
    };
    let Ok(blob) = check::read(state, output) else {
        return Ok(());
    };
    // With several gzip members, only a reader of all of them reads the layer whole.
    let limits = DecodeLimits::default();
    let decoder = Decoder::new(&*blob, limits).map_err(|error| error.to_string())?;
    let mut rules = Rules::default();
    rules.deduplicated = !arguments.iter().any(|word| word.starts_with("--hardlinks"));
    rules.parents = arguments
        .iter()
        .any(|word| word.starts_with("--create-parent"));
    check_with(decoder, rules).map_err(|problems| format!("{output}: {}", problems.join("\n")))
}

/// `[layer BLOB METADATA]`: the blob is what its metadata says, and a good layer.
pub(crate) fn check_with_metadata(section: &Section, state: &State<'_>) -> Result<Outcome, String> {
    let blob = check::read(state, section.word(1)?)?;
    let tar = decode(&blob)?;
    let metadata: Value = serde_json::from_slice(&check::read(state, section.word(2)?)?)
        .map_err(|error| error.to_string())?;
    let expected = [
        ("diff_id", Value::from(Digest::sha256_of(&tar).to_string())),
        ("digest", Value::from(Digest::sha256_of(&blob).to_string())),
        ("size", Value::from(blob.len())),
    ];
    for (member, expected) in expected {
        if metadata[member] != expected {
            return Err(format!(
                "{member} is {} instead of {expected}",
                metadata[member]
            ));
        }
    }
    let codec = match &*blob {
        [0x1f, 0x8b, ..] => "+gzip",
        [0x28, 0xb5, ..] => "+zstd",
        _ => "",
    };
    let media_type = format!("application/vnd.oci.image.layer.v1.tar{codec}");
    if !section.has("other-type") && metadata["mediaType"] != media_type.as_str() {
        return Err(format!("the media type is {}", metadata["mediaType"]));
    }
    Ok(Outcome::Holds)
}

/// Makes a tar from lines `kind name [mode=…] [uid=…] [gid=…] [mtime=…] [content|target]`; the
/// name of the file says how it is compressed.
pub(crate) fn build(file: &str, lines: &[String]) -> Result<Vec<u8>, String> {
    let mut tar = Vec::new();
    for line in lines {
        append(&mut tar, line)?;
    }
    tar.extend_from_slice(&[0; 1024]);
    let extension = Path::new(file).extension().unwrap_or_default();
    if extension == "gz" || extension == "tgz" {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        return encoder
            .write_all(&tar)
            .and_then(|()| encoder.finish())
            .map_err(|error| error.to_string());
    }
    if extension == "zst" {
        return zstd::encode_all(&*tar, 3).map_err(|error| error.to_string());
    }
    Ok(tar)
}

fn append(tar: &mut Vec<u8>, line: &str) -> Result<(), String> {
    let words = text::words(line)?;
    let (kind, name) = match &*words {
        [kind, name, ..] => (&**kind, name.as_bytes()),
        _ => return Err(format!("`{line}` is not `kind name …`")),
    };
    let option = |name: &str| {
        let found = words[2..].iter().find_map(|word| word.strip_prefix(name));
        found.map_or(Ok(None), |value| {
            let radix = if name == "mode=" { 8 } else { 10 };
            u64::from_str_radix(value, radix)
                .map(Some)
                .map_err(|error| error.to_string())
        })
    };
    let is_option = |word: &&String| {
        ["mode=", "uid=", "gid=", "mtime="]
            .iter()
            .any(|name| word.starts_with(name))
    };
    let rest = words[2..]
        .iter()
        .find(|word| !is_option(word))
        .map_or("", |word| word);
    let entry_type = match kind {
        "dir" => EntryType::Directory,
        "file" => EntryType::Regular,
        "hardlink" => EntryType::Link,
        "symlink" => EntryType::Symlink,
        "fifo" => EntryType::Fifo,
        _ => return Err(format!("there is no kind `{kind}`")),
    };
    let mut header = Header::new_ustar();
    header.set_entry_type(entry_type);
    // Names are set as bytes: the crate would refuse the hostile ones that some cases are about.
    let field = header
        .as_old_mut()
        .name
        .get_mut(..name.len())
        .ok_or("long name")?;
    field.copy_from_slice(name);
    header.set_mode(u32::try_from(option("mode=")?.unwrap_or(0o644)).map_err(|e| e.to_string())?);
    header.set_uid(option("uid=")?.unwrap_or(0));
    header.set_gid(option("gid=")?.unwrap_or(0));
    header.set_mtime(option("mtime=")?.unwrap_or(0));
    let content = if kind == "file" { rest.as_bytes() } else { b"" };
    header.set_size(content.len() as u64);
    if matches!(kind, "hardlink" | "symlink") {
        let field = header
            .as_old_mut()
            .linkname
            .get_mut(..rest.len())
            .ok_or("long target")?;
        field.copy_from_slice(rest.as_bytes());
    }
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    Ok(())
}
