//! One run of a program or a pipeline, and what it took.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use fs_err as fs;

use super::text;
use crate::run::Result;

/// What one run took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Seconds from start to end.
    pub(super) wall: f64,
    /// Seconds of CPU, of all processes together.
    pub(super) cpu: f64,
    /// Bytes of memory that the largest process had at most.
    pub(super) memory: f64,
    /// Bytes of the layer.
    pub(super) output: f64,
}

impl Sample {
    /// The median of each value by itself.
    pub(super) fn median(samples: &[Self]) -> Self {
        let of = |value: fn(&Self) -> f64| median(samples.iter().map(value).collect());
        Self {
            wall: of(|sample| sample.wall),
            cpu: of(|sample| sample.cpu),
            memory: of(|sample| sample.memory),
            output: of(|sample| sample.output),
        }
    }
}

/// The middle value, or the mean of the two in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.get(half) {
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => f64::midpoint(values[half - 1], *upper),
        None => 0.0,
    }
}

/// What the names of directories of benches begin with.
const PREFIX: &str = "imgkit-bench-";

/// A directory in memory, which goes when this does.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one with a name that tells what it is for.
    pub(super) fn new(name: &str) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        remove_leftovers(&parent)?;
        let path = parent.join(format!("{PREFIX}{}-{name}", std::process::id()));
        fs::create_dir_all(&path).map_err(text)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where a run puts what it makes.
    pub(super) fn output(&self) -> PathBuf {
        self.0.join("layer")
    }

    /// Removes everything in it.
    pub(super) fn clear(&self) -> Result<()> {
        let again = fs::remove_dir_all(&self.0).and_then(|()| fs::create_dir_all(&self.0));
        again.map_err(text)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in memory when this fails is named by its path.
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("xtask: {error}");
        }
    }
}

/// Removes the directories of benches that were killed: they hold memory.
fn remove_leftovers(parent: &Path) -> Result<()> {
    for entry in fs::read_dir(parent).map_err(text)? {
        let path = entry.map_err(text)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let is_left = |process| {
            Path::new("/proc/self").exists() && !Path::new("/proc").join(process).exists()
        };
        if process.is_some_and(is_left) {
            fs::remove_dir_all(&path).map_err(text)?;
        }
    }
    Ok(())
}

/// Runs a script of bash to its end; `$OUT` in it is where the layer goes, a file or a directory of blobs.
///
/// What happens in `prepare` is not measured.
pub(super) fn run(
    scratch: &Scratch,
    prepare: &str,
    script: &str,
    variables: &[(&str, PathBuf)],
) -> Result<Sample> {
    scratch.clear()?;
    let output = scratch.output();
    let bash = |program: &str, arguments: &[&str], script: &str| {
        let mut command = Command::new(program);
        command.args(arguments).args(["-c", script]);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("OUT", &output).env("SCRATCH", scratch.path());
        command.current_dir(scratch.path());
        command.stdout(Stdio::null());
        finish(command, script)
    };
    if !prepare.is_empty() {
        bash("bash", &["-euo", "pipefail"], prepare)?;
    }
    let report = scratch.path().join("time");
    let report_argument = report.display().to_string();
    // GNU time, because it also counts the children of children that were waited for.
    let arguments = [
        "-f",
        "%U %S %M",
        "-o",
        &report_argument,
        "bash",
        "-euo",
        "pipefail",
    ];
    let start = Instant::now();
    bash("/usr/bin/time", &arguments, script)?;
    let wall = start.elapsed().as_secs_f64();
    let report = fs::read_to_string(report).map_err(text)?;
    let (cpu, memory) = parse_time(&report)?;
    let output = largest_file(&output)? as f64;
    Ok(Sample {
        wall,
        cpu,
        memory,
        output,
    })
}

fn finish(mut command: Command, script: &str) -> Result<()> {
    let output = command
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    eprintln!("`{script}` ended with {}:\n{errors}", output.status);
    Err(reason(&errors).unwrap_or_else(|| output.status.to_string()))
}

/// What of the messages of a program that failed has room in a table: the first line that is not GNU time's.
fn reason(errors: &str) -> Option<String> {
    let mut lines = errors.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with("Command exited"))?;
    Some(line.replace('|', "/"))
}

/// Reads seconds of user and system and the largest process in KiB.
fn parse_time(report: &str) -> Result<(f64, f64)> {
    let line = report.lines().last().unwrap_or_default();
    let values: Vec<f64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    match values[..] {
        [user, system, memory] => Ok((user + system, memory * 1024.0)),
        _ => Err(format!("`time` says {line:?}")),
    }
}

/// The size of a file, or of the largest one in a directory: the layer in a layout.
fn largest_file(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).map_err(text)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut largest = 0;
    for entry in fs::read_dir(path).map_err(text)? {
        let entry = entry.map_err(text)?;
        largest = largest.max(largest_file(&entry.path())?);
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_median(values: &[f64], expected: f64) {
        assert!(
            (median(values.to_vec()) - expected).abs() < 1e-9,
            "{values:?}"
        );
    }

    #[test]
    fn median_is_the_middle_whatever_the_order() {
        check_median(&[3.0, 1.0, 2.0], 2.0);
        check_median(&[4.0, 1.0], 2.5);
        check_median(&[7.0], 7.0);
        check_median(&[], 0.0);
    }

    #[test]
    fn time_is_read_behind_its_complaints() {
        assert_eq!(parse_time("1.50 0.25 2048\n"), Ok((1.75, 2_097_152.0)));
        let complaint = "Command exited with non-zero status 1\n1.00 0.00 1\n";
        assert_eq!(parse_time(complaint), Ok((1.0, 1024.0)));
        assert!(parse_time("").is_err());
    }

    #[test]
    fn only_what_a_killed_bench_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let own = format!("{PREFIX}{}-run", std::process::id());
        let left = format!("{PREFIX}{}-run", u64::MAX);
        for name in [&*own, &*left, "other"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        remove_leftovers(parent.path()).unwrap();
        assert!(parent.path().join(own).exists());
        assert!(!parent.path().join(left).exists());
        assert!(parent.path().join("other").exists());
    }

    #[test]
    fn a_failure_is_told_in_one_line() {
        let errors = "\nimg: a | b\nhint: c\nCommand exited with non-zero status 1\n";
        assert_eq!(reason(errors).as_deref(), Some("img: a / b"));
        assert_eq!(reason("Command exited with non-zero status 1\n"), None);
    }

    #[test]
    fn processes_that_a_script_waits_for_are_counted() {
        if !Path::new("/usr/bin/time").exists() {
            return;
        }
        let scratch = Scratch(tempfile::tempdir().unwrap().keep());
        let busy =
            "(i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done) & wait; printf 12345 >$OUT";
        let sample = run(&scratch, "", busy, &[]).unwrap();
        assert!(sample.cpu > 0.01 && sample.wall > 0.01, "{sample:?}");
        assert!((sample.output - 5.0).abs() < 0.1);
        let error = run(&scratch, "", "echo no >&2; exit 3", &[]).unwrap_err();
        assert_eq!(error, "no");
    }
}
