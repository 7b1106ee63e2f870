//! Output files: written beside their place and moved there when everything is known to be good.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::context::Context;
use crate::leftovers::{self, Watched};
use crate::report::{Explain as _, Failure};

/// An output that nobody sees yet. Dropping it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Pending {
    target: PathBuf,
    file: Destination,
}

#[derive(Debug)]
enum Destination {
    /// A regular file, under a temporary name in the directory of its target.
    Temporary {
        file: NamedTempFile,
        _watched: Watched,
    },
    /// A device or pipe: there is no other name to write to.
    Direct(fs::File),
    Stdout(io::Stdout),
}

impl Pending {
    /// Starts the output at `path`, as written on the command line; `-` is standard output.
    ///
    /// # Errors
    ///
    /// Fails if nothing can be created there.
    pub(crate) fn create(context: &Context, path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            if !context.report.owns_stdout() {
                return Err(
                    Failure::new("output `-`: a worker has no standard output").hint("name a file")
                );
            }
            if !context.report.take_stdout() {
                return Err(Failure::new("two outputs are standard output")
                    .hint("give each output a name of its own"));
            }
            return Ok(Self {
                target: PathBuf::from("standard output"),
                file: Destination::Stdout(io::stdout()),
            });
        }
        let mut target = context.path(path);
        let file = match fs::metadata(&target) {
            Ok(found) if found.is_dir() => {
                let message = format!("cannot write {}: it is a directory", target.display());
                return Err(Failure::new(message).hint("name a file in it"));
            }
            Ok(found) if !found.is_file() => {
                Destination::Direct(fs::OpenOptions::new().write(true).open(&target)?)
            }
            Ok(_) => {
                // A link keeps standing where it is: its file is replaced.
                target = fs::canonicalize(&target)?;
                temporary_beside(&target)?
            }
            Err(_) => temporary_beside(&target)?,
        };
        Ok(Self { target, file })
    }

    /// The file as it is on disk while it is pending, to be read back; `None` for a stream.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.file {
            Destination::Temporary { file, .. } => Some(file.path()),
            Destination::Direct(_) | Destination::Stdout(_) => None,
        }
    }

    fn make_visible(self) -> Result<Option<PathBuf>, Failure> {
        match self.file {
            Destination::Temporary { file, .. } => {
                file.persist(&self.target)
                    .map_err(|error| error.error)
                    .explain(|| format!("cannot write {}", self.target.display()))?;
                Ok(Some(self.target))
            }
            Destination::Direct(_) => Ok(None),
            Destination::Stdout(mut stdout) => {
                stdout.flush().map_err(Failure::of_stdout)?;
                Ok(None)
            }
        }
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let target = &self.target;
        match &mut self.file {
            Destination::Temporary { file, .. } => file.as_file_mut().write(bytes),
            Destination::Direct(file) => file.write(bytes),
            Destination::Stdout(stdout) => stdout.write(bytes),
        }
        .map_err(|error| name_the_target(target, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let target = &self.target;
        match &mut self.file {
            Destination::Temporary { file, .. } => file.as_file_mut().flush(),
            Destination::Direct(file) => file.flush(),
            Destination::Stdout(stdout) => stdout.flush(),
        }
        .map_err(|error| name_the_target(target, &error))
    }
}

fn name_the_target(target: &Path, error: &io::Error) -> io::Error {
    let text = format!("cannot write {}: {error}", target.display());
    io::Error::new(error.kind(), text)
}

fn temporary_beside(target: &Path) -> Result<Destination, Failure> {
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if target.file_name().is_none() {
        return Err(Failure::new(format!(
            "cannot write `{}`: it names no file",
            target.display()
        )));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".img-").suffix(".tmp");
    if let Some(permissions) = crate::sys::new_file_permissions() {
        builder.permissions(permissions);
    }
    let file = builder
        .tempfile_in(directory)
        .map_err(|error| unwritable(target, directory, &error))?;
    Ok(Destination::Temporary {
        _watched: leftovers::watch(file.path()),
        file,
    })
}

fn unwritable(target: &Path, directory: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("cannot write {}", target.display()));
    let failure = failure.because(reason(error));
    match error.kind() {
        io::ErrorKind::NotFound => {
            failure.hint(format!("make the directory {} first", directory.display()))
        }
        _ => failure,
    }
}

/// Where a new file will be, whatever way its path takes there.
fn real_place(target: &Path) -> PathBuf {
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match (fs::canonicalize(directory), target.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => target.to_owned(),
    }
}

/// The reason alone: the temporary name would only confuse.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "its directory does not exist".to_owned(),
        io::ErrorKind::NotADirectory => "its directory is a file".to_owned(),
        io::ErrorKind::PermissionDenied => "its directory cannot be written to".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        _ => error.to_string(),
    }
}

/// All outputs of one command: they appear together, or none does.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    pending: Vec<Pending>,
}

impl Outputs {
    /// Adds a file that is written completely.
    pub(crate) fn add(&mut self, pending: Pending) {
        self.pending.push(pending);
    }

    /// Adds a small document.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written beside its place.
    pub(crate) fn add_bytes(
        &mut self,
        context: &Context,
        path: &Path,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let mut pending = Pending::create(context, path)?;
        pending.write_all(bytes)?;
        self.add(pending);
        Ok(())
    }

    /// Adds a small document if there is a place for it.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written beside its place.
    pub(crate) fn add_bytes_if(
        &mut self,
        context: &Context,
        path: Option<&Path>,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        match path {
            Some(path) => self.add_bytes(context, path, bytes),
            None => Ok(()),
        }
    }

    /// Two outputs at one place would leave the last one alone.
    fn check_distinct(&self) -> Result<(), Failure> {
        let mut seen = HashSet::new();
        let files = self
            .pending
            .iter()
            .filter(|pending| pending.path().is_some());
        match files
            .map(|pending| &pending.target)
            .find(|target| !seen.insert(real_place(target)))
        {
            Some(twice) => Err(
                Failure::new(format!("two outputs are called {}", twice.display()))
                    .hint("give each output a name of its own"),
            ),
            None => Ok(()),
        }
    }

    /// Makes all of them visible, in order; if one fails, those before it are removed again.
    ///
    /// # Errors
    ///
    /// Fails if the request was cancelled or a file cannot be moved to its place.
    pub(crate) fn commit(self, context: &Context) -> Result<(), Failure> {
        context.check_not_cancelled()?;
        self.check_distinct()?;
        let mut visible = Vec::new();
        for pending in self.pending {
            match pending.make_visible() {
                Ok(path) => visible.extend(path),
                Err(failure) => {
                    for path in visible {
                        // The failure that led here is the one to tell.
                        let _ = fs::remove_file(path);
                    }
                    return Err(failure);
                }
            }
        }
        Ok(())
    }
}

/// Writes one small document.
///
/// # Errors
///
/// Fails if it cannot be written; then nothing is left behind.
pub(crate) fn write(context: &Context, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut outputs = Outputs::default();
    outputs.add_bytes(context, path, bytes)?;
    outputs.commit(context)
}
