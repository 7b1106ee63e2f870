//! What other programs make of an archive.
//!
//! A test asks for a reader by name and compares its [`View`] with ours. Where the program is not
//! installed the test says so on standard error, adds a line to the file that the environment
//! variable `IMGKIT_SKIPPED` names (the test runner counts them), and goes on; where `CI` is set, a
//! missing program is a failure.

pub mod estargz;
mod installed;
mod listing;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use imgcore::Digest;
use imgtar::EntryKind;

pub use installed::{conformance, crane, go_registry, moto_server, oras};

/// One entry, as far as every reader tells.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Seen {
    /// The path without a trailing slash.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of content.
    pub size: u64,
    /// The digest of a file's content.
    pub digest: Option<Digest>,
    /// The target of a link.
    pub link: Vec<u8>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            kind,
            size,
            digest,
            link,
        } = self;
        let (path, link) = (path.escape_ascii(), link.escape_ascii());
        write!(
            f,
            "\n{kind} \"{path}\" -> \"{link}\", {size} bytes {digest:?}"
        )
    }
}

impl Seen {
    /// Reduces what our reader tells to what every reader tells.
    pub fn of(entry: &crate::tar::Listed) -> Self {
        let header = &entry.header;
        let is_file = header.kind == EntryKind::File;
        Self {
            path: listing::without_slash(header.path.clone()),
            kind: header.kind,
            size: header.size,
            digest: is_file.then_some(entry.digest),
            link: header.link.clone(),
        }
    }
}

/// What a reader makes of an archive: its entries, or its complaint.
pub type View = Result<Vec<Seen>, String>;

/// A reader of tar archives that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests go over all of them")]
pub enum Oracle {
    /// `bsdtar`, libarchive's program.
    Bsdtar,
    /// `tar`, GNU's.
    GnuTar,
    /// `archive/tar` of Go's standard library.
    Go,
    /// `tarfile` of Python's standard library.
    Python,
    /// The crate `tar`.
    TarCrate,
}

impl Oracle {
    /// Every reader.
    pub const ALL: [Self; 5] = [
        Self::Bsdtar,
        Self::GnuTar,
        Self::Go,
        Self::Python,
        Self::TarCrate,
    ];

    /// Reads an archive; `None` where the program is missing, which has then been said.
    ///
    /// # Panics
    ///
    /// When the program is missing and the environment has `CI`, or when it cannot be run.
    pub fn list(self, archive: &[u8]) -> Option<View> {
        match self {
            Self::Bsdtar => listing::bsdtar(archive),
            Self::GnuTar => listing::gnu_tar(archive),
            Self::Go => go_program().map(|program| listing::lines(Command::new(program), archive)),
            Self::Python => {
                let mut command = Command::new(tool("python3")?);
                command.args(["-c", include_str!("../../oracles/list.py")]);
                Some(listing::lines(command, archive))
            }
            Self::TarCrate => Some(listing::tar_crate(archive)),
        }
    }
}

/// Finds a program on the path; says so when it is missing.
///
/// # Panics
///
/// When it is missing and the environment has `CI`.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = environment("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// The minor version of Go 1 whose library our expectations were compared with.
const GO_MINOR: u32 = 26;

/// Finds Go, if it is as new as the one that our expectations were compared with; says so when not.
///
/// # Panics
///
/// When it is missing or older and the environment has `CI`.
pub fn go() -> Option<PathBuf> {
    let go = tool("go")?;
    let output = Command::new(&go).args(["env", "GOVERSION"]).output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let minor = version
        .strip_prefix("go1.")
        .and_then(|rest| rest.split('.').next()?.parse().ok());
    if minor.is_none_or(|minor: u32| minor < GO_MINOR) {
        skip(&format!("{version} is older than go1.{GO_MINOR}"));
        return None;
    }
    Some(go)
}

/// Says that a test or a part of it is skipped, and why, where it can be counted.
///
/// # Panics
///
/// When the environment has `CI`.
pub fn skip(reason: &str) {
    assert!(
        environment("CI").is_none(),
        "skipping is not allowed here: {reason}"
    );
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test}: {reason}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    let Some(list) = environment("IMGKIT_SKIPPED") else {
        return;
    };
    let file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(PathBuf::from(list));
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("{error}"));
}

/// Returns whether slow tests are wanted too: `cargo xtask test --all`.
pub(crate) fn wants_all() -> bool {
    environment("IMGKIT_TEST_ALL").is_some()
}

/// The one place where tests read the environment.
fn environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Builds the program that lists archives, once for this process.
fn go_program() -> Option<&'static PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM
        .get_or_init(|| go().map(|go| build_go(&go, "go")))
        .as_ref()
}

/// Builds the Go program whose source is in this folder of `oracles/`.
fn build_go(go: &Path, folder: &str) -> PathBuf {
    try_build_go(go, folder).unwrap_or_else(|error| panic!("go build: {error}"))
}

/// The same where a module may be out of reach.
fn try_build_go(go: &Path, folder: &str) -> Result<PathBuf, String> {
    let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles");
    // Test programs run from target/<profile>/deps.
    let own = std::env::current_exe().expect("because a running test has a program");
    let directory = own
        .parent()
        .expect("because a program stands in a directory");
    // Each process builds its own and renames it, so that parallel tests never see half of one.
    let program = directory.join(format!("imgtest-oracle-{folder}"));
    let fresh = directory.join(format!("imgtest-oracle-{folder}.{}", std::process::id()));
    let built = Command::new(go)
        .args(["build", "-trimpath", "-o"])
        .arg(&fresh)
        .arg(".")
        .current_dir(oracles.join(folder))
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "local")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", go.display()));
    if !built.status.success() {
        return Err(String::from_utf8_lossy(&built.stderr).into_owned());
    }
    fs_err::rename(&fresh, &program).map_err(|error| error.to_string())?;
    Ok(program)
}

/// Runs a command on bytes; its output, or what it says on standard error when it fails.
fn run(mut command: Command, input: &[u8]) -> Result<Vec<u8>, String> {
    let output = run_for_output(&mut command, input);
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn run_for_output(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("because it is piped");
    let output = std::thread::scope(|scope| {
        // A program that stops reading early is no failure of ours.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output()
    });
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
