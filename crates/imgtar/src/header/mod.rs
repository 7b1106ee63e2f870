//! What one entry says, and the blocks that say it.

pub(crate) mod block;
mod encode;

use std::collections::BTreeMap;
use std::fmt;

/// The unit of a tar archive, in bytes.
pub const BLOCK_SIZE: usize = 512;

/// The two zero blocks that end an archive.
pub const END_OF_ARCHIVE: [u8; 2 * BLOCK_SIZE] = [0; 2 * BLOCK_SIZE];

/// Returns how many zero bytes follow content of `size` bytes to fill its last block.
///
/// ```
/// assert_eq!([0, 1, 512, 513].map(imgtar::padding), [0, 511, 0, 511]);
/// ```
#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below 512"
)]
pub const fn padding(size: u64) -> usize {
    let rest = (size % BLOCK_SIZE as u64) as usize;
    (BLOCK_SIZE - rest) % BLOCK_SIZE
}

/// What one entry of an archive says about itself.
///
/// Text is bytes, as in the archive: no encoding is assumed. The constructors fill what a
/// deterministic layer wants (owner 0, no names, the epoch); change any field afterwards.
///
/// ```
/// use imgtar::{EntryKind, Header};
///
/// let mut header = Header::file("bin/tool", 1024);
/// header.mode = 0o755;
/// header.pax.insert("SCHILY.xattr.user.origin".into(), b"example".to_vec());
/// let mut blocks = Vec::new();
/// header.encode(&mut blocks)?;
/// // A PAX header, its records and the ustar header: three blocks.
/// assert_eq!((header.kind, blocks.len()), (EntryKind::File, 3 * 512));
/// # Ok::<(), imgtar::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The name, `/`-separated; directories carry a trailing slash by convention.
    pub path: Vec<u8>,
    /// What the entry is.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky: `0..=0o7777`.
    pub mode: u32,
    /// Numeric owner, up to `i64::MAX`.
    pub uid: u64,
    /// Numeric group, up to `i64::MAX`.
    pub gid: u64,
    /// Name of the owner, or empty.
    pub user_name: Vec<u8>,
    /// Name of the group, or empty.
    pub group_name: Vec<u8>,
    /// Bytes of content that follow, up to `i64::MAX`; 0 for everything but files.
    pub size: u64,
    /// When the content last changed.
    pub mtime: Timestamp,
    /// Target of a hard link or symbolic link; empty for everything else.
    pub link: Vec<u8>,
    /// Major and minor number of a device, each up to `0o7777777`; zeros for everything else.
    pub device: (u32, u32),
    /// Further PAX records by keyword, such as `SCHILY.xattr.user.name`.
    ///
    /// The keywords that have a field of their own (`path`, `linkpath`, `size`, `uid`, `gid`,
    /// `uname`, `gname`, `mtime`, `hdrcharset`) never stand here.
    pub pax: BTreeMap<String, Vec<u8>>,
}

impl Header {
    /// Makes a regular file of `size` bytes with mode 0644.
    pub fn file(path: impl Into<Vec<u8>>, size: u64) -> Self {
        Self {
            size,
            ..Self::new(EntryKind::File, path.into(), 0o644)
        }
    }

    /// Makes a directory with mode 0755; a missing trailing slash is added.
    pub fn directory(path: impl Into<Vec<u8>>) -> Self {
        let mut path = path.into();
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        Self::new(EntryKind::Directory, path, 0o755)
    }

    /// Makes a symbolic link to `target` with mode 0777.
    pub fn symlink(path: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        Self {
            link: target.into(),
            ..Self::new(EntryKind::Symlink, path.into(), 0o777)
        }
    }

    /// Makes a hard link, mode 0644, to an entry that stands earlier in the archive.
    pub fn hard_link(path: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        Self {
            link: target.into(),
            ..Self::new(EntryKind::HardLink, path.into(), 0o644)
        }
    }

    /// Makes an entry of any kind with nothing but a path and a mode.
    pub fn new(kind: EntryKind, path: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            user_name: Vec::new(),
            group_name: Vec::new(),
            size: 0,
            mtime: Timestamp::EPOCH,
            link: Vec::new(),
            device: (0, 0),
            pax: BTreeMap::new(),
        }
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the format has these kinds; any other type flag is refused when it is read"
)]
pub enum EntryKind {
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A regular file.
    File,
    /// Another name for an earlier entry.
    HardLink,
    /// A symbolic link.
    Symlink,
}

impl EntryKind {
    pub(crate) const fn type_flag(self) -> u8 {
        match self {
            Self::File => b'0',
            Self::HardLink => b'1',
            Self::Symlink => b'2',
            Self::CharDevice => b'3',
            Self::BlockDevice => b'4',
            Self::Directory => b'5',
            Self::Fifo => b'6',
        }
    }

    /// Returns whether entries of this kind name a target.
    pub const fn is_link(self) -> bool {
        matches!(self, Self::HardLink | Self::Symlink)
    }

    /// Returns whether entries of this kind have a device number.
    pub const fn is_device(self) -> bool {
        matches!(self, Self::BlockDevice | Self::CharDevice)
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BlockDevice => "block device",
            Self::CharDevice => "character device",
            Self::Directory => "directory",
            Self::Fifo => "fifo",
            Self::File => "file",
            Self::HardLink => "hard link",
            Self::Symlink => "symbolic link",
        })
    }
}

/// A moment as seconds since the epoch and nanoseconds after that second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "two numbers are all there is to it; literals keep callers readable"
)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub secs: i64,
    /// Nanoseconds after `secs`: `0..1_000_000_000`.
    pub nanos: u32,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self::from_secs(0);

    /// Makes the moment `secs` whole seconds after the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self { secs, nanos: 0 }
    }
}
