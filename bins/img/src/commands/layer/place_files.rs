//! `--place-files`: a file whose first line says how the others find their place.
//!
//! ```text
//! file   = header , { line }
//! header = mode , NUL , destination , NUL , anchor , NUL , skip
//! mode   = "relative" | "package_relative" | "flatten"
//! line   = short path , NUL , ( "f" | "d" | "l" ) , source path
//! ```

use std::path::Path;

use super::destinations::{self, Input};
use super::param_file::{Lines, SourceLine};
use crate::context::Context;
use crate::report::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Only the last component is kept.
    Flatten,
    /// The path below the anchor is kept, but a single file takes the destination's name.
    PackageRelative,
    /// The path below the anchor is kept, also where it leads out of it.
    Relative,
}

#[derive(Debug)]
struct Header {
    mode: Mode,
    destination: Vec<u8>,
    anchor: Vec<u8>,
    skip: Vec<u8>,
}

/// Reads the file and finds the place of each of its lines.
///
/// # Errors
///
/// Fails if the file cannot be read, a line is malformed, or a place would be outside of the
/// layer.
pub(super) fn read(context: &Context, file: &Path) -> Result<Vec<Input>, Failure> {
    let mut lines = Lines::open_to_read_again(context, "--place-files", file)?;
    let mut line = Vec::new();
    if !lines.next(&mut line)? {
        return Ok(Vec::new());
    }
    let header = Header::parse(&lines, &line)?;
    let mut sources = Vec::new();
    while lines.next(&mut line)? {
        let source = lines.source(&line)?;
        if header.skip.is_empty() || source.path != header.skip {
            sources.push(source);
        }
    }
    let is_single = sources.len() == 1;
    let place = |source: SourceLine| {
        let path = header.place(&source.path, is_single).ok_or_else(|| {
            let (file, path) = (file.display(), String::from_utf8_lossy(&source.path));
            Failure::new(format!(
                "--place-files {file}: {path} would be outside of the layer"
            ))
        })?;
        Ok(Input {
            path,
            ..Input::of_line(source)
        })
    };
    sources.into_iter().map(place).collect()
}

impl Header {
    fn parse(lines: &Lines<'_>, line: &[u8]) -> Result<Self, Failure> {
        let [mode, destination, anchor, skip] = lines.fields(line)?;
        let mode = match mode {
            b"flatten" => Mode::Flatten,
            b"package_relative" => Mode::PackageRelative,
            b"relative" => Mode::Relative,
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(lines
                    .failure(&format!("unknown mode `{other}`"))
                    .hint("one of: relative, package_relative, flatten"));
            }
        };
        let destination = destination.strip_prefix(b"/").unwrap_or(destination);
        Ok(Self {
            mode,
            destination: destination.to_vec(),
            anchor: anchor.to_vec(),
            skip: skip.to_vec(),
        })
    }

    /// The path of a source in the layer; `None` if it is outside.
    fn place(&self, short_path: &[u8], is_single: bool) -> Option<Vec<u8>> {
        let name = destinations::file_name(short_path);
        if is_single && self.mode != Mode::Relative {
            let is_directory = self.destination.is_empty() || self.destination.ends_with(b"/");
            if is_directory {
                return inside(&[&self.destination, name].concat());
            }
            return Some(self.destination.clone());
        }
        let below = match self.mode {
            Mode::Flatten => name.to_vec(),
            Mode::PackageRelative | Mode::Relative => relative(short_path, &self.anchor),
        };
        inside(&[&*self.destination, b"/", &below].concat())
    }
}

fn inside(path: &[u8]) -> Option<Vec<u8>> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = destinations::clean(path);
    let leaves = path == b".." || path.starts_with(b"../");
    (!leaves).then_some(path)
}

/// The way from a directory to a path, by text alone.
fn relative(path: &[u8], directory: &[u8]) -> Vec<u8> {
    let components = |path: &[u8]| -> Vec<Vec<u8>> {
        let path = destinations::clean(path);
        let parts = path.split(|&byte| byte == b'/').map(<[u8]>::to_vec);
        parts
            .filter(|part| !part.is_empty() && part != b".")
            .collect()
    };
    let (path, directory) = (components(path), components(directory));
    let shared = path
        .iter()
        .zip(&directory)
        .take_while(|(a, b)| a == b)
        .count();
    let up = vec![b"..".to_vec(); directory.len() - shared];
    let way: Vec<Vec<u8>> = up
        .into_iter()
        .chain(path[shared..].iter().cloned())
        .collect();
    way.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: [&str; 3], short_path: &str, is_single: bool, expected: Option<&str>) {
        let [mode, destination, anchor] = header;
        let mode = match mode {
            "flatten" => Mode::Flatten,
            "package_relative" => Mode::PackageRelative,
            _ => Mode::Relative,
        };
        let header = Header {
            mode,
            destination: destination.into(),
            anchor: anchor.into(),
            skip: Vec::new(),
        };
        let place = header.place(short_path.as_bytes(), is_single);
        let place = place.map(|path| String::from_utf8(path).unwrap());
        assert_eq!(place.as_deref(), expected);
    }

    #[test]
    fn single_file_takes_the_name_of_the_destination() {
        let file = "_main/web/site/a.css";
        check(
            ["package_relative", "srv/", "_main/web"],
            file,
            true,
            Some("srv/a.css"),
        );
        check(
            ["package_relative", "srv", "_main/web"],
            file,
            true,
            Some("srv"),
        );
        check(["flatten", "srv", "_main/web"], file, true, Some("srv"));
        check(
            ["flatten", "srv/", "_main/web"],
            file,
            true,
            Some("srv/a.css"),
        );
        check(["flatten", "", "_main/web"], file, true, Some("a.css"));
        check(
            ["relative", "srv", "_main/web"],
            file,
            true,
            Some("srv/site/a.css"),
        );
    }

    #[test]
    fn several_files_keep_their_way_from_the_anchor() {
        let file = "_main/web/site/a.css";
        check(
            ["package_relative", "srv", "_main/web"],
            file,
            false,
            Some("srv/site/a.css"),
        );
        check(
            ["package_relative", "srv/", "_main/web"],
            file,
            false,
            Some("srv/site/a.css"),
        );
        check(
            ["package_relative", "", "_main/web"],
            file,
            false,
            Some("site/a.css"),
        );
        check(
            ["package_relative", "srv", "_main"],
            file,
            false,
            Some("srv/web/site/a.css"),
        );
        check(
            ["flatten", "srv", "_main/web"],
            file,
            false,
            Some("srv/a.css"),
        );
    }

    #[test]
    fn way_may_leave_the_anchor_but_not_the_layer() {
        check(
            ["relative", "usr/bin", "_main/cmd"],
            "_main/conf/x",
            false,
            Some("usr/conf/x"),
        );
        check(
            ["relative", "usr/bin", "_main/cmd"],
            "other+/x",
            false,
            Some("other+/x"),
        );
        check(["relative", "", "_main/cmd"], "_main/conf/x", false, None);
        check(
            ["package_relative", "srv", "_main/a/b"],
            "ext+/x",
            false,
            None,
        );
    }
}
