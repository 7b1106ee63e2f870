//! Looking for the secrets of tests in everything that a test run leaves: the last step of `cargo xtask test`, of all its
//! tests. `cargo xtask sweep` runs those that handle secrets, and does the same.
//!
//! Every secret of a test contains [`CANARY`]. Searched are what the tests and the programs that they start print (of tests
//! that pass, too), the files that they leave in their temporary directories, and what they write down of all errors,
//! events and debug texts. Not searched, because the secrets stand there by right: sources, compiled tests, and files that
//! a test deletes itself, such as a docker config in a directory of its own.

use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;
use memchr::memmem::Finder;

use crate::run::{Result, cargo, describe, root};

/// What every secret of a test contains. In two parts, so that this program has none.
const CANARY: [&str; 2] = ["imgkit-", "canary-"];

/// The crates whose tests have secrets.
const PACKAGES: [&str; 8] = [
    "imgauth",
    "imgpull",
    "imgpush",
    "imgregistry",
    "imgserve",
    "imgtest",
    "img",
    "img-registry",
];

pub(crate) fn run() -> Result<()> {
    let evidence = Evidence::start()?;
    run_tests(&evidence)?;
    evidence.search()
}

/// What a test run leaves: what it prints, and its temporary files.
pub(crate) struct Evidence {
    directory: PathBuf,
}

impl Evidence {
    /// Forgets what earlier runs left.
    pub(crate) fn start() -> Result<Self> {
        Self::start_in(root().join("target/sweep"))
    }

    pub(crate) fn start_in(directory: PathBuf) -> Result<Self> {
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(|error| error.to_string())?;
        }
        let evidence = Self { directory };
        fs::create_dir_all(evidence.temporary()).map_err(|error| error.to_string())?;
        Ok(evidence)
    }

    /// The directory for temporary files: those that a test leaves behind are found here.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.directory.join("tmp")
    }

    /// Starts a file for what a command prints.
    pub(crate) fn log(&self, name: &str) -> Result<fs::File> {
        fs::File::create(self.directory.join(name)).map_err(|error| error.to_string())
    }

    /// Looks for secrets in everything that was left, the tests' own directory included.
    pub(crate) fn search(&self) -> Result<()> {
        let mut found = Found::default();
        for place in [&self.directory, &root().join("target/tmp")] {
            found.search(place)?;
        }
        println!("searched {} files with {} bytes", found.files, found.bytes);
        if found.bytes == 0 {
            return Err("the tests left nothing to search, so this shows nothing".to_owned());
        }
        for place in &found.places {
            println!("a secret of a test: {place}");
        }
        match found.places.len() {
            0 => Ok(()),
            count => Err(format!("{count} places have a secret of a test")),
        }
    }
}

/// Runs the tests with everything that they print going to a file.
fn run_tests(evidence: &Evidence) -> Result<()> {
    let mut arguments = vec!["test"];
    for package in PACKAGES {
        arguments.extend(["--package", package]);
    }
    arguments.extend(["--", "--nocapture"]);
    let log = evidence.log("tests.log")?;
    let path = log.path().to_owned();
    let (output, _) = log.into_parts();
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let mut command = cargo(&arguments);
    command
        .env("TMPDIR", evidence.temporary())
        .env("RUST_BACKTRACE", "1")
        .stdout(output)
        .stderr(errors);
    let text = describe(&command);
    println!("$ {text} >{}", path.display());
    let status = command
        .status()
        .map_err(|error| format!("cannot start `{text}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!(
            "`{text}` ended with {status}; see {}",
            path.display()
        ))
    }
}

#[derive(Debug)]
struct Found {
    needles: Vec<Finder<'static>>,
    files: u64,
    bytes: u64,
    places: Vec<String>,
}

impl Default for Found {
    fn default() -> Self {
        let needles = needles();
        let needles = needles.iter().map(|it| Finder::new(it).into_owned());
        Self {
            needles: needles.collect(),
            files: 0,
            bytes: 0,
            places: Vec::new(),
        }
    }
}

impl Found {
    /// Searches a file, or a directory with all below it. Links are not followed.
    fn search(&mut self, place: &Path) -> Result<()> {
        let mut left: Vec<PathBuf> = vec![place.to_owned()];
        while let Some(path) = left.pop() {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                let entries = fs::read_dir(&path).map_err(|error| error.to_string())?;
                for entry in entries {
                    left.push(entry.map_err(|error| error.to_string())?.path());
                }
            } else if metadata.is_file() {
                self.search_file(&path)?;
            }
        }
        Ok(())
    }

    fn search_file(&mut self, path: &Path) -> Result<()> {
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(|error| error.to_string())?;
        file.take(1 << 30)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        self.files += 1;
        self.bytes += bytes.len() as u64;
        let mut lines: Vec<usize> = Vec::new();
        for needle in &self.needles {
            let hits = needle.find_iter(&bytes);
            let line_of = |at: usize| bytes[..at].split(|byte| *byte == b'\n').count();
            lines.extend(hits.map(line_of));
        }
        lines.sort_unstable();
        lines.dedup();
        // The line itself is not repeated: this output may be kept.
        let places = lines
            .iter()
            .map(|line| format!("{}:{line}", path.display()));
        self.places.extend(places);
        Ok(())
    }
}

/// The canary as it is, and as it looks inside of base64, whatever stands before it.
fn needles() -> Vec<String> {
    let canary = CANARY.concat();
    let mut needles = vec![canary.clone()];
    for before in 0..3 {
        let text: Vec<u8> = std::iter::repeat_n(b' ', before)
            .chain(canary.bytes())
            .collect();
        // Groups of three bytes that are all of the canary look the same wherever they stand.
        let start = before.div_ceil(3) * 3;
        let end = text.len() / 3 * 3;
        needles.push(base64(&text[start..end]));
    }
    needles
}

/// Encodes whole groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks_exact(3) {
        let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(LETTERS[(bits >> shift & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_secret_is_found_in_every_form() {
        let directory = tempfile::tempdir().unwrap();
        let canary = CANARY.concat();
        // `u:imgkit-canary-x`, `ab:…` and `abc:…` as Basic has them.
        let encoded = [
            "dTppbWdraXQtY2FuYXJ5LXg=",
            "YWI6aW1na2l0LWNhbmFyeS14",
            "YWJjOmltZ2tpdC1jYW5hcnkteA==",
        ];
        let lines = [
            format!("nothing\npassword {canary}1\n"),
            format!("Authorization: Basic {}\n", encoded[0]),
            format!("{}\n", encoded[1]),
            format!("x{}\n", encoded[2]),
            "imgkit canary".to_owned(),
        ];
        fs::create_dir(directory.path().join("below")).unwrap();
        for (number, text) in lines.iter().enumerate() {
            fs::write(directory.path().join(format!("below/{number}.log")), text).unwrap();
        }
        let mut found = Found::default();
        found.search(directory.path()).unwrap();
        let mut places: Vec<_> = found
            .places
            .iter()
            .map(|place| place.rsplit('/').next().unwrap().to_owned())
            .collect();
        places.sort();
        assert_eq!(places, ["0.log:2", "1.log:1", "2.log:1", "3.log:1"]);
        assert_eq!(found.files, 5);
    }
}
