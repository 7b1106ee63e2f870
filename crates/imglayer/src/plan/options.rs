//! The choices of a plan.

use std::path::PathBuf;

use crate::MetadataPatch;

/// The choices that hold for a whole layer.
///
/// # Examples
///
/// ```
/// use imglayer::{Hardlinks, ModePolicy, PlanOptions};
///
/// let mut options = PlanOptions::default();
/// assert_eq!(options.hardlinks, Hardlinks::Auto);
/// options.modes = ModePolicy::Fixed(0o755);
/// options.create_parents = true;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PlanOptions {
    /// Whether every directory that an entry is in gets an entry of its own.
    ///
    /// Off by default, because an entry for a directory that a lower layer has changes its mode
    /// and owner.
    pub create_parents: bool,
    /// Metadata for everything but the entries of archives and whiteouts.
    ///
    /// A mode in it is for regular files. Directories get it too, and may be searched by whoever
    /// may read them (0640 for files is 0750 for directories); symlinks, whose mode means
    /// nothing, stay at 0777.
    pub default_metadata: MetadataPatch,
    /// Whether equal files become hard links.
    pub hardlinks: Hardlinks,
    /// Where the modes of files come from.
    pub modes: ModePolicy,
    /// Where the contents of compressed archives are kept until the layer is written.
    ///
    /// The files there have no name and vanish with the plan. Without a directory only plain
    /// `.tar` files can be imported.
    pub spool_directory: Option<PathBuf>,
    /// Whether equal trees are stored once.
    pub trees: TreeHandling,
}

/// Whether regular files of equal content and equal metadata become hard links of each other.
///
/// Linked files are one file at run time: a program that writes into one writes into all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a switch")]
pub enum Hardlinks {
    /// They do, unless they are empty.
    #[default]
    Auto,
    /// They do not; hard links that were asked for by name remain.
    Off,
}

/// Where the modes of files and directories from disk come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModePolicy {
    /// Files that their owner may execute get 0755, other files 0644, directories 0755.
    ///
    /// On a host that keeps no such bit, every file gets 0755.
    #[default]
    ExecutableBit,
    /// Every file gets this mode, directories 0755.
    Fixed(u32),
    /// Files and directories get the bits that they have on disk.
    ///
    /// On a host that keeps none, this is [`ExecutableBit`](Self::ExecutableBit).
    Preserve,
}

impl ModePolicy {
    /// Returns the mode of a file that has `host` on disk, `None` where there are no modes.
    pub(crate) fn of_file(self, host: Option<u32>) -> u32 {
        match (self, host) {
            (Self::Fixed(mode), _) => mode,
            (Self::ExecutableBit, Some(mode)) if mode & 0o100 == 0 => 0o644,
            (Self::ExecutableBit, _) | (Self::Preserve, None) => 0o755,
            (Self::Preserve, Some(mode)) => mode & 0o7777,
        }
    }

    /// Returns the mode of a file that comes from memory.
    pub(crate) fn of_memory(self) -> u32 {
        match self {
            Self::Fixed(mode) => mode,
            Self::ExecutableBit | Self::Preserve => 0o644,
        }
    }

    /// Returns the mode of a directory that has `host` on disk.
    pub(crate) fn of_directory(self, host: Option<u32>) -> u32 {
        match (self, host) {
            (Self::Preserve, Some(mode)) => mode & 0o7777,
            _ => 0o755,
        }
    }
}

/// What happens when a tree is equal to one that was added before: the same names, modes, link
/// targets and contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the peer's flag has these two values"
)]
pub enum TreeHandling {
    /// Nothing: it is stored like any other.
    #[default]
    Full,
    /// It becomes a relative symlink to the first. Metadata for single files in it is then unused,
    /// and what other inputs put into the first is seen through the link as well.
    DeduplicateBySymlink,
}

/// How a tree is read from disk.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TreeOptions {
    /// Metadata for everything in the tree, above the plan's default metadata and applied in the
    /// same way.
    pub metadata: MetadataPatch,
    /// What becomes of symlinks.
    pub symlinks: SymlinkPolicy,
}

impl TreeOptions {
    /// Returns the default options with another policy for symlinks.
    ///
    /// ```
    /// use imglayer::{SymlinkPolicy, TreeOptions};
    ///
    /// let options = TreeOptions::with_symlinks(SymlinkPolicy::Follow);
    /// assert_eq!(options.symlinks, SymlinkPolicy::Follow);
    /// ```
    pub fn with_symlinks(symlinks: SymlinkPolicy) -> Self {
        Self {
            symlinks,
            ..Self::default()
        }
    }
}

/// What becomes of the symlinks inside of a tree. The root of a tree is followed always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymlinkPolicy {
    /// What they lead to is stored in their place; a link that leads nowhere is an error, and so
    /// is one that leads back to a directory that it is in.
    Follow,
    /// They are stored with the text that they have: nothing from outside of the tree gets in.
    #[default]
    Keep,
    /// Links with a relative text that stays inside of the tree are kept, and so are links that lead nowhere, with
    /// the text that they have; others are followed.
    ///
    /// This is for the tree artifacts of a build: a sandbox may hold a link to the real file
    /// instead of the file. A link that leads to the same place of another copy of the tree is
    /// taken for what stands there, so that the layer is the same with and without sandbox.
    KeepInside,
}

/// How an archive is imported.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Whose metadata its entries get.
    pub metadata: ImportMetadata,
    /// Whether entries called `.wh.*` are whiteouts of the layer; else they are refused.
    pub whiteouts: bool,
}

/// Whose metadata the entries of an imported archive get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportMetadata {
    /// What the archive says.
    #[default]
    Keep,
    /// What files from disk get, with the archive's modes in place of the disk's.
    Reset,
}

#[cfg(test)]
mod tests {
    use super::ModePolicy;

    #[test]
    fn modes_come_from_the_policy() {
        fn check(policy: ModePolicy, host: Option<u32>, file: u32, directory: u32) {
            assert_eq!(policy.of_file(host), file, "file {policy:?} {host:?}");
            assert_eq!(
                policy.of_directory(host),
                directory,
                "directory {policy:?} {host:?}"
            );
        }
        check(ModePolicy::ExecutableBit, Some(0o600), 0o644, 0o755);
        check(ModePolicy::ExecutableBit, Some(0o4711), 0o755, 0o755);
        check(ModePolicy::ExecutableBit, Some(0o611), 0o644, 0o755);
        check(ModePolicy::ExecutableBit, None, 0o755, 0o755);
        check(ModePolicy::Fixed(0o755), Some(0o600), 0o755, 0o755);
        check(ModePolicy::Fixed(0o444), None, 0o444, 0o755);
        check(ModePolicy::Preserve, Some(0o104_711), 0o4711, 0o4711);
        check(ModePolicy::Preserve, None, 0o755, 0o755);
    }
}
