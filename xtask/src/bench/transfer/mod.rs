//! Images on their way from and to a registry on this machine, in turn with other tools.
//!
//! Registry and outputs are in memory, so that what is measured is the client: its requests, its hashes, its copies.

mod image;
pub(super) mod pull;
pub(super) mod push;
mod registry;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::contender::Tool;
use super::measure::{self, Sample, Scratch};
use super::report::{self, Entry, Outcome};
use super::tools::Tools;
use crate::run::Result;
use image::Image;

/// A row that moves images.
pub(super) struct Move {
    /// As `--row` has it.
    pub(super) name: &'static str,
    /// What must be there.
    pub(super) tools: &'static [Tool],
    /// Measures everyone on both images, and returns the section of the report.
    pub(super) measure: fn(&Setting<'_>) -> Result<String>,
}

/// What a row needs of a run of the bench.
pub(super) struct Setting<'a> {
    pub(super) img: &'a Path,
    pub(super) tools: &'a Tools,
    pub(super) pairs: usize,
    /// Where corpora and images are kept between runs.
    pub(super) directory: &'a Path,
}

/// Someone who moves the image.
struct Mover {
    name: &'static str,
    tool: Tool,
    script: &'static str,
}

/// Medians of ours, and what came of the others.
struct Turns {
    ours: Sample,
    entries: Vec<Entry>,
}

/// Ours and the others in turn, after a run of each that does not count.
fn turns(
    setting: &Setting<'_>,
    scratch: &Scratch,
    ours: &str,
    movers: &'static [Mover],
    variables: &[(&'static str, PathBuf)],
) -> Result<Turns> {
    let mut variables = variables.to_vec();
    variables.push(("IMG", setting.img.to_owned()));
    variables.extend(setting.tools.variables());
    let run = |script: &str| measure::run(scratch, "", script, &variables);
    run(ours)?;
    let is_here = |mover: &&Mover| setting.tools.is_here(mover.tool);
    let mut samples: Vec<Result<Vec<Sample>>> = Vec::new();
    for mover in movers {
        let warm = is_here(&mover).then(|| run(mover.script)).transpose();
        samples.push(warm.map(|_| Vec::new()));
    }
    let mut own = Vec::new();
    for _ in 0..setting.pairs {
        own.push(run(ours)?);
        for (mover, samples) in movers.iter().zip(&mut samples) {
            if is_here(&mover)
                && let Ok(taken) = samples
            {
                match run(mover.script) {
                    Ok(sample) => taken.push(sample),
                    Err(reason) => *samples = Err(reason),
                }
            }
        }
    }
    let ours = Sample::median(&own);
    let entries = movers.iter().zip(samples);
    let entries = entries.map(|(mover, samples)| entry(mover, ours, samples));
    Ok(Turns {
        ours,
        entries: entries.collect(),
    })
}

fn entry(mover: &Mover, ours: Sample, samples: Result<Vec<Sample>>) -> Entry {
    let outcome = match samples {
        Ok(theirs) if theirs.is_empty() => Outcome::Missing,
        Ok(theirs) => Outcome::Pairs {
            ours: Some(ours),
            theirs: Sample::median(&theirs),
            count: theirs.len(),
        },
        Err(reason) => Outcome::Failed(reason),
    };
    Entry {
        name: mover.name,
        tool: mover.tool,
        outcome,
    }
}

/// What stands in the report of a row, printed as it grows.
struct Section(String);

impl Section {
    /// Starts one with what a reader has to know of the columns.
    fn new(title: &str, row: &Move, note: &str) -> Self {
        let mut section = Self(String::new());
        let row = row.name;
        let head = format!(
            "\n## {title} (`--row {row}`)\n\n{note}\n\n{}",
            report::TABLE_HEAD
        );
        section.add(&head);
        section
    }

    fn add(&mut self, text: &str) {
        print!("{text}");
        self.0.push_str(text);
    }

    fn add_image(&mut self, image: &Image, turns: &Turns) {
        let mut lines = String::new();
        write_image(&mut lines, image, turns);
        self.add(&lines);
    }
}

fn write_image(section: &mut String, image: &Image, turns: &Turns) {
    let ours = &turns.ours;
    let _ = writeln!(
        section,
        "| {} | **ours** | **{:.2}** | {:.2} | {:.0} | {:.1} |",
        image.title,
        ours.wall,
        ours.cpu,
        ours.memory / 1e6,
        ours.output / report::MIB
    );
    for entry in &turns.entries {
        report::write_entry(section, entry);
    }
}
