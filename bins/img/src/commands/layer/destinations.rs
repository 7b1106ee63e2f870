//! Where inputs go in the layer, before they are looked at.

use std::path::PathBuf;

use super::param_file::{Kind, SourceLine};
use crate::cli::value::NameAndFile;
use crate::sys;

/// A file, tree or link of the host and its path in the layer, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) source: PathBuf,
}

/// An input that may have runfiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Executable(pub(super) Input);

impl Input {
    /// From `--add`; one `/` in front is dropped.
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

impl Executable {
    /// From `--executable`; one `/` in front is dropped.
    pub(super) fn of_flag(flag: &NameAndFile) -> Self {
        Self(Input::of_flag(flag))
    }
}

/// Makes directories of paths that several inputs want: each goes into it under its own name.
///
/// Paths are compared as they are written, and once: the new paths may be equal again.
pub(super) fn disambiguate(inputs: &mut [Input], executables: &mut [Executable]) {
    let executables = executables.iter_mut().map(|executable| &mut executable.0);
    let mut all: Vec<&mut Input> = inputs.iter_mut().chain(executables).collect();
    // Sorted instead of counted in a map of paths: there may be hundreds of thousands of them.
    all.sort_by(|left, right| left.path.cmp(&right.path));
    for users in all.chunk_by_mut(|left, right| left.path == right.path) {
        if users.len() == 1 {
            continue;
        }
        for input in users {
            let source = sys::bytes_of(input.source.as_os_str());
            input.path = [&*input.path, b"/", file_name(&source)].concat();
        }
    }
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
        let mut inputs = [
            input("srv", "x/a"),
            input("etc/b", "y/b"),
            input("srv", "y/b"),
        ];
        let mut executables = [Executable(input("srv", "bin/run"))];
        disambiguate(&mut inputs, &mut executables);
        assert_eq!(
            inputs,
            [
                input("srv/a", "x/a"),
                input("etc/b", "y/b"),
                input("srv/b", "y/b")
            ]
        );
        assert_eq!(executables, [Executable(input("srv/run", "bin/run"))]);
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
