//! `cargo xtask bench`: every tool that makes layers, in turn with ours, on the same files.
//!
//! Never part of CI: it takes about 25 minutes of a machine that does nothing else.

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

use std::collections::BTreeMap;
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

/// A contender that takes longer than this many seconds runs twice.
const SLOW: f64 = 20.0;

#[derive(Args)]
pub(crate) struct Options {
    /// Only this row; may be given several times
    #[arg(long, value_parser = ROWS.iter().map(|row| row.name).collect::<Vec<_>>())]
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

impl Options {
    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter()
            .filter(|row| self.row.is_empty() || self.row.iter().any(|name| name == row.name))
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
        if self.pairs.get() != 5 {
            words.push(format!("--pairs {}", self.pairs));
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
    let corpora = options
        .corpora()
        .map(|name| Corpus::prepare(name, &directory))
        .collect::<Result<Vec<_>>>()?;
    let mut bench = Bench::new(options, &tools)?;
    let mut report = Report {
        command: options.command(),
        machine: report::describe_machine(bench.cores),
        corpora: &corpora,
        tools: &tools.states,
        measured: Vec::new(),
        to_come: options.rows().map(|row| row.name).collect(),
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
    println!("{}", report.summary());
    Ok(())
}

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
            layers: BTreeMap::new(),
        })
    }

    fn measure(&mut self, row: &'static Row, corpus: &Corpus) -> Result<Measured> {
        let variables = self.variables(row, corpus)?;
        // A warm-up, and the answer to whether ours can do it at all.
        let mut ours = self.ours(row, &variables).map(|_| Vec::new());
        let limit = match ours {
            Ok(_) => Some(self.limit(row, corpus)?),
            Err(_) => None,
        };
        let mut entries = Vec::new();
        for contender in self.options.contenders(row, corpus.name) {
            let outcome = self.pairs(row, contender, &variables, &mut ours);
            entries.push(Entry {
                name: contender.name,
                tool: contender.tool,
                outcome,
            });
        }
        if let Ok(samples) = &mut ours {
            while samples.len() < self.options.pairs.get() {
                samples.push(self.ours(row, &variables)?);
            }
        }
        Ok(Measured {
            row,
            corpus: corpus.name,
            ours: ours.map(|samples| Sample::median(&samples)),
            limit,
            entries,
        })
    }

    /// Ours and a contender in turn. What ours took is added to `all_ours`.
    fn pairs(
        &self,
        row: &Row,
        contender: &Contender,
        variables: &[(&str, PathBuf)],
        all_ours: &mut Result<Vec<Sample>>,
    ) -> Outcome {
        if !self.tools.is_here(contender.tool) {
            return Outcome::Missing;
        }
        let scripts = contender.scripts(row.ours.kind == Kind::Import);
        let (ours, theirs) = match self.take_turns(row, &scripts, variables, all_ours.is_ok()) {
            Ok(samples) => samples,
            Err(reason) => return Outcome::Failed(reason),
        };
        if let Ok(all) = all_ours {
            all.extend(&ours);
        }
        let outcome = Outcome::Pairs {
            ours: (!ours.is_empty()).then(|| Sample::median(&ours)),
            theirs: Sample::median(&theirs),
        };
        println!("{}, {}: {} times", row.name, contender.name, theirs.len());
        outcome
    }

    /// Returns what ours took, and what the contender did.
    fn take_turns(
        &self,
        row: &Row,
        scripts: &Scripts,
        variables: &[(&str, PathBuf)],
        with_ours: bool,
    ) -> Result<(Vec<Sample>, Vec<Sample>)> {
        let run = || measure::run(&self.scratch, &scripts.prepare, &scripts.run, variables);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let warm_up = run()?;
        let mut pairs = self.options.pairs.get();
        if warm_up.wall > SLOW {
            // Long enough to be warm by itself: it counts.
            pairs = pairs.min(2);
            theirs.push(warm_up);
        }
        for pair in 0..pairs {
            if with_ours {
                ours.push(self.ours(row, variables)?);
            }
            if theirs.len() == pair {
                theirs.push(run()?);
            }
        }
        Ok((ours, theirs))
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
    fn command_of_a_report_has_what_was_chosen() {
        assert_eq!(options(&[]).command(), "cargo xtask bench");
        let chosen = ["--row", "zstd", "--corpus", "C", "--pairs", "2"];
        assert_eq!(
            options(&chosen).command(),
            "cargo xtask bench --row zstd --corpus c --pairs 2"
        );
    }
}
