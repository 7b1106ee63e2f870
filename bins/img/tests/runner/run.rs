//! Runs one case: its sections in order, in a directory of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use fs_err as fs;
use tempfile::TempDir;

use crate::case::{self, Section};
use crate::worker::Worker;
use crate::{check, inputs, layer, text};

/// The state between the sections of a case.
pub(crate) struct State<'a> {
    directory: TempDir,
    /// Runs commands instead of new processes, where it can.
    worker: Option<&'a mut Worker>,
    /// What the last command did, and what of it was not looked at yet.
    last: Option<Finished>,
    /// The files that were there before the last command.
    pub(crate) before: BTreeSet<String>,
}

struct Finished {
    line: String,
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Whether `stderr` holds both: a worker's answer has one text.
    merged: bool,
    checked: Checked,
}

/// What a case has looked at.
#[derive(Default)]
struct Checked {
    code: bool,
    stdout: bool,
    stderr: bool,
}

impl Finished {
    fn new(line: String, code: Option<i32>, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self {
            line,
            code,
            stdout,
            stderr,
            merged: false,
            checked: Checked::default(),
        }
    }

    fn streams(&self) -> String {
        let (stdout, stderr) = (text::printable(&self.stdout), text::printable(&self.stderr));
        format!("{}\n-- stdout\n{stdout}\n-- stderr\n{stderr}", self.line)
    }
}

/// What a check found: new text for its body, which a blessing writes down.
pub(crate) enum Outcome {
    Holds,
    Differs { actual: String },
}

/// Runs the case in a file; an error is a text for a person.
pub(crate) fn case(path: &Path, worker: Option<&mut Worker>, bless: bool) -> Result<(), String> {
    let source = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let sections = case::parse(&source)?;
    let mut state = State {
        directory: tempfile::tempdir().map_err(|error| error.to_string())?,
        worker,
        last: None,
        before: BTreeSet::new(),
    };
    let mut blessed = Vec::new();
    for section in &sections {
        let place = format!(
            "[{}] at line {}",
            section.words.join(" "),
            section.place.start
        );
        let outcome = state.section(section).map_err(|error| {
            // A command that failed unasked explains whatever comes after it.
            let failed = state.unasked_failure().unwrap_or_default();
            format!("{place}: {error}\n{failed}")
        })?;
        match outcome {
            Outcome::Holds => {}
            Outcome::Differs { actual } if bless => blessed.push((section, actual)),
            Outcome::Differs { actual } => {
                let expected = section.lines.join("\n");
                return Err(format!(
                    "{place}:\n{}",
                    text::difference(&expected, &actual)
                ));
            }
        }
    }
    state.close_run()?;
    if !blessed.is_empty() {
        rewrite(path, &source, &blessed)?;
    }
    Ok(())
}

fn rewrite(path: &Path, source: &str, blessed: &[(&Section, String)]) -> Result<(), String> {
    let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
    for (section, actual) in blessed.iter().rev() {
        let escaped = |line: &str| {
            if line.starts_with('[') {
                format!("\\{line}")
            } else {
                line.to_owned()
            }
        };
        lines.splice(section.place.clone(), actual.lines().map(escaped));
    }
    fs::write(path, lines.join("\n") + "\n").map_err(|error| error.to_string())
}

impl State<'_> {
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn section(&mut self, section: &Section) -> Result<Outcome, String> {
        match section.kind() {
            "run" => self.run(section).map(|()| Outcome::Holds),
            "exit" => self.exit(section),
            "stdout" => self.output(section, false),
            "stderr" => self.output(section, true),
            kind if inputs::KINDS.contains(&kind) => {
                inputs::create(section, self.directory.path()).map(|()| Outcome::Holds)
            }
            _ => check::section(section, self),
        }
    }

    fn unasked_failure(&self) -> Option<String> {
        let run = self.last.as_ref()?;
        (!run.checked.code && run.code != Some(0)).then(|| run.streams())
    }

    fn run(&mut self, section: &Section) -> Result<(), String> {
        self.close_run()?;
        let line = section.lines.join(" ");
        let here = self.directory.path();
        let here = here.to_str().ok_or("temporary directory is not UTF-8")?;
        let words: Vec<String> = text::words(&line)?
            .iter()
            .map(|word| word.replace("${dir}", here))
            .collect();
        let Some(("img", arguments)) = words.split_first().map(|(first, rest)| (&**first, rest))
        else {
            return Err("a command line starts with `img`".to_owned());
        };
        self.before = self.files()?;
        let run = match &mut self.worker {
            Some(worker) if section.is_plain() && worker.takes(arguments) => {
                let (code, output) = worker.request(arguments, self.directory.path())?;
                let mut run = Finished::new(line, Some(code), Vec::new(), output.into_bytes());
                run.merged = true;
                run
            }
            _ => self.process(section, line, arguments)?,
        };
        if run.code == Some(0) && arguments.first().is_some_and(|command| command == "layer") {
            layer::check_output(self, arguments)?;
        }
        self.last = Some(run);
        Ok(())
    }

    fn process(
        &self,
        section: &Section,
        line: String,
        arguments: &[String],
    ) -> Result<Finished, String> {
        let stdin = match section.option("stdin") {
            Some(file) => {
                let file = fs::File::open(self.path(file)).map_err(|error| error.to_string())?;
                Stdio::from(file.into_file())
            }
            None => Stdio::null(),
        };
        let variables = section.options("env").filter_map(|it| it.split_once('='));
        let output = Command::new(env!("CARGO_BIN_EXE_img"))
            .args(arguments)
            .current_dir(self.path(section.option("cwd").unwrap_or(".")))
            .env_clear()
            .envs(variables)
            .stdin(stdin)
            .output()
            .map_err(|error| error.to_string())?;
        Ok(Finished::new(
            line,
            output.status.code(),
            output.stdout,
            output.stderr,
        ))
    }

    /// What every command owes: exit code 0 and silence unless the case says otherwise; and one
    /// that fails says why and leaves nothing behind.
    fn close_run(&mut self) -> Result<(), String> {
        let Some(run) = self.last.take() else {
            return Ok(());
        };
        if !run.checked.code && run.code != Some(0) {
            return Err(format!(
                "exit code {:?} instead of 0: {}",
                run.code,
                run.streams()
            ));
        }
        if !run.checked.stdout && !run.stdout.is_empty() {
            return Err(format!("unexpected output: {}", run.streams()));
        }
        if !run.checked.stderr && (!run.stderr.is_empty() || run.code != Some(0)) {
            return Err(format!(
                "unexpected messages, or none checked: {}",
                run.streams()
            ));
        }
        Ok(())
    }

    fn exit(&mut self, section: &Section) -> Result<Outcome, String> {
        let expected: i32 = section.word(1)?.parse().map_err(|_| "not a number")?;
        let run = self.last.as_mut().ok_or("no command was run")?;
        run.checked.code = true;
        if run.code != Some(expected) {
            let stderr = text::printable(&run.stderr);
            return Err(format!("exit code {:?}\n{stderr}", run.code));
        }
        if expected != 0 {
            let after = self.files()?;
            let left: Vec<_> = after.difference(&self.before).collect();
            if !left.is_empty() {
                return Err(format!("the failed command left {left:?} behind"));
            }
        }
        Ok(Outcome::Holds)
    }

    /// A worker's answer holds both streams, and names files by their whole paths.
    fn merged_output(&mut self, section: &Section) -> Result<Outcome, String> {
        let here = format!("{}/", self.directory.path().display());
        let run = self.last.as_mut().ok_or("no command was run")?;
        (run.checked.stdout, run.checked.stderr) = (true, true);
        let actual = text::printable(&run.stderr).replace(&here, "");
        for line in &section.lines {
            if !actual.contains(&line.replace("${dir}/", "")) {
                return Err(format!("`{line}` is not in\n{actual}"));
            }
        }
        Ok(Outcome::Holds)
    }

    fn output(&mut self, section: &Section, is_stderr: bool) -> Result<Outcome, String> {
        if self.last.as_ref().is_some_and(|run| run.merged) {
            return self.merged_output(section);
        }
        let here = self.directory.path().to_string_lossy().into_owned();
        let run = self.last.as_mut().ok_or("no command was run")?;
        let (bytes, checked) = if is_stderr {
            (&run.stderr, &mut run.checked.stderr)
        } else {
            (&run.stdout, &mut run.checked.stdout)
        };
        *checked = true;
        let actual = text::printable(bytes).replace(&here, "${dir}");
        if section.has("contains") {
            for line in &section.lines {
                if !actual.contains(line.as_str()) {
                    return Err(format!("`{line}` is not in\n{actual}"));
                }
            }
            return Ok(Outcome::Holds);
        }
        let actual = actual.strip_suffix('\n').unwrap_or(&actual).to_owned();
        Ok(check::compare(&section.lines.join("\n"), actual))
    }

    /// The files and links of the case's directory, and its empty directories.
    pub(crate) fn files(&self) -> Result<BTreeSet<String>, String> {
        let mut found = BTreeSet::new();
        let mut directories = vec![self.directory.path().to_path_buf()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).map_err(|error| error.to_string())? {
                let entry = entry.map_err(|error| error.to_string())?;
                let name = entry.path();
                let name = name
                    .strip_prefix(self.directory.path())
                    .map_err(|e| e.to_string())?;
                if entry
                    .file_type()
                    .map_err(|error| error.to_string())?
                    .is_dir()
                {
                    directories.push(entry.path());
                    found.insert(format!("{}/", name.display()));
                } else {
                    found.insert(name.display().to_string());
                }
            }
        }
        Ok(found)
    }
}
