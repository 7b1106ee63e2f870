//! The report: a table a row, and what of the goals was held.

mod goals;
mod machine;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::contender::Tool;
use super::corpus::{Corpus, Name};
use super::limit::Limit;
use super::measure::Sample;
use super::rows::Row;
use crate::run::Result;

pub(super) use machine::describe as describe_machine;

/// What came of one row on one corpus.
pub(super) struct Measured {
    pub(super) row: &'static Row,
    pub(super) corpus: Name,
    /// Medians of ours, or why there are none.
    pub(super) ours: Result<Sample>,
    pub(super) limit: Option<Limit>,
    pub(super) entries: Vec<Entry>,
}

/// What came of one contender.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) tool: Tool,
    pub(super) outcome: Outcome,
}

#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Missing,
    Failed(String),
    Pairs {
        /// Medians of ours in these pairs; `None` where ours cannot do it.
        ours: Option<Sample>,
        theirs: Sample,
        /// How many pairs.
        count: usize,
    },
}

/// How many pairs there are unless the table says another number.
pub(super) const PAIRS: usize = 5;

/// Everything that the report tells.
pub(super) struct Report<'a> {
    pub(super) command: String,
    pub(super) machine: String,
    pub(super) corpora: &'a [Corpus],
    /// Versions of the contenders, or why they are missing.
    pub(super) tools: &'a BTreeMap<Tool, Result<String>>,
    pub(super) measured: Vec<Measured>,
    /// The sections of the rows that pull and push, empty until they are measured.
    pub(super) moves: String,
    /// Rows that are not measured yet.
    pub(super) to_come: Vec<&'static str>,
}

impl Report<'_> {
    /// The whole report as Markdown.
    pub(super) fn to_markdown(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\nWritten by `{}`. {}\n\n{HOW_TO_READ}\n",
            self.command, self.machine
        );
        text.push_str(&unfinished(&self.to_come));
        text.push_str(&self.summary());
        for rows in self.measured.chunk_by(|a, b| a.row.name == b.row.name) {
            text.push_str(&table(rows));
        }
        text.push_str(&self.moves);
        text
    }

    /// What is printed behind the tables of the rows.
    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        self.write_corpora(&mut text);
        self.write_tools(&mut text);
        text.push_str(&goals::to_markdown(&self.measured));
        text
    }

    fn write_corpora(&self, text: &mut String) {
        text.push_str("\n| corpus | MiB | files | duplicates | digest of names and contents |\n|---|---|---|---|---|\n");
        for corpus in self.corpora {
            let facts = &corpus.facts;
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | `{}` |",
                corpus.name.letter(),
                facts.bytes >> 20,
                facts.files,
                facts.duplicates,
                facts.digest.get(..16).unwrap_or(&facts.digest),
            );
        }
    }

    fn write_tools(&self, text: &mut String) {
        text.push_str("\n| contender | version |\n|---|---|\n");
        for (tool, state) in self.tools {
            let state = match state {
                Ok(version) => version.clone(),
                Err(reason) => format!("missing: {reason}"),
            };
            let _ = writeln!(text, "| {} | {state} |", tool.title());
        }
    }
}

const HOW_TO_READ: &str = "\
Each value is a median of five runs after a warm-up; ours and the contenders of a table's corpus run in turn (ours, \
first, second, ours, first, second, …). In brackets stands how many times ours that is, of the runs that took turns \
with it. A contender that takes over 20 s takes two turns, as its line says. What has run on a corpus needs no other \
warm-up there, and a first run of over 5 s counts. CPU is that of all processes, memory that of the largest one. Inputs \
are in the page cache, outputs in memory. The limit is the CPU time of the parts (reading, hashes, codec, stitching, \
writing), each measured alone in the same run, over the cores; in brackets how much of that speed ours reaches. A run of \
everything leaves some contenders out on some corpora, for its time: what has no line was not measured.";

/// What a report lacks whose run was ended.
fn unfinished(to_come: &[&str]) -> String {
    if to_come.is_empty() {
        return String::new();
    }
    let rows = to_come.join("`, `");
    format!("\nThis run is not finished. Rows that it did not come to: `{rows}`.\n")
}

/// The columns of every table.
pub(super) const TABLE_HEAD: &str = "\
| | | wall s | CPU s | memory MB | output MiB |\n|---|---|---|---|---|---|\n";

/// The table of one row.
pub(super) fn table(rows: &[Measured]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let mut text = format!(
        "\n## {} (`--row {}`)\n\n{TABLE_HEAD}",
        first.row.title, first.row.name
    );
    for measured in rows {
        write_measured(&mut text, measured);
    }
    text.push('\n');
    for measured in rows {
        if let Some(limit) = &measured.limit {
            let parts: Vec<String> = limit
                .parts
                .iter()
                .map(|(name, seconds)| format!("{name} {seconds:.2}"))
                .collect();
            let _ = writeln!(text, "- {}: {}", measured.corpus.letter(), parts.join(", "));
        }
    }
    text
}

fn write_measured(text: &mut String, measured: &Measured) {
    let corpus = measured.corpus.letter();
    match &measured.ours {
        Ok(ours) => {
            let _ = writeln!(
                text,
                "| {corpus} | **ours** | **{:.2}** | {:.2} | {:.0} | {:.1} |",
                ours.wall,
                ours.cpu,
                ours.memory / 1e6,
                ours.output / MIB
            );
        }
        Err(reason) => {
            let _ = writeln!(text, "| {corpus} | **ours** | {reason} | | | |");
        }
    }
    if let (Some(limit), Ok(ours)) = (&measured.limit, &measured.ours) {
        let _ = writeln!(
            text,
            "| | limit | {:.2} ({:.0} %) | {:.2} | | |",
            limit.seconds(),
            100.0 * limit.seconds() / ours.wall,
            limit.cpu()
        );
    }
    for entry in &measured.entries {
        write_entry(text, entry);
    }
}

pub(super) fn write_entry(text: &mut String, entry: &Entry) {
    let name = entry.name;
    let _ = match &entry.outcome {
        Outcome::Missing => writeln!(text, "| | {name} | missing | | | |"),
        Outcome::Failed(reason) => writeln!(text, "| | {name} | failed: {reason} | | | |"),
        Outcome::Pairs {
            ours,
            theirs,
            count,
        } => {
            let pairs = match count {
                &PAIRS => String::new(),
                1 => ", 1 pair".to_owned(),
                _ => format!(", {count} pairs"),
            };
            let cell = |value: fn(&Sample) -> f64, unit: f64, digits: usize| {
                let of_theirs = value(theirs);
                let shown = format!("{:.digits$}", of_theirs / unit);
                match ours {
                    Some(ours) => format!("{shown} ({:.2}×)", of_theirs / value(ours)),
                    None => shown,
                }
            };
            writeln!(
                text,
                "| | {name}{pairs} | {} | {} | {} | {} |",
                cell(|sample| sample.wall, 1.0, 2),
                cell(|sample| sample.cpu, 1.0, 2),
                cell(|sample| sample.memory, 1e6, 0),
                cell(|sample| sample.output, MIB, 1),
            )
        }
    };
}

pub(super) const MIB: f64 = 1_048_576.0;

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    pub(super) fn sample(wall: f64, cpu: f64, output: f64) -> Sample {
        Sample {
            wall,
            cpu,
            memory: 20e6,
            output: output * MIB,
        }
    }

    pub(super) fn measured() -> Measured {
        let ours = sample(2.0, 4.0, 100.0);
        let pairs = |theirs| Outcome::Pairs {
            ours: Some(ours),
            theirs,
            count: PAIRS,
        };
        let entry = |name, tool, outcome| Entry {
            name,
            tool,
            outcome,
        };
        Measured {
            row: &ROWS[0],
            corpus: Name::A,
            ours: Ok(ours),
            limit: Some(Limit {
                parts: vec![("read", 0.2), ("codec", 3.4)],
                chain: 0.5,
                cores: 2,
            }),
            entries: vec![
                entry("Go tool", Tool::Go, Outcome::Missing),
                entry(
                    "stand-in, 2 jobs",
                    Tool::StandIn,
                    pairs(sample(5.0, 8.0, 110.0)),
                ),
                entry(
                    "tar, pigz -6 -p2",
                    Tool::Pigz,
                    pairs(sample(1.0, 4.0, 99.0)),
                ),
                entry(
                    "umoci insert",
                    Tool::Umoci,
                    Outcome::Failed("no".to_owned()),
                ),
            ],
        }
    }

    #[test]
    fn a_table_has_ours_the_limit_and_everyone() {
        insta::assert_snapshot!(table(&[measured()]), @r"

        ## gzip, default (`--row gzip`)

        | | | wall s | CPU s | memory MB | output MiB |
        |---|---|---|---|---|---|
        | A | **ours** | **2.00** | 4.00 | 20 | 100.0 |
        | | limit | 1.80 (90 %) | 3.60 | | |
        | | Go tool | missing | | | |
        | | stand-in, 2 jobs | 5.00 (2.50×) | 8.00 (2.00×) | 20 (1.00×) | 110.0 (1.10×) |
        | | tar, pigz -6 -p2 | 1.00 (0.50×) | 4.00 (1.00×) | 20 (1.00×) | 99.0 (0.99×) |
        | | umoci insert | failed: no | | | |

        - A: read 0.20, codec 3.40
        ");
    }

    #[test]
    fn a_line_says_how_many_pairs_it_has_if_not_five() {
        let mut measured = measured();
        measured.entries.truncate(2);
        if let Outcome::Pairs { count, .. } = &mut measured.entries[1].outcome {
            *count = 2;
        }
        let table = table(&[measured]);
        assert!(
            table.contains("| stand-in, 2 jobs, 2 pairs | 5.00 "),
            "{table}"
        );
    }

    #[test]
    fn a_run_that_was_ended_says_what_it_did_not_come_to() {
        assert_eq!(unfinished(&[]), "");
        assert_eq!(
            unfinished(&["estargz", "import"]),
            "\nThis run is not finished. Rows that it did not come to: `estargz`, `import`.\n"
        );
    }

    #[test]
    fn what_ours_cannot_do_is_said_in_its_place() {
        let mut measured = measured();
        measured.ours = Err("not built yet".to_owned());
        measured.entries.truncate(1);
        insta::assert_snapshot!(table(&[measured]), @r"

        ## gzip, default (`--row gzip`)

        | | | wall s | CPU s | memory MB | output MiB |
        |---|---|---|---|---|---|
        | A | **ours** | not built yet | | | |
        | | Go tool | missing | | | |

        - A: read 0.20, codec 3.40
        ");
    }
}
