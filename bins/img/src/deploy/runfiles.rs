//! Files that Bazel puts beside a program that it runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use imgauth::Environment;

/// Where runfiles are: a directory with links, or a manifest that lists them; often both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runfiles {
    directory: Option<PathBuf>,
    manifest: BTreeMap<String, PathBuf>,
}

impl Runfiles {
    /// Finds them as Bazel's libraries do: by variables, or beside the program.
    pub(crate) fn find(environment: &Environment, program: Option<&Path>) -> Self {
        let beside = |end: &str| {
            let mut path = program?.as_os_str().to_owned();
            path.push(end);
            Some(PathBuf::from(path))
        };
        let directory = environment
            .path("RUNFILES_DIR")
            .or_else(|| beside(".runfiles"))
            .filter(|path| path.is_dir());
        let manifest = environment
            .path("RUNFILES_MANIFEST_FILE")
            .or_else(|| beside(".runfiles_manifest"));
        let manifest = manifest.and_then(|path| fs::read_to_string(path).ok());
        Self {
            directory,
            manifest: manifest.as_deref().map(entries).unwrap_or_default(),
        }
    }

    /// Returns the file or directory that stands at `path`, with `/` between its parts.
    pub(crate) fn path(&self, path: &str) -> Option<PathBuf> {
        let in_directory = self.directory.as_ref().map(|it| it.join(path));
        in_directory
            .filter(|it| it.exists())
            .or_else(|| self.listed(path))
    }

    /// Finds what the manifest lists: the path itself, or a directory above it.
    fn listed(&self, path: &str) -> Option<PathBuf> {
        if let Some(found) = self.manifest.get(path) {
            return Some(found.clone());
        }
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/') {
            if let Some(found) = self.manifest.get(parent) {
                return Some(found.join(&path[parent.len() + 1..]));
            }
            above = parent;
        }
        None
    }
}

/// Reads the lines `path target`. A line that starts with a space has its special characters escaped.
fn entries(text: &str) -> BTreeMap<String, PathBuf> {
    text.lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<(String, PathBuf)> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let Some(escaped) = line.strip_prefix(' ') else {
        let (path, target) = line.split_once(' ')?;
        return (!target.is_empty()).then(|| (path.to_owned(), PathBuf::from(target)));
    };
    let (path, target) = escaped.split_once(' ')?;
    let path = unescape(&path.replace("\\s", " "));
    (!target.is_empty()).then(|| (path, PathBuf::from(unescape(target))))
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\b", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_their_escapes() {
        let read = entries("a/b /out/b\nempty \n with\\sspace/c /out/a\\bb c\n\n");
        let expected = [("a/b", "/out/b"), ("with space/c", "/out/a\\b c")];
        let expected = expected.map(|(path, target)| (path.to_owned(), PathBuf::from(target)));
        assert_eq!(read, BTreeMap::from(expected));
    }

    #[test]
    fn what_lies_below_a_listed_directory_is_found() {
        let runfiles = Runfiles {
            directory: None,
            manifest: entries("p0/layout /out/layout\n"),
        };
        let found = |path: &str| runfiles.path(path);
        assert_eq!(found("p0/layout"), Some("/out/layout".into()));
        assert_eq!(
            found("p0/layout/blobs/x"),
            Some("/out/layout/blobs/x".into())
        );
        assert_eq!(found("p0/layouts"), None);
        assert_eq!(found("p0"), None);
    }

    #[test]
    fn the_directory_comes_before_the_manifest() {
        let work = tempfile::tempdir().unwrap();
        let directory = work.path().join("run");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("here"), "").unwrap();
        let manifest = work.path().join("MANIFEST");
        fs::write(&manifest, "here /other\nthere /there\n").unwrap();
        let variables = [
            ("RUNFILES_DIR", &directory),
            ("RUNFILES_MANIFEST_FILE", &manifest),
        ];
        let environment: Environment = variables.into_iter().collect();
        let runfiles = Runfiles::find(&environment, None);
        assert_eq!(runfiles.path("here"), Some(directory.join("here")));
        assert_eq!(runfiles.path("there"), Some("/there".into()));
        assert_eq!(runfiles.path("nowhere"), None);
    }

    #[test]
    fn without_variables_they_are_beside_the_program() {
        let work = tempfile::tempdir().unwrap();
        let directory = work.path().join("push.runfiles");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("here"), "").unwrap();
        let program = work.path().join("push");
        let runfiles = Runfiles::find(&Environment::default(), Some(&program));
        assert_eq!(runfiles.path("here"), Some(directory.join("here")));
    }
}
