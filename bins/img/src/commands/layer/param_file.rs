//! Parameter files of `img layer`: one record a line, its fields apart by NUL bytes.
//!
//! ```text
//! file     = { line , newline } , [ line ]     a carriage return before the newline is dropped
//! source   = path , NUL , ( "f" | "d" | "l" ) , source path
//! symlink  = path , NUL , target
//! pair     = directory , NUL , target directory , NUL , name
//! ```
//!
//! Empty lines are skipped. There are no comments and no escapes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use imglayer::LayerPath;

use crate::context::Context;
use crate::report::{Explain as _, Failure};
use crate::sys;

/// The longest line that is read; more is no path of any host.
const LONGEST_LINE: u64 = 16 << 20;

/// What a source is, as the build declared it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file; a directory on disk counts as a tree.
    File,
    /// A symlink whose text is copied.
    Symlink,
    Tree,
}

/// One line with a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceLine {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) source: PathBuf,
}

/// Lines of a file with their numbers, for messages.
pub(super) struct Lines<'a> {
    flag: &'a str,
    file: &'a Path,
    reader: BufReader<fs::File>,
    number: u64,
}

impl<'a> Lines<'a> {
    /// Opens the file that `flag` names.
    ///
    /// # Errors
    ///
    /// Fails if there is no such file.
    pub(super) fn open(context: &Context, flag: &'a str, file: &'a Path) -> Result<Self, Failure> {
        let reader = fs::File::open(context.path(file)).explain(|| flag)?;
        Ok(Self {
            flag,
            file,
            reader: BufReader::new(reader),
            number: 0,
        })
    }

    /// Opens the file that `flag` names, which is going to be read more than once.
    ///
    /// # Errors
    ///
    /// Fails if there is no such file, or it can be read only once.
    pub(super) fn open_to_read_again(
        context: &Context,
        flag: &'a str,
        file: &'a Path,
    ) -> Result<Self, Failure> {
        let lines = Self::open(context, flag, file)?;
        if !lines.reader.get_ref().metadata()?.is_file() {
            let message = format!("{flag} {}: this is no regular file", file.display());
            return Err(Failure::new(message).hint("write the list into a file first"));
        }
        Ok(lines)
    }

    /// Reads the next line that is not empty into `line`; says whether there is one.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or on a line of more than 16 MiB.
    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, Failure> {
        loop {
            self.number += 1;
            line.clear();
            let read = (&mut self.reader)
                .take(LONGEST_LINE)
                .read_until(b'\n', line)
                .explain(|| format!("{} {}", self.flag, self.file.display()))?;
            if read == 0 {
                return Ok(false);
            }
            if line.last() == Some(&b'\n') {
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
            } else if read as u64 == LONGEST_LINE {
                return Err(self.failure("the line has more than 16 MiB"));
            }
            if !line.is_empty() {
                return Ok(true);
            }
        }
    }

    /// A failure about the line that was read last.
    pub(super) fn failure(&self, what: &str) -> Failure {
        let (flag, file, number) = (self.flag, self.file.display(), self.number);
        Failure::new(format!("{flag} {file}: line {number}: {what}"))
    }

    /// Cuts a line with a source.
    ///
    /// # Errors
    ///
    /// Fails if a field is missing, empty or unknown, or the path is absolute.
    pub(super) fn source(&self, line: &[u8]) -> Result<SourceLine, Failure> {
        let [path, source] = self.fields(line)?;
        if path.is_empty() {
            return Err(self.failure("the path is empty"));
        }
        if path.starts_with(b"/") {
            let path = String::from_utf8_lossy(path);
            return Err(self.failure(&format!("the path {path} starts with `/`")));
        }
        let (kind, source) = match source.split_first() {
            Some((b'f', source)) => (Kind::File, source),
            Some((b'd', source)) => (Kind::Tree, source),
            Some((b'l', source)) => (Kind::Symlink, source),
            _ => return Err(self.failure("the source has no type `f`, `d` or `l` in front")),
        };
        if source.is_empty() {
            return Err(self.failure("the source is empty"));
        }
        let source = sys::path_from_bytes(source)
            .ok_or_else(|| self.failure("the source is no name on this host"))?;
        Ok(SourceLine {
            path: path.to_vec(),
            kind,
            source,
        })
    }

    /// Cuts a line into fields; the last one may hold NUL bytes.
    ///
    /// # Errors
    ///
    /// Fails if there are fewer.
    pub(super) fn fields<'l, const N: usize>(
        &self,
        line: &'l [u8],
    ) -> Result<[&'l [u8]; N], Failure> {
        let mut fields = line.splitn(N, |&byte| byte == 0);
        let mut cut: [&[u8]; N] = [&[]; N];
        for (count, field) in cut.iter_mut().enumerate() {
            *field = fields.next().ok_or_else(|| {
                self.failure(&format!(
                    "{count} of {N} fields (a NUL byte separates them)"
                ))
            })?;
        }
        Ok(cut)
    }

    fn layer_path(&self, path: &[u8]) -> Result<LayerPath, Failure> {
        LayerPath::parse(path).map_err(|error| self.failure("bad path").because(error))
    }
}

/// Reads lines with sources.
///
/// # Errors
///
/// Fails if the file cannot be read or a line is no such line.
pub(super) fn read_sources(
    context: &Context,
    flag: &str,
    file: &Path,
) -> Result<Vec<SourceLine>, Failure> {
    let mut lines = Lines::open(context, flag, file)?;
    let (mut sources, mut line) = (Vec::new(), Vec::new());
    while lines.next(&mut line)? {
        sources.push(lines.source(&line)?);
    }
    Ok(sources)
}

/// Reads lines `path␀target`.
///
/// # Errors
///
/// Fails if the file cannot be read or a line is no such line.
pub(super) fn read_symlinks(
    context: &Context,
    file: &Path,
) -> Result<Vec<(LayerPath, Vec<u8>)>, Failure> {
    let mut lines = Lines::open(context, "--symlinks-from-file", file)?;
    let (mut symlinks, mut line) = (Vec::new(), Vec::new());
    while lines.next(&mut line)? {
        let [path, target] = lines.fields(&line)?;
        symlinks.push((lines.layer_path(path)?, target.to_vec()));
    }
    Ok(symlinks)
}

/// Reads lines `source␀target␀name`: a link at `source/name` to `target/name`.
///
/// # Errors
///
/// Fails if the file cannot be read or a line is no such line.
pub(super) fn read_symlink_pairs(
    context: &Context,
    file: &Path,
) -> Result<Vec<(LayerPath, Vec<u8>)>, Failure> {
    let mut lines = Lines::open(context, "--symlink-pairs-from-file", file)?;
    let (mut symlinks, mut line) = (Vec::new(), Vec::new());
    while lines.next(&mut line)? {
        let [source, target, name] = lines.fields(&line)?;
        if name.is_empty() {
            return Err(lines.failure("the name is empty"));
        }
        let path = [source, b"/", name].concat();
        let path = path.strip_prefix(b"/").unwrap_or(&path);
        symlinks.push((lines.layer_path(path)?, [target, b"/", name].concat()));
    }
    Ok(symlinks)
}

/// Reads one path a line; one `/` in front is dropped.
///
/// # Errors
///
/// Fails if the file cannot be read or a line is no path.
pub(super) fn read_paths(context: &Context, file: &Path) -> Result<Vec<LayerPath>, Failure> {
    let mut lines = Lines::open(context, "--empty-files-from-file", file)?;
    let (mut paths, mut line) = (Vec::new(), Vec::new());
    while lines.next(&mut line)? {
        let path = line.strip_prefix(b"/").unwrap_or(&line);
        paths.push(lines.layer_path(path)?);
    }
    Ok(paths)
}
