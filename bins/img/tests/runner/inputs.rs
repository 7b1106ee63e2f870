//! Sections that make files before a command.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fs_err as fs;

use crate::case::Section;
use crate::layer;

/// The kinds of section that this module knows.
pub(crate) const KINDS: &[&str] = &[
    "append",
    "base64",
    "directory",
    "file",
    "generate",
    "hex",
    "remove",
    "symlink",
    "tar",
    "truncate",
];

/// Makes what a section describes.
pub(crate) fn create(section: &Section, directory: &Path) -> Result<(), String> {
    let name = section.word(1)?;
    let path = directory.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    }
    let done = match section.kind() {
        "append" => fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(&fs::read(
                    directory.join(section.word(2).unwrap_or_default()),
                )?)
            }),
        "base64" => {
            let bytes = BASE64_STANDARD.decode(section.lines.concat());
            fs::write(&path, bytes.map_err(|error| error.to_string())?)
        }
        "directory" => fs::create_dir_all(&path),
        "file" => fs::write(&path, section.text()?),
        "generate" => fs::write(&path, pattern(number(section.word(2)?)?)),
        "hex" => fs::write(&path, hex(&section.lines.concat())?),
        "remove" => fs::remove_file(&path),
        "symlink" => symlink(section.word(2)?, &path),
        "tar" => fs::write(&path, layer::build(name, &section.lines)?),
        _ => fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(number(section.word(2).unwrap_or("0")).unwrap_or(0))),
    };
    done.map_err(|error| error.to_string())?;
    if let Some(mode) = section.option("mode") {
        set_mode(
            &path,
            u32::from_str_radix(mode, 8).map_err(|error| error.to_string())?,
        )?;
    }
    Ok(())
}

fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "")
        .parse()
        .map_err(|_| format!("`{text}` is not a size"))
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// Bytes that neither repeat soon nor compress to nothing, the same on every host.
fn pattern(size: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..size)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 28) as u8 + b'a'
        })
        .collect()
}

#[cfg(unix)]
fn symlink(target: &str, path: &Path) -> std::io::Result<()> {
    fs::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn symlink(_: &str, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|e| e.to_string())
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> Result<(), String> {
    Ok(())
}
