//! `cargo xtask sweep`: runs the tests that handle secrets, and looks for the secrets in everything that they leave.
//!
//! Every secret of a test contains [`CANARY`]. Searched are what the tests and the programs that they start print (without
//! cargo's capturing), the files that they leave in their temporary directories, and what they write down of all errors,
//! events and debug texts. Not searched, because the secrets stand there by right: sources, compiled tests, and files that
//! a test deletes itself, such as a docker config in a directory of its own.

use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;

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
    let directory = root().join("target/sweep");
    let temporary = directory.join("tmp");
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(|error| error.to_string())?;
    }
    fs::create_dir_all(&temporary).map_err(|error| error.to_string())?;
    let log = directory.join("tests.log");
    run_tests(&log, &temporary)?;
    search(&[directory, root().join("target/tmp")])
}

/// Looks at what a test run has left in the tests' own directory.
pub(crate) fn after_tests() -> Result<()> {
    search(&[root().join("target/tmp")])
}

fn search(places: &[PathBuf]) -> Result<()> {
    let mut found = Found::default();
    for place in places {
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

/// Runs the tests with everything that they print going to a file.
fn run_tests(log: &Path, temporary: &Path) -> Result<()> {
    let mut arguments = vec!["test"];
    for package in PACKAGES {
        arguments.extend(["--package", package]);
    }
    arguments.extend(["--", "--nocapture"]);
    let output = fs::File::create(log).map_err(|error| error.to_string())?;
    let (output, _) = output.into_parts();
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let mut command = cargo(&arguments);
    // Temporary directories that a test leaves behind are then found here.
    command
        .env("TMPDIR", temporary)
        .env("RUST_BACKTRACE", "1")
        .stdout(output)
        .stderr(errors);
    let text = describe(&command);
    println!("$ {text} >{}", log.display());
    let status = command
        .status()
        .map_err(|error| format!("cannot start `{text}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!(
            "`{text}` ended with {status}; see {}",
            log.display()
        ))
    }
}

#[derive(Debug, Default)]
struct Found {
    files: u64,
    bytes: u64,
    places: Vec<String>,
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
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if needles()
                .iter()
                .any(|needle| contains(line, needle.as_bytes()))
            {
                // The line itself is not repeated: this output may be kept.
                self.places
                    .push(format!("{}:{}", path.display(), number + 1));
            }
        }
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

fn contains(line: &[u8], needle: &[u8]) -> bool {
    line.windows(needle.len()).any(|window| window == needle)
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
