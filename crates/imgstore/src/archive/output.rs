//! A directory that is filled, or left as it was.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use imgcore::Descriptor;

use crate::directory::{Durability, create_claimed, move_into_place, place};
use crate::transfer::transfer;
use crate::{Error, ErrorKind, Placement, Result};

/// A directory that was absent or empty. Until [`keep`](Self::keep), dropping it removes what was put into it.
pub(super) struct FreshDirectory {
    root: PathBuf,
    made: bool,
    keep: bool,
}

impl FreshDirectory {
    pub(super) fn claim(root: &Path) -> Result<Self> {
        let failed = |error| Error::from_io(format!("writing {}", root.display()), error);
        let made = match fs_err::read_dir(root) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    let text = format!("the output directory {} is not empty", root.display());
                    return Err(Error::new(ErrorKind::InvalidInput, text));
                }
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs_err::create_dir_all(root).map_err(failed)?;
                true
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            root: root.to_owned(),
            made,
            keep: false,
        })
    }

    pub(super) fn make_directory(&self, path: &str) -> Result<()> {
        fs_err::create_dir_all(self.root.join(path)).map_err(|error| self.failed(path, error))
    }

    pub(super) fn write(&self, path: &str, mut content: impl Read) -> Result<()> {
        let written = create_claimed(&self.root).and_then(|mut file| {
            transfer(&mut content, &mut file)?;
            move_into_place(file, &self.root.join(path), Durability::Program)
        });
        written.map_err(|error| self.failed(path, error))
    }

    pub(super) fn place(
        &self,
        path: &str,
        descriptor: &Descriptor,
        file: &Path,
        placement: Placement,
    ) -> Result<()> {
        let target = place::Target {
            path: &self.root.join(path),
            staging: &self.root,
            durability: Durability::Program,
        };
        place::place(descriptor, file, target, placement).map(|_| ())
    }

    pub(super) fn keep(mut self) {
        self.keep = true;
    }

    fn failed(&self, path: &str, error: io::Error) -> Error {
        Error::from_io(format!("writing {path} of {}", self.root.display()), error)
    }
}

impl Drop for FreshDirectory {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Only what this process put there is removed: the directory was empty when it was claimed.
        if self.made {
            let _ = fs_err::remove_dir_all(&self.root);
        } else if let Ok(entries) = fs_err::read_dir(&self.root) {
            for entry in entries.flatten() {
                let path = entry.path();
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let _ = if is_directory {
                    fs_err::remove_dir_all(path)
                } else {
                    fs_err::remove_file(path)
                };
            }
        }
    }
}
