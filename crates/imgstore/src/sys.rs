//! What depends on the operating system, with a portable way for the others.

use std::fs::File;
use std::io;
use std::path::Path;

pub(crate) use imp::*;

/// What became of the wish to mark a file as in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is marked until it is closed.
    Made,
    /// Somebody else has marked it.
    Taken,
    /// There are no locks here.
    Unsupported,
}

#[cfg(unix)]
mod imp {
    use std::os::unix::fs::PermissionsExt;

    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;

    use super::{Claim, File, Path, io};

    /// Gives new files the mode that ordinary files get, which the umask then narrows.
    pub(crate) fn ordinary_mode(builder: &mut tempfile::Builder<'_, '_>) {
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }

    /// Marks a file as in use until it is closed, unless somebody else has.
    pub(crate) fn try_claim(file: &File) -> io::Result<Claim> {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Claim::Made),
            Err(Errno::WOULDBLOCK) => Ok(Claim::Taken),
            Err(error) if is_unsupported(error) => Ok(Claim::Unsupported),
            Err(error) => Err(error.into()),
        }
    }

    /// Holds the lock of a directory until it is dropped.
    #[derive(Debug)]
    pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "closing it unlocks")] File);

    /// Waits until no other process holds the lock of a directory. The directory itself is locked: no lock file stays
    /// behind in what may be a build's output. On file systems without locks (some network ones) nobody waits.
    pub(crate) fn lock_directory(directory: &Path) -> io::Result<DirectoryLock> {
        let file = fs_err::File::open(directory)?.into_parts().0;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(DirectoryLock(file)),
                Err(Errno::INTR) => {}
                Err(error) if is_unsupported(error) => return Ok(DirectoryLock(file)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// NFS answers `EBADF` because it locks a file that is open for reading only by other means.
    fn is_unsupported(error: Errno) -> bool {
        matches!(
            error,
            Errno::BADF | Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP
        )
    }

    /// Makes a rename inside of `directory` survive a crash of the machine.
    pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
        fs_err::File::open(directory)?.sync_all()
    }

    /// Makes a symbolic link.
    pub(crate) fn symlink_file(target: &Path, link: &Path) -> io::Result<()> {
        fs_err::os::unix::fs::symlink(target, link)
    }

    /// Makes `to` share the blocks of `from`, where the file system can.
    #[cfg(target_os = "linux")]
    pub(crate) fn clone_file(from: &File, to: &File) -> io::Result<()> {
        rustix::fs::ioctl_ficlone(to, from).map_err(io::Error::from)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn clone_file(_from: &File, _to: &File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(not(unix))]
mod imp {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Claim, File, Path, io};

    pub(crate) fn ordinary_mode(_builder: &mut tempfile::Builder<'_, '_>) {}

    /// Without locks nothing can be told to be left over.
    pub(crate) fn try_claim(_file: &File) -> io::Result<Claim> {
        Ok(Claim::Unsupported)
    }

    /// Removes its lock file when it is dropped.
    #[derive(Debug)]
    pub(crate) struct DirectoryLock(PathBuf);

    impl Drop for DirectoryLock {
        fn drop(&mut self) {
            let _ = fs_err::remove_file(&self.0);
        }
    }

    /// Waits for a lock file of its own. One that a killed process left must be removed by hand, as the error says.
    pub(crate) fn lock_directory(directory: &Path) -> io::Result<DirectoryLock> {
        const TRIES: u32 = 600;
        let path = directory.join(".imgkit-lock");
        for _ in 0..TRIES {
            match fs_err::File::create_new(&path) {
                Ok(_) => return Ok(DirectoryLock(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(error),
            }
        }
        let text = format!(
            "{} is held by another process; remove it if there is none",
            path.display()
        );
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }

    pub(crate) fn sync_directory(_directory: &Path) -> io::Result<()> {
        Ok(())
    }

    #[cfg(windows)]
    pub(crate) fn symlink_file(target: &Path, link: &Path) -> io::Result<()> {
        fs_err::os::windows::fs::symlink_file(target, link)
    }

    #[cfg(not(windows))]
    pub(crate) fn symlink_file(_target: &Path, _link: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn clone_file(_from: &File, _to: &File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
