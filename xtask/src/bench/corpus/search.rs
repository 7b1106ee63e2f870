//! Files of this machine that a corpus may be made of.

use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;

use crate::run::Result;

/// A file that was found.
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// What it is called in the corpus.
    pub(super) name: String,
    pub(super) size: u64,
}

/// Returns the files below the places that most machines have, from each place in turn, in an order that their names
/// alone decide and that mixes directories.
pub(super) fn files() -> Result<Vec<Found>> {
    let mut places = Vec::new();
    for (number, root) in roots().iter().enumerate() {
        let mut found = Vec::new();
        visit(root, &format!("{number}"), &mut found)?;
        found.sort_by_cached_key(|file| (mixed(&file.name), file.name.clone()));
        places.push(found.into_iter());
    }
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(places.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return Ok(all);
        }
    }
}

fn roots() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = ["/usr/bin", "/usr/lib", "/usr/share", "/usr/include"]
        .iter()
        .map(PathBuf::from)
        .collect();
    roots.extend(answer("rustc", &["--print", "sysroot"]));
    roots.extend(answer("go", &["env", "GOROOT"]));
    roots.extend(
        answer("sh", &["-c", "echo ${CARGO_HOME:-$HOME/.cargo}"])
            .map(|home| home.join("registry/src")),
    );
    roots.retain(|root| root.is_dir());
    roots
}

fn answer(program: &str, arguments: &[&str]) -> Option<PathBuf> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    let line = line.trim();
    (output.status.success() && !line.is_empty()).then(|| line.into())
}

/// Collects regular files; links are not followed, and what cannot be read is not there.
fn visit(directory: &Path, name: &str, found: &mut Vec<Found>) -> Result<()> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let Ok(metadata) = entry.path().symlink_metadata() else {
            continue;
        };
        // Lines of a list hold the names.
        let Ok(own_name) = entry.file_name().into_string() else {
            continue;
        };
        if own_name.contains(['\n', '\r']) {
            continue;
        }
        let name = format!("{name}/{own_name}");
        if metadata.is_dir() {
            visit(&entry.path(), &name, found)?;
        } else if metadata.is_file() {
            found.push(Found {
                path: entry.path(),
                name,
                size: metadata.len(),
            });
        }
    }
    Ok(())
}

/// A number of a name (FNV-1a), for an order that is no alphabet.
fn mixed(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::create_dir_all(path.join("sub")).unwrap();
        fs::write(path.join("sub/file"), "12345").unwrap();
        std::os::unix::fs::symlink("sub/file", path.join("link")).unwrap();
        let mut found = Vec::new();
        visit(path, "0", &mut found).unwrap();
        let seen: Vec<_> = found.iter().map(|file| (&*file.name, file.size)).collect();
        assert_eq!(seen, [("0/sub/file", 5)]);
    }
}
