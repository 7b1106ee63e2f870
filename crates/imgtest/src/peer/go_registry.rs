//! go-containerregistry's registry, which `crane registry serve` runs too, here with its API for referrers.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Answered, Running, free_address, wait_for_listener};
use crate::oracle::go_registry;

/// A registry in memory that a test starts for itself. It lets anyone in over plain HTTP, and has an API for referrers.
#[derive(Debug)]
pub struct GoRegistry {
    address: String,
    log: PathBuf,
    _process: Running,
}

impl GoRegistry {
    /// Starts one with its log in `directory`; `None` where it cannot be built, which has then been said.
    pub fn start(directory: &Path) -> Option<Self> {
        let program = go_registry()?;
        let address = free_address();
        let log = directory.join("registry.log");
        let process = Running::start(Command::new(program).arg(&address), &log);
        wait_for_listener(&address, &log);
        Some(Self {
            address,
            log,
            _process: process,
        })
    }

    /// Returns host and port, the first part of the names of its images.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Reads the log: what was answered so far. Of what went well it does not tell the status, which is 200 here.
    pub fn answered(&self) -> Vec<Answered> {
        let log = fs_err::read_to_string(&self.log);
        let log = log.expect("because the registry was started with a log");
        log.lines().filter_map(answered).collect()
    }
}

/// Reads a line like `2026/11/29 18:00:00 GET /v2/`, with the status behind it where that is an error.
fn answered(line: &str) -> Option<Answered> {
    let mut words = line.split(' ').skip(2);
    let (method, target) = (words.next()?, words.next()?);
    if !target.starts_with('/') {
        return None;
    }
    Some(Answered {
        method: method.to_owned(),
        target: target.to_owned(),
        status: words.next().map_or(Some(200), |word| word.parse().ok())?,
        bytes: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_an_answer() {
        let check = |line: &str, expected: Option<(&str, &str, u16)>| {
            let expected = expected.map(|(method, target, status)| Answered {
                method: method.to_owned(),
                target: target.to_owned(),
                status,
                bytes: 0,
            });
            assert_eq!(answered(line), expected, "{line}");
        };
        check("2026/11/29 18:00:00 GET /v2/", Some(("GET", "/v2/", 200)));
        check(
            "2026/11/29 18:00:00 HEAD /v2/a/manifests/v1 404 NAME_UNKNOWN Unknown name",
            Some(("HEAD", "/v2/a/manifests/v1", 404)),
        );
        check("2026/11/29 18:00:00 listen tcp: no", None);
    }
}
