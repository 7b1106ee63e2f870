//! `cargo xtask bench`: every tool that makes layers, in turn with ours, on the same files.
//!
//! Never part of CI: it takes about 23 minutes of a machine that does nothing else.

#![expect(
    clippy::cast_precision_loss,
    reason = "times and sizes of a bench are rounded anyway"
)]

mod contender;
mod corpus;
mod limit;
mod measure;
mod report;
mod rows;
mod tools;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use clap::Args;
use fs_err as fs;

use crate::run::{Result, cargo, check, in_ci, root};
use contender::{Contender, Scripts, Tool};
use corpus::{Corpus, Name};
use measure::{Sample, Scratch};
use report::{Entry, Measured, Outcome, Report};
use rows::{Kind, ROWS, Row};
use tools::Tools;
use transfer::{Move, Setting, pull, push};

/// A contender that takes longer than this many seconds runs twice.
const SLOW: f64 = 20.0;
/// A first run of more seconds than this counts: what is cold at its start is lost in it.
const WARM_BY_ITSELF: f64 = 5.0;

#[derive(Args)]
pub(crate) struct Options {
    /// Only this row; may be given several times
    #[arg(long, value_parser = row_names().collect::<Vec<_>>())]
    row: Vec<String>,
    /// Only this corpus; may be given several times
    #[arg(long, value_enum, ignore_case = true)]
    corpus: Vec<Name>,
    /// Only contenders with this in their name; `none` measures ours alone
    #[arg(long, value_name = "TEXT")]
    contender: Option<String>,
    /// How many pairs a contender runs; two are enough of one that takes over 20 s
    #[arg(long, value_name = "N", default_value = "5")]
    pairs: NonZeroUsize,
    /// Measures this program instead of building ours
    #[arg(long, value_name = "FILE")]
    img: Option<PathBuf>,
    /// Where the corpora and the programs for the bench are kept
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    directory: PathBuf,
    /// Writes the report here; a run of everything writes docs/benchmarks.md
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Every row: the layers, and what pulls and pushes them.
fn row_names() -> impl Iterator<Item = &'static str> {
    let layers = ROWS.iter().map(|row| row.name);
    layers.chain(MOVES.iter().map(|row| row.name))
}

impl Options {
    fn wants(&self, row: &str) -> bool {
        self.row.is_empty() || self.row.iter().any(|name| name == row)
    }

    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(|row| self.wants(row.name))
    }

    /// The rows that move images: none where corpora or contenders of the other rows were chosen.
    fn moves(&self) -> impl Iterator<Item = &'static Move> {
        let is_wanted =
            |row: &&Move| self.is_everything() || self.row.iter().any(|it| it == row.name);
        MOVES.into_iter().filter(is_wanted)
    }

    /// Every row that is measured.
    fn row_names(&self) -> impl Iterator<Item = &'static str> {
        let moves = self.moves().map(|row| row.name);
        self.rows().map(|row| row.name).chain(moves)
    }

    fn corpora(&self) -> impl Iterator<Item = Name> {
        Name::ALL
            .into_iter()
            .filter(|name| self.corpus.is_empty() || self.corpus.contains(name))
    }

    /// Refuses a name that nobody has, with which ours would be measured against no one.
    fn check_contender(&self) -> Result<()> {
        let Some(text) = self.contender.as_deref().filter(|text| *text != "none") else {
            return Ok(());
        };
        let mut contenders = self.rows().flat_map(|row| row.contenders);
        if contenders.any(|one| one.name.contains(text)) {
            return Ok(());
        }
        Err(format!(
            "no contender of these rows has {text:?} in its name; `none` measures ours alone"
        ))
    }

    fn contenders(&self, row: &'static Row, corpus: Name) -> Vec<&'static Contender> {
        let wanted = |one: &&Contender| match &self.contender {
            Some(text) => one.name.contains(text.as_str()),
            None => one.corpora.contains(&corpus),
        };
        row.contenders.iter().filter(wanted).collect()
    }

    /// Whether a row is measured on a corpus: ours alone only where that was asked for.
    fn measures(&self, row: &'static Row, corpus: Name) -> bool {
        let asked_for = !self.is_everything();
        asked_for
            || self
                .contenders(row, corpus)
                .iter()
                .any(|one| one.tool != Tool::Go)
    }

    fn is_everything(&self) -> bool {
        self.row.is_empty() && self.corpus.is_empty() && self.contender.is_none()
    }

    fn output(&self) -> Option<PathBuf> {
        let whole = || self.is_everything().then(|| "docs/benchmarks.md".into());
        self.output
            .clone()
            .or_else(whole)
            .map(|path| root().join(path))
    }

    /// The command line, to do it again.
    fn command(&self) -> String {
        let mut words = vec!["cargo xtask bench".to_owned()];
        words.extend(self.row.iter().map(|row| format!("--row {row}")));
        words.extend(
            self.corpus
                .iter()
                .map(|name| format!("--corpus {}", name.letter().to_ascii_lowercase())),
        );
        words.extend(
            self.contender
                .iter()
                .map(|text| format!("--contender '{text}'")),
        );
        if self.pairs.get() != report::PAIRS {
            words.push(format!("--pairs {}", self.pairs));
        }
        let paths = [("img", &self.img), ("output", &self.output)];
        for (flag, path) in paths {
            words.extend(path.iter().map(|path| {
                // A path of this machine is nobody else's: the name says what was measured.
                let shown = if path.is_absolute() {
                    path.file_name()
                } else {
                    None
                };
                let shown = shown.unwrap_or(path.as_os_str());
                format!("--{flag} {}", shown.display())
            }));
        }
        words.join(" ")
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if in_ci() {
        return Err("a bench says nothing on a machine of CI".to_owned());
    }
    options.check_contender()?;
    if cfg!(debug_assertions) {
        return run_optimised();
    }
    let directory = root().join(&options.directory);
    fs::create_dir_all(directory.join("bin")).map_err(text)?;
    tools::require("/usr/bin/time", "time")?;
    let tools = Tools::install(&wanted_tools(options), &directory);
    let makes_layers = options.rows().next().is_some();
    let corpora = options
        .corpora()
        .filter(|_| makes_layers)
        .map(|name| Corpus::prepare(name, &directory))
        .collect::<Result<Vec<_>>>()?;
    let mut bench = Bench::new(options, &tools)?;
    let mut report = Report {
        command: options.command(),
        machine: report::describe_machine(bench.cores),
        corpora: &corpora,
        tools: &tools.states,
        measured: Vec::new(),
        moves: String::new(),
        to_come: options.row_names().collect(),
    };
    for row in options.rows() {
        let start = report.measured.len();
        for corpus in corpora.iter().filter(|one| options.measures(row, one.name)) {
            report.measured.push(bench.measure(row, corpus)?);
        }
        println!("{}", report::table(&report.measured[start..]));
        report.to_come.retain(|name| *name != row.name);
        // After each row, because a run is long and may be ended.
        if let Some(output) = options.output() {
            fs::write(&output, report.to_markdown()).map_err(text)?;
        }
    }
    let setting = Setting {
        img: &bench.img,
        tools: &tools,
        pairs: options.pairs.get(),
        directory: &directory,
    };
    for row in options.moves() {
        report.moves.push_str(&(row.measure)(&setting)?);
        report.to_come.retain(|name| *name != row.name);
        if let Some(output) = options.output() {
            fs::write(&output, report.to_markdown()).map_err(text)?;
        }
    }
    println!("{}", report.summary());
    Ok(())
}

/// The rows that move images, in the order of the report.
const MOVES: [&Move; 2] = [&pull::ROW, &push::ROW];

/// Does the same with a build for release: the parts of the limit run in this process.
fn run_optimised() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut again = cargo(&["run", "--release", "--quiet", "--package", "xtask", "--"]);
    check(again.args(arguments))
}

/// The tools of the contenders that were asked for, each once.
fn wanted_tools(options: &Options) -> Vec<Tool> {
    let contenders = options.rows().flat_map(|row| {
        options
            .corpora()
            .flat_map(move |corpus| options.contenders(row, corpus))
    });
    let mut tools: Vec<Tool> = contenders.map(|one| one.tool).collect();
    tools.extend(options.moves().flat_map(|row| row.tools));
    tools.sort_unstable();
    tools.dedup();
    tools
}

fn build() -> Result<PathBuf> {
    check(&mut cargo(&["build", "--release", "--package", "img"]))?;
    Ok(root().join("target/release/img"))
}

/// A run of the bench.
struct Bench<'a> {
    options: &'a Options,
    tools: &'a Tools,
    img: PathBuf,
    cores: usize,
    /// Emptied before each run.
    scratch: Scratch,
    kept: Scratch,
    /// Who has run on which corpus, and needs no warm-up there again.
    warm: BTreeSet<(Tool, Name)>,
    /// The layers without compression, which the limits are measured on.
    layers: BTreeMap<Name, PathBuf>,
}

impl<'a> Bench<'a> {
    fn new(options: &'a Options, tools: &'a Tools) -> Result<Self> {
        let img = match &options.img {
            Some(img) => root().join(img),
            None => build()?,
        };
        Ok(Self {
            options,
            tools,
            img,
            cores: thread::available_parallelism().map_or(1, usize::from),
            scratch: Scratch::new("run")?,
            kept: Scratch::new("kept")?,
            warm: BTreeSet::new(),
            layers: BTreeMap::new(),
        })
    }

    /// Ours and all contenders in turn: ours, first, second, ours, first, second, …
    fn measure(&mut self, row: &'static Row, corpus: &Corpus) -> Result<Measured> {
        let variables = self.variables(row, corpus)?;
        // A warm-up, and the answer to whether ours can do it at all.
        let mut ours = self.ours(row, &variables).map(|_| Vec::new());
        let limit = match ours {
            Ok(_) => Some(self.limit(row, corpus)?),
            Err(_) => None,
        };
        let mut turns = Vec::new();
        for contender in self.options.contenders(row, corpus.name) {
            turns.push(self.first_turn(row, contender, corpus.name, &variables));
        }
        for pair in 0..self.options.pairs.get() {
            if let Ok(samples) = &mut ours {
                samples.push(self.ours(row, &variables)?);
            }
            for turn in &mut turns {
                self.take_turn(turn, pair, &variables);
            }
        }
        let alone: &[Sample] = ours.as_deref().unwrap_or_default();
        let entries = turns.into_iter().map(|turn| turn.entry(alone)).collect();
        Ok(Measured {
            row,
            corpus: corpus.name,
            ours: ours.map(|samples| Sample::median(&samples)),
            limit,
            entries,
        })
    }

    /// Decides how often a contender runs, by a first run of it unless its tool has run on this corpus.
    fn first_turn(
        &mut self,
        row: &Row,
        contender: &'static Contender,
        corpus: Name,
        variables: &[(&str, PathBuf)],
    ) -> Turn {
        let mut turn = Turn {
            contender,
            scripts: contender.scripts(row.ours.kind == Kind::Import),
            pairs: self.options.pairs.get(),
            samples: Ok(Vec::new()),
        };
        let is_here = self.tools.is_here(contender.tool);
        if is_here && self.warm.insert((contender.tool, corpus)) {
            let first = self.theirs(&turn.scripts, variables);
            // Long enough to be warm by itself: it counts.
            turn.samples = first.map(|one| {
                let counts = one.wall > WARM_BY_ITSELF;
                counts.then_some(one).into_iter().collect()
            });
        }
        turn
    }

    /// Runs a contender once more, if it has a turn in this pair.
    fn take_turn(&self, turn: &mut Turn, pair: usize, variables: &[(&str, PathBuf)]) {
        if !self.tools.is_here(turn.contender.tool) || pair >= turn.pairs {
            return;
        }
        let Ok(samples) = &mut turn.samples else {
            return;
        };
        if samples.len() == pair {
            match self.theirs(&turn.scripts, variables) {
                Ok(sample) => samples.push(sample),
                Err(reason) => {
                    turn.samples = Err(reason);
                    return;
                }
            }
        }
        if samples.iter().any(|sample| sample.wall > SLOW) {
            turn.pairs = turn.pairs.min(2);
        }
    }

    fn theirs(&self, scripts: &Scripts, variables: &[(&str, PathBuf)]) -> Result<Sample> {
        measure::run(&self.scratch, &scripts.prepare, &scripts.run, variables)
    }

    fn ours(&self, row: &Row, variables: &[(&str, PathBuf)]) -> Result<Sample> {
        measure::run(&self.scratch, "", &row.ours.script(), variables)
    }

    fn variables(&self, row: &Row, corpus: &Corpus) -> Result<Vec<(&'static str, PathBuf)>> {
        let input = match row.ours.kind {
            Kind::Import => corpus.tar()?,
            _ => corpus.list(),
        };
        let mut variables = vec![
            ("IMG", self.img.clone()),
            ("INPUT", input),
            ("TREE", corpus.tree()),
        ];
        variables.extend(self.tools.variables());
        Ok(variables)
    }

    fn limit(&mut self, row: &Row, corpus: &Corpus) -> Result<limit::Limit> {
        let layer = match self.layers.get(&corpus.name) {
            Some(layer) => layer.clone(),
            None => self.keep_layer(corpus)?,
        };
        limit::measure(row.ours, corpus, &layer, self.kept.path(), self.cores)
    }

    /// Makes the layer of a corpus without compression.
    fn keep_layer(&mut self, corpus: &Corpus) -> Result<PathBuf> {
        let plain = ROWS
            .iter()
            .find(|row| row.ours.format == "none")
            .ok_or("no row is plain")?;
        self.ours(plain, &self.variables(plain, corpus)?)?;
        let layer = self
            .kept
            .path()
            .join(format!("{}.tar", corpus.name.letter()));
        fs::rename(self.scratch.path().join("layer"), &layer).map_err(text)?;
        self.layers.insert(corpus.name, layer.clone());
        Ok(layer)
    }
}

/// A contender among those who run in turn.
struct Turn {
    contender: &'static Contender,
    scripts: Scripts,
    /// How many of its runs are wanted.
    pairs: usize,
    /// What its runs took, or why it failed.
    samples: Result<Vec<Sample>>,
}

impl Turn {
    /// What came of it, beside those runs of ours that it took turns with.
    fn entry(self, ours: &[Sample]) -> Entry {
        let outcome = match self.samples {
            Ok(theirs) if theirs.is_empty() => Outcome::Missing,
            Ok(theirs) => Outcome::Pairs {
                ours: ours.get(..theirs.len()).map(Sample::median),
                theirs: Sample::median(&theirs),
                count: theirs.len(),
            },
            Err(reason) => Outcome::Failed(reason),
        };
        Entry {
            name: self.contender.name,
            tool: self.contender.tool,
            outcome,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn text(error: std::io::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(words: &[&str]) -> Options {
        Line::parse_from(["bench"].iter().chain(words)).options
    }

    #[test]
    fn contender_that_no_chosen_row_has_is_refused() {
        let check = |words: &[&str]| options(words).check_contender();
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["--contender", "none"]), Ok(()));
        assert_eq!(check(&["--contender", "pigz -6"]), Ok(()));
        let refused = check(&["--row", "zstd", "--contender", "pigz"]);
        assert_eq!(
            refused.unwrap_err(),
            "no contender of these rows has \"pigz\" in its name; `none` measures ours alone"
        );
    }

    #[test]
    fn a_contender_is_compared_with_those_runs_of_ours_that_it_took_turns_with() {
        let sample = |wall| Sample {
            wall,
            ..Sample::default()
        };
        let contender = &ROWS[0].contenders[0];
        let turn = |samples| Turn {
            contender,
            scripts: contender.scripts(false),
            pairs: 2,
            samples,
        };
        let ours = [1.0, 3.0, 50.0].map(sample);
        let outcome = turn(Ok(vec![sample(30.0), sample(40.0)]))
            .entry(&ours)
            .outcome;
        let expected = Outcome::Pairs {
            ours: Some(sample(2.0)),
            theirs: sample(35.0),
            count: 2,
        };
        assert_eq!(outcome, expected);
        assert_eq!(turn(Ok(Vec::new())).entry(&ours).outcome, Outcome::Missing);
        let failed = turn(Err("no".to_owned())).entry(&ours).outcome;
        assert_eq!(failed, Outcome::Failed("no".to_owned()));
    }

    #[test]
    fn command_of_a_report_has_what_was_chosen() {
        assert_eq!(options(&[]).command(), "cargo xtask bench");
        let chosen = ["--row", "zstd", "--corpus", "C", "--pairs", "2"];
        assert_eq!(
            options(&chosen).command(),
            "cargo xtask bench --row zstd --corpus c --pairs 2"
        );
        let of_paths = |img: &str| options(&["--img", img, "--output", "docs/x.md"]).command();
        let command = |img: &str| format!("cargo xtask bench --img {img} --output docs/x.md");
        assert_eq!(
            of_paths("target/release/img"),
            command("target/release/img")
        );
        assert_eq!(of_paths("/somewhere/img"), command("img"));
    }
}
