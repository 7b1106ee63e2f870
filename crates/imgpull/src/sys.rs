//! What depends on the operating system, with a portable way for the others.

pub(crate) use imp::*;

/// What became of the wish to lock a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// It is locked until it is closed.
    Made,
    /// Somebody else has locked it.
    Taken,
    /// There are no locks here.
    Unsupported,
}

#[cfg(unix)]
mod imp {
    use std::fs::Permissions;
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    use std::path::Path;
    use std::sync::OnceLock;

    use fs_err::os::unix::fs::OpenOptionsExt;
    use rustix::fs::{CWD, FlockOperation, OFlags, Timespec, Timestamps, UTIME_NOW, flock};
    use rustix::io::Errno;

    use super::Lock;

    /// Makes a directory, and its parents, for the user alone. What is there keeps its mode.
    pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)
    }

    /// Says whether others than its owner may write to a directory.
    pub(crate) fn is_writable_by_others(directory: &Path) -> io::Result<bool> {
        Ok(fs_err::metadata(directory)?.mode() & 0o022 != 0)
    }

    /// Lets others read a finished file, as far as the process lets others read the files that it makes in
    /// `directory`. Where that cannot be, the file stays the user's alone.
    pub(crate) fn let_others_read(file: &std::fs::File, directory: &Path) {
        // Nobody can be asked for the umask, only what it makes of a file.
        static MODE: OnceLock<u32> = OnceLock::new();
        let mode = MODE.get().copied().or_else(|| {
            let found = mode_of_new_file(directory).ok()?;
            Some(*MODE.get_or_init(|| found))
        });
        if let Some(mode) = mode {
            let _ = file.set_permissions(Permissions::from_mode(mode));
        }
    }

    fn mode_of_new_file(directory: &Path) -> io::Result<u32> {
        let example = tempfile::Builder::new()
            .prefix("single-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(directory)?;
        Ok(example.as_file().metadata()?.mode() & 0o777)
    }

    /// Opens a file to write at its end, made for the user alone if it is not there. A symbolic link is refused.
    pub(crate) fn open_to_continue(path: &Path) -> io::Result<fs_err::File> {
        let no_follow = OFlags::NOFOLLOW.bits();
        fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .custom_flags(i32::try_from(no_follow).unwrap_or_default())
            .open(path)
    }

    /// Locks a file until it is closed, unless somebody else has.
    pub(crate) fn try_lock(file: &fs_err::File) -> io::Result<Lock> {
        match flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock::Made),
            Err(Errno::WOULDBLOCK) => Ok(Lock::Taken),
            Err(Errno::BADF | Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP) => {
                Ok(Lock::Unsupported)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Says whether a path still names an open file.
    pub(crate) fn is_at(file: &fs_err::File, path: &Path) -> io::Result<bool> {
        let open = file.metadata()?;
        match fs_err::symlink_metadata(path) {
            Ok(found) => Ok(found.dev() == open.dev() && found.ino() == open.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Marks a file as used now, for those who remove what was not used for long.
    pub(crate) fn touch(path: &Path) -> io::Result<()> {
        let now = || Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now(),
            last_modification: now(),
        };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(CWD, path, &times, flags).map_err(io::Error::from)
    }

    /// Makes renames inside of `directory` survive a crash of the machine.
    pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
        fs_err::File::open(directory)?.sync_all()
    }
}

#[cfg(not(unix))]
mod imp {
    use std::io;
    use std::path::Path;

    use super::Lock;

    pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
        fs_err::create_dir_all(path)
    }

    pub(crate) fn is_writable_by_others(_directory: &Path) -> io::Result<bool> {
        Ok(false)
    }

    pub(crate) fn let_others_read(_file: &std::fs::File, _directory: &Path) {}

    pub(crate) fn open_to_continue(path: &Path) -> io::Result<fs_err::File> {
        fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .open(path)
    }

    /// Without locks nobody waits for another process.
    pub(crate) fn try_lock(_file: &fs_err::File) -> io::Result<Lock> {
        Ok(Lock::Unsupported)
    }

    pub(crate) fn is_at(_file: &fs_err::File, path: &Path) -> io::Result<bool> {
        Ok(path.exists())
    }

    pub(crate) fn touch(_path: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn sync_directory(_directory: &Path) -> io::Result<()> {
        Ok(())
    }
}
