//! From a header block and its extended headers to a [`Header`].

use super::extended::Extended;
use crate::error::{Error, ErrorKind};
use crate::header::block::{self, Block};
use crate::header::{EntryKind, Header, Timestamp};

/// Checks what every header has, whatever its type: checksum and magic.
pub(super) fn check_block(block: &Block) -> Result<(), Error> {
    let declared = number(block, "checksum", block::CHECKSUM)?;
    let (unsigned, signed) = block::checksum(block);
    if declared != unsigned && i64::try_from(declared) != Ok(signed) {
        let text = format!("the header's checksum is {declared} instead of {unsigned}");
        return Err(malformed(text));
    }
    Format::of(block).map(|_| ())
}

/// Says whether a block at least looks like a header of today.
pub(super) fn has_magic(block: &Block) -> bool {
    block[block::MAGIC].starts_with(b"ustar")
}

/// Returns the size field of an extended header.
pub(super) fn size_of(block: &Block) -> Result<u64, Error> {
    number(block, "size", block::SIZE)
}

/// Reads a header whose [`check_block`] has passed.
pub(super) fn parse(block: &Block, extended: &Extended) -> Result<Header, Error> {
    let format = Format::of(block)?;
    let path = match extended.path() {
        Some(path) => path.to_vec(),
        None => format.path(block)?,
    };
    if path.is_empty() {
        return Err(malformed("the path is empty"));
    }
    let kind = kind(block[block::TYPE_FLAG], &path)?;
    let records = extended.records();
    let mut header = Header::new(kind, path, mode(block)?);
    header.size = match records.size {
        Some(size) => size,
        None => number(block, "size", block::SIZE)?,
    };
    check_size(&mut header)?;
    header.uid = match records.uid {
        Some(uid) => uid,
        None => number(block, "uid", block::UID)?,
    };
    header.gid = match records.gid {
        Some(gid) => gid,
        None => number(block, "gid", block::GID)?,
    };
    header.mtime = match records.mtime {
        Some(time) => time,
        None => Timestamp::from_secs(signed_number(block, "mtime", block::MTIME)?),
    };
    header.link = link(block, kind, extended)?;
    if format != Format::V7 {
        let field = |range| block::text(&block[range]).to_vec();
        header.user_name = records
            .user_name
            .clone()
            .unwrap_or_else(|| field(block::USER_NAME));
        header.group_name = records
            .group_name
            .clone()
            .unwrap_or_else(|| field(block::GROUP_NAME));
        if kind.is_device() {
            let major = number(block, "device number", block::DEVICE_MAJOR)?;
            let minor = number(block, "device number", block::DEVICE_MINOR)?;
            header.device = (device(major)?, device(minor)?);
        }
    } else if records.user_name.is_some() || records.group_name.is_some() || kind.is_device() {
        return Err(malformed("a v7 header cannot say what its entry needs"));
    }
    header.pax.clone_from(&records.other);
    Ok(header)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gnu,
    Ustar,
    V7,
}

impl Format {
    fn of(block: &Block) -> Result<Self, Error> {
        let magic = &block[block::MAGIC];
        if magic == block::MAGIC_GNU {
            Ok(Self::Gnu)
        } else if magic.starts_with(b"ustar\0") {
            // Some writers leave the version empty or put spaces there, and no reader minds.
            Ok(Self::Ustar)
        } else if magic == [0; 8] {
            Ok(Self::V7)
        } else {
            Err(malformed(format!(
                "the header's magic is \"{}\"",
                magic.escape_ascii()
            )))
        }
    }

    fn path(self, block: &Block) -> Result<Vec<u8>, Error> {
        let name = block::text(&block[block::NAME]);
        if self != Self::Ustar {
            // GNU headers have times and sparse maps where ustar has the prefix.
            return Ok(name.to_vec());
        }
        let prefix = block::text(&block[block::PREFIX]);
        if prefix.len() > STAR_PREFIX && block.ends_with(b"tar\0") {
            return Err(malformed(
                "the prefix reaches into the times of a star header",
            ));
        }
        if prefix.is_empty() {
            return Ok(name.to_vec());
        }
        Ok([prefix, b"/", name].concat())
    }
}

/// The prefix of a star header ends here; its access and change times follow.
const STAR_PREFIX: usize = 130;

fn kind(flag: u8, path: &[u8]) -> Result<EntryKind, Error> {
    let is_slashed = path.ends_with(b"/");
    let kind = match flag {
        // v7 had no flag for directories.
        0 if is_slashed => EntryKind::Directory,
        0 | b'0' => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        _ => return Err(refused_flag(flag)),
    };
    if is_slashed && kind != EntryKind::Directory {
        return Err(malformed(format!("the path of a {kind} ends with a slash")));
    }
    Ok(kind)
}

fn refused_flag(flag: u8) -> Error {
    let what = match flag {
        b'7' => "a contiguous file",
        b'A' => "a Solaris access control list",
        b'D' => "a directory of an incremental dump",
        b'E' => "a Solaris extended attribute",
        b'I' => "an inode without a file",
        b'M' => "the continuation of another volume's file",
        b'N' => "an old GNU long name",
        b'S' => "a sparse file",
        b'V' => "a volume label",
        b'X' => "a Solaris extended header",
        _ => "an entry of unknown type",
    };
    let text = format!("{what} (type flag \"{}\")", flag.escape_ascii());
    Error::new(ErrorKind::Unsupported, text)
}

fn mode(block: &Block) -> Result<u32, Error> {
    const PERMISSIONS: u64 = 0o7777;
    // Some writers put the file type's bits in front, and every reader cuts them off.
    let mode = number(block, "mode", block::MODE)? & PERMISSIONS;
    Ok(u32::try_from(mode).unwrap_or_default())
}

/// Links have no content whatever they declare; for the other kinds readers do not agree.
fn check_size(header: &mut Header) -> Result<(), Error> {
    if header.kind.is_link() {
        header.size = 0;
    }
    if header.size > 0 && header.kind != EntryKind::File {
        let text = format!(
            "a {} declares {} bytes of content",
            header.kind, header.size
        );
        return Err(malformed(text));
    }
    Ok(())
}

fn link(block: &Block, kind: EntryKind, extended: &Extended) -> Result<Vec<u8>, Error> {
    if !kind.is_link() {
        return match extended.link() {
            Some(_) => Err(malformed(format!("a {kind} has an extended link target"))),
            // Some writers leave old text in the field.
            None => Ok(Vec::new()),
        };
    }
    let link = extended.link().unwrap_or(block::text(&block[block::LINK]));
    if link.is_empty() {
        return Err(malformed(format!("a {kind} has no target")));
    }
    Ok(link.to_vec())
}

fn device(number: u64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| malformed(format!("the device number {number} is too large")))
}

fn number(block: &Block, what: &str, field: std::ops::Range<usize>) -> Result<u64, Error> {
    let value = signed_number(block, what, field)?;
    u64::try_from(value).map_err(|_| malformed(format!("the {what} is negative")))
}

fn signed_number(block: &Block, what: &str, field: std::ops::Range<usize>) -> Result<i64, Error> {
    block::number(&block[field]).map_err(|problem| malformed(format!("the {what} {problem}")))
}

fn malformed(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, text)
}
