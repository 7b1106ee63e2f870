//! From a [`Header`] to its blocks.

use std::collections::BTreeMap;

use super::block::{self, Block};
use super::{BLOCK_SIZE, EntryKind, Header, Timestamp, padding};
use crate::error::{Error, ErrorKind};
use crate::pax;

const MAX_MODE: u32 = 0o7777;
const MAX_NUMBER: u64 = i64::MAX.cast_unsigned();

impl Header {
    /// Appends the whole blocks of this header: PAX records where they are needed, then ustar.
    ///
    /// The content follows, then [`padding`] zeros.
    ///
    /// # Determinism
    ///
    /// The bytes depend on the fields alone. A PAX header appears only when a field does not fit
    /// ustar: text that is longer than its field or valid UTF-8 beyond ASCII, numbers beyond their
    /// octal field, a fraction of a second, a time before 1970, and [`pax`](Self::pax). Records for
    /// fields come first, then those of [`pax`](Self::pax), each in the order of their keywords'
    /// bytes: some readers (the `tar` crate) lose their way after a value with a newline, and have
    /// then seen path and size. Text that is not UTF-8 stays in its field while it fits; where it
    /// does not, `hdrcharset=BINARY` stands in front of all records.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for what no archive can say, or what readers would read
    /// differently: an empty path, a NUL in text, content or a trailing slash on the wrong kind, a
    /// number beyond its range, a PAX keyword that has a field of its own.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.check().map_err(|problem| {
            let path = self.path.escape_ascii();
            Error::new(
                ErrorKind::InvalidInput,
                format!("tar entry \"{path}\" {problem}"),
            )
        })?;
        let (records, placed) = self.place();
        if !records.is_empty() || !self.pax.is_empty() {
            self.encode_extended(&records, out);
        }
        out.extend_from_slice(&self.encode_block(&placed));
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        self.check_text()?;
        self.check_numbers()?;
        self.check_kind()?;
        self.check_pax()
    }

    fn check_text(&self) -> Result<(), String> {
        if self.path.is_empty() {
            return Err("has an empty path".into());
        }
        let fields = [
            ("path", &self.path),
            ("link target", &self.link),
            ("user name", &self.user_name),
            ("group name", &self.group_name),
        ];
        match fields.iter().find(|(_, text)| text.contains(&0)) {
            Some((what, _)) => Err(format!("has a NUL in its {what}")),
            None => Ok(()),
        }
    }

    fn check_numbers(&self) -> Result<(), String> {
        if self.mode > MAX_MODE {
            return Err(format!("has the mode {:o}, beyond {MAX_MODE:o}", self.mode));
        }
        if self.mtime.nanos >= 1_000_000_000 {
            return Err(format!("has {} nanoseconds in its time", self.mtime.nanos));
        }
        for (what, value) in [("uid", self.uid), ("gid", self.gid), ("size", self.size)] {
            if value > MAX_NUMBER {
                return Err(format!("has the {what} {value}, beyond {MAX_NUMBER}"));
            }
        }
        let (major, minor) = self.device;
        let max = block::octal_max(block::DEVICE_MAJOR.len());
        if u64::from(major.max(minor)) > max {
            return Err(format!(
                "has the device number {major}:{minor}, beyond {max}"
            ));
        }
        Ok(())
    }

    fn check_kind(&self) -> Result<(), String> {
        let kind = self.kind;
        if self.size > 0 && kind != EntryKind::File {
            return Err(format!("is a {kind} with content"));
        }
        if kind != EntryKind::Directory && self.path.ends_with(b"/") {
            return Err(format!("is a {kind} whose path ends with a slash"));
        }
        if kind.is_link() == self.link.is_empty() {
            let without = if kind.is_link() { "without" } else { "with" };
            return Err(format!("is a {kind} {without} a link target"));
        }
        if !kind.is_device() && self.device != (0, 0) {
            return Err(format!("is a {kind} with a device number"));
        }
        Ok(())
    }

    fn check_pax(&self) -> Result<(), String> {
        for key in self.pax.keys() {
            if pax::Keyword::of(key) != pax::Keyword::Other {
                return Err(format!("has the reserved PAX keyword {key:?}"));
            }
            if key.is_empty() || key.contains(['=', '\0']) {
                return Err(format!("has the unusable PAX keyword {key:?}"));
            }
        }
        Ok(())
    }

    /// Decides what goes into PAX records and what stays in the block.
    fn place(&self) -> (BTreeMap<&str, Vec<u8>>, Placed<'_>) {
        let mut records: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        let placed = Placed::of(&self.path);
        if placed.is_stand_in {
            records.insert("path", self.path.clone());
        }
        for (key, text, width) in [
            ("linkpath", &self.link, block::LINK.len()),
            ("uname", &self.user_name, block::USER_NAME.len()),
            ("gname", &self.group_name, block::GROUP_NAME.len()),
        ] {
            if !fits(text, width) {
                records.insert(key, text.clone());
            }
        }
        for (key, value, width) in [
            ("uid", self.uid, block::UID.len()),
            ("gid", self.gid, block::GID.len()),
            ("size", self.size, block::SIZE.len()),
        ] {
            if value > block::octal_max(width) {
                records.insert(key, value.to_string().into_bytes());
            }
        }
        if self.mtime.nanos != 0 || self.mtime_field().is_none() {
            records.insert("mtime", pax::format_time(self.mtime).into_bytes());
        }
        (records, placed)
    }

    /// Returns the whole seconds, if the block has room for them.
    fn mtime_field(&self) -> Option<u64> {
        let Timestamp { secs, .. } = self.mtime;
        u64::try_from(secs)
            .ok()
            .filter(|&secs| secs <= block::octal_max(block::MTIME.len()))
    }

    fn encode_extended(&self, records: &BTreeMap<&str, Vec<u8>>, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; BLOCK_SIZE]);
        let text = ["path", "linkpath", "uname", "gname"];
        let is_text = |key: &&str| records.get(*key).is_some_and(|value| !is_utf8(value));
        if text.iter().any(is_text) {
            pax::push_record(out, "hdrcharset", b"BINARY");
        }
        for (key, value) in records {
            pax::push_record(out, key, value);
        }
        for (key, value) in &self.pax {
            pax::push_record(out, key, value);
        }
        let size = (out.len() - start - BLOCK_SIZE) as u64;
        out.resize(out.len() + padding(size), 0);

        let mut header: Block = [0; BLOCK_SIZE];
        put_text(&mut header[block::NAME], &extended_name(&self.path));
        for field in [block::MODE, block::UID, block::GID, block::MTIME] {
            block::put_octal(&mut header[field], 0);
        }
        block::put_octal(&mut header[block::SIZE], size);
        header[block::TYPE_FLAG] = b'x';
        header[block::MAGIC].copy_from_slice(&block::MAGIC_USTAR);
        block::put_checksum(&mut header);
        out[start..start + BLOCK_SIZE].copy_from_slice(&header);
    }

    /// Returns what readers without PAX get to see; a file must not look like a directory to them.
    fn path_stand_in(&self) -> Vec<u8> {
        let mut name = ascii_only(&self.path);
        while self.kind != EntryKind::Directory && name.ends_with(b"/") {
            name.pop();
        }
        stand_in(&name)
    }

    fn encode_block(&self, placed: &Placed<'_>) -> Block {
        let mut header: Block = [0; BLOCK_SIZE];
        if placed.is_stand_in {
            put_text(&mut header[block::NAME], &self.path_stand_in());
        } else {
            put_text(&mut header[block::NAME], placed.name);
            put_text(&mut header[block::PREFIX], placed.prefix);
        }
        for (field, text) in [
            (block::LINK, &self.link),
            (block::USER_NAME, &self.user_name),
            (block::GROUP_NAME, &self.group_name),
        ] {
            if fits(text, field.len()) {
                put_text(&mut header[field], text);
            } else {
                put_text(&mut header[field], &stand_in(text));
            }
        }
        for (field, value) in [
            (block::MODE, u64::from(self.mode)),
            (block::UID, self.uid),
            (block::GID, self.gid),
            (block::SIZE, self.size),
            (block::MTIME, self.mtime_field().unwrap_or(0)),
            (block::DEVICE_MAJOR, u64::from(self.device.0)),
            (block::DEVICE_MINOR, u64::from(self.device.1)),
        ] {
            block::put_octal(&mut header[field], value);
        }
        header[block::TYPE_FLAG] = self.kind.type_flag();
        header[block::MAGIC].copy_from_slice(&block::MAGIC_USTAR);
        block::put_checksum(&mut header);
        header
    }
}

/// The path as the block has it.
struct Placed<'a> {
    prefix: &'a [u8],
    name: &'a [u8],
    /// The block has only an approximation for readers that know no PAX.
    is_stand_in: bool,
}

impl<'a> Placed<'a> {
    fn of(path: &'a [u8]) -> Self {
        if fits(path, block::NAME.len()) {
            return Self {
                prefix: &[],
                name: path,
                is_stand_in: false,
            };
        }
        match split(path) {
            Some((prefix, name)) => Self {
                prefix,
                name,
                is_stand_in: false,
            },
            None => Self {
                prefix: &[],
                name: path,
                is_stand_in: true,
            },
        }
    }
}

/// Splits a long path at a slash so that both parts fit their fields, the first part as long as can be.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !is_plain(path) {
        return None;
    }
    let longest = path.len().min(block::PREFIX.len() + 1);
    // A directory's own trailing slash is no place to split at.
    let end = if longest == path.len() && path.ends_with(b"/") {
        longest - 1
    } else {
        longest
    };
    let slash = path[..end].iter().rposition(|&byte| byte == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!prefix.is_empty() && !name.is_empty() && name.len() <= block::NAME.len())
        .then_some((prefix, name))
}

/// Returns whether text may stand in a ustar field of `width` bytes.
fn fits(text: &[u8], width: usize) -> bool {
    text.len() <= width && is_plain(text)
}

/// ustar fields have no declared encoding: UTF-8 beyond ASCII is better off in PAX, where it has one.
/// What is not UTF-8 has none to declare, and every reader takes the field's bytes as they are.
fn is_plain(text: &[u8]) -> bool {
    text.is_ascii() || !is_utf8(text)
}

fn is_utf8(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok()
}

fn ascii_only(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

/// Returns what stands in a field whose text is in a PAX record.
///
/// It is never empty: libarchive (3.6) drops the target of a link whose field is.
fn stand_in(text: &[u8]) -> Vec<u8> {
    let text = ascii_only(text);
    if text.is_empty() { b"_".to_vec() } else { text }
}

/// Returns the name of the PAX header of `path`: `PaxHeaders.0` beside the entry, as Go has it.
fn extended_name(path: &[u8]) -> Vec<u8> {
    let (directory, base) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (&[][..], path),
    };
    let mut name = ascii_only(directory);
    name.extend_from_slice(b"PaxHeaders.0/");
    name.extend(ascii_only(base));
    name.truncate(block::NAME.len());
    while name.ends_with(b"/") {
        name.pop();
    }
    name
}

/// Writes text into a field, cut to its width.
fn put_text(field: &mut [u8], text: &[u8]) {
    let mut cut = &text[..text.len().min(field.len())];
    // Old readers take a name that ends with a slash for a directory, so a cut must not end there.
    while cut.len() < text.len() && cut.ends_with(b"/") {
        cut = &cut[..cut.len() - 1];
    }
    field[..cut.len()].copy_from_slice(cut);
}
