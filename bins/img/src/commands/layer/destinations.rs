//! Where inputs go in the layer, before they are looked at.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use super::param_file::{Kind, SourceLine};
use crate::cli::value::NameAndFile;
use crate::report::Failure;
use crate::sys;

/// A file, tree or link of the host and its path in the layer, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) source: PathBuf,
}

impl Input {
    /// From `--add` or `--executable`; one `/` in front is dropped.
    pub(super) fn of_flag(flag: &NameAndFile) -> Self {
        let name = sys::bytes_of(&flag.name);
        Self {
            path: name.strip_prefix(b"/").unwrap_or(&name).to_vec(),
            kind: Kind::File,
            source: flag.file.clone(),
        }
    }

    pub(super) fn of_line(line: SourceLine) -> Self {
        Self {
            path: line.path,
            kind: line.kind,
            source: line.source,
        }
    }
}

/// Paths that several inputs want. Each becomes a directory with all of them under their own names.
///
/// Paths are compared as they are written, and once: the new paths may be equal again.
#[derive(Debug, Default)]
pub(super) struct Contested(HashSet<Vec<u8>>);

impl Contested {
    /// Finds them without holding all paths, of which there may be hundreds of thousands.
    ///
    /// `each_path` passes every path to its argument; it is called once, and again if two of them look equal.
    ///
    /// # Errors
    ///
    /// Those of `each_path`.
    pub(super) fn find(
        each_path: impl Fn(&mut dyn FnMut(&[u8])) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let mut hashes = Vec::new();
        each_path(&mut |path| hashes.push(hash(path)))?;
        hashes.sort_unstable();
        let equal = hashes.windows(2).filter(|pair| pair[0] == pair[1]);
        let suspects: HashSet<u64> = equal.map(|pair| pair[0]).collect();
        if suspects.is_empty() {
            return Ok(Self::default());
        }
        let mut users: HashMap<Vec<u8>, usize> = HashMap::new();
        each_path(&mut |path| {
            if suspects.contains(&hash(path)) {
                *users.entry(path.to_vec()).or_default() += 1;
            }
        })?;
        let shared = users.into_iter().filter(|(_, count)| *count > 1);
        Ok(Self(shared.map(|(path, _)| path).collect()))
    }

    /// Gives an input its place below a path that others want too.
    pub(super) fn settle(&self, mut input: Input) -> Input {
        if self.0.contains(&input.path) {
            let source = sys::bytes_of(input.source.as_os_str());
            input.path = [&*input.path, b"/", file_name(&source)].concat();
        }
        input
    }
}

fn hash(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// The last component of a path.
pub(super) fn file_name(path: &[u8]) -> &[u8] {
    let mut components = path.rsplit(|&byte| byte == b'/');
    components
        .find(|component| !component.is_empty())
        .unwrap_or(path)
}

/// Drops empty components and `.`, and resolves `..` by text; what leads out of the path stays.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(path: &str, source: &str) -> Input {
        Input {
            path: path.into(),
            kind: Kind::File,
            source: source.into(),
        }
    }

    #[test]
    fn paths_with_several_users_become_directories() {
        let inputs = [
            input("srv", "x/a"),
            input("etc/b", "y/b"),
            input("srv", "y/b"),
            input("srv", "bin/run"),
        ];
        let contested = Contested::find(|visit| {
            for input in &inputs {
                visit(&input.path);
            }
            Ok(())
        });
        let contested = contested.unwrap();
        let settled = inputs.clone().map(|input| contested.settle(input).path);
        assert_eq!(settled, [&b"srv/a"[..], b"etc/b", b"srv/b", b"srv/run"]);
    }

    #[test]
    fn without_equal_paths_nothing_moves_and_inputs_are_passed_once() {
        let calls = std::cell::Cell::new(0);
        let contested = Contested::find(|visit| {
            calls.set(calls.get() + 1);
            for path in [&b"a"[..], b"b", b"a/b"] {
                visit(path);
            }
            Ok(())
        });
        assert_eq!(contested.unwrap().settle(input("a", "x")), input("a", "x"));
        assert_eq!(calls.get(), 1);
    }

    #[test]
    fn cleaning_is_by_text() {
        let check = |path: &str, expected: &str| {
            assert_eq!(
                String::from_utf8(clean(path.as_bytes())).unwrap(),
                expected,
                "{path}"
            );
        };
        check("a/b", "a/b");
        check("a//b/./c/", "a/b/c");
        check("a/../b", "b");
        check("a/../../b", "../b");
        check("../../b", "../../b");
        check("./", "");
        check("a/..", "");
    }
}
