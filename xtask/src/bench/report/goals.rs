//! What a run must show, and whether it did.

use std::fmt::Write as _;

use super::{Entry, Measured, Outcome};
use crate::bench::contender::Tool;
use crate::bench::corpus::Name;
use crate::bench::measure::Sample;

/// How much of the limit's speed ours must reach.
const OF_LIMIT: f64 = 0.85;
/// How many times a contender's bytes ours may have.
const BYTES: f64 = 1.005;

/// How many times ours someone must at least be in some value.
struct Floor {
    goal: u8,
    row: &'static str,
    contender: &'static str,
    value: Value,
    /// For the corpora A, B and C.
    at_least: [Option<f64>; 3],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Wall,
    Output,
}

const fn wall(goal: u8, row: &'static str, contender: &'static str, at_least: [f64; 3]) -> Floor {
    let [a, b, c] = at_least;
    Floor {
        goal,
        row,
        contender,
        value: Value::Wall,
        at_least: [Some(a), Some(b), Some(c)],
    }
}

const fn output(goal: u8, row: &'static str, contender: &'static str, at_least: f64) -> Floor {
    Floor {
        goal,
        row,
        contender,
        value: Value::Output,
        at_least: [Some(at_least); 3],
    }
}

const FLOORS: &[Floor] = &[
    wall(2, "gzip", "stand-in, 2 jobs", [1.3, 2.4, 1.5]),
    Floor {
        goal: 2,
        row: "gzip",
        contender: "tar, pigz -6 -p2",
        value: Value::Wall,
        at_least: [Some(3.0), None, Some(3.0)],
    },
    wall(2, "gzip-fast", "stand-in, level 1, 2 jobs", [1.1, 2.5, 1.4]),
    output(2, "gzip-fast", "stand-in, level 1, 2 jobs", 1.0 / 0.95),
    wall(2, "gzip-best", "stand-in, level 9, 1 job", [6.0; 3]),
    output(2, "gzip-best", "stand-in, level 9, 1 job", 1.0),
    wall(3, "zstd", "stand-in, zstd", [1.9, 4.0, 2.4]),
    wall(3, "zstd-fast", "stand-in, zstd level 1", [2.0; 3]),
    wall(4, "none", "stand-in, uncompressed", [2.0, 3.0, 3.0]),
    wall(5, "estargz", "stand-in, eStargz", [10.0; 3]),
    output(5, "estargz", "stand-in, eStargz", 1.0),
    wall(5, "estargz-fast", "stand-in, eStargz level 1", [3.0; 3]),
    output(5, "estargz-fast", "stand-in, eStargz level 1", 1.0),
];

/// Both tables of goals, for what was measured of them.
pub(super) fn to_markdown(measured: &[Measured]) -> String {
    let mut text = String::from(
        "\n## Goals\n\nThe worst of what was measured, with its place. What is not held stands in bold.\n\n\
         | row | 85 % of the limit | faster than all | bytes of others over ours, 1/1.005 at least | less CPU than the stand-in | memory |\n\
         |---|---|---|---|---|---|\n",
    );
    for rows in measured.chunk_by(|a, b| a.row.name == b.row.name) {
        write_row(&mut text, rows);
    }
    text.push_str(
        "\nHow many times ours the stand-in and others are, and how many times they should be:\n\n\
         | goal | row | against | A | B | C |\n|---|---|---|---|---|---|\n",
    );
    for floor in FLOORS {
        write_floor(&mut text, floor, measured);
    }
    text
}

/// A value of a goal with its place, and whether it is held.
struct Finding {
    value: f64,
    shown: String,
    place: String,
    held: bool,
}

impl Finding {
    fn cell(&self) -> String {
        let Self { shown, place, .. } = self;
        if self.held {
            format!("{shown} ({place})")
        } else {
            format!("**{shown}** ({place})")
        }
    }
}

fn write_row(text: &mut String, rows: &[Measured]) {
    let Some(first) = rows.first() else { return };
    let cells = [
        worst(rows.iter().filter_map(of_limit)),
        worst(pairs(rows, |_| true).map(|pair| pair.times(|it| it.wall, |times| times > 1.0))),
        worst(
            pairs(rows, |_| true)
                .map(|pair| pair.times(|it| it.output, |times| times * BYTES >= 1.0)),
        ),
        worst(
            pairs(rows, |entry| entry.tool == Tool::StandIn)
                .map(|pair| pair.times(|it| it.cpu, |times| times > 1.0)),
        ),
        worst(rows.iter().filter_map(memory)),
    ];
    let _ = writeln!(text, "| {} | {} |", first.row.name, cells.join(" | "));
}

/// The finding of the lowest value.
fn worst(findings: impl Iterator<Item = Finding>) -> String {
    let worst = findings.min_by(|a, b| a.value.total_cmp(&b.value));
    worst.map_or_else(|| "–".to_owned(), |finding| finding.cell())
}

fn of_limit(measured: &Measured) -> Option<Finding> {
    let (limit, ours) = (measured.limit.as_ref()?, measured.ours.as_ref().ok()?);
    let value = limit.seconds() / ours.wall;
    Some(Finding {
        value,
        shown: format!("{:.0} %", 100.0 * value),
        place: measured.corpus.letter().to_string(),
        held: value >= OF_LIMIT,
    })
}

/// Memory, upside down: the most is the worst.
fn memory(measured: &Measured) -> Option<Finding> {
    let ours = measured.ours.as_ref().ok()?;
    let is_large = measured.row.name.starts_with("estargz") && measured.corpus == Name::B;
    let most = if is_large { 128e6 } else { 64e6 };
    Some(Finding {
        value: most / ours.memory,
        shown: format!("{:.0} MB", ours.memory / 1e6),
        place: measured.corpus.letter().to_string(),
        held: ours.memory < most,
    })
}

/// A contender beside ours.
struct Pair<'a> {
    corpus: Name,
    entry: &'a Entry,
    ours: &'a Sample,
    theirs: &'a Sample,
}

impl Pair<'_> {
    fn times(&self, value: fn(&Sample) -> f64, is_held: fn(f64) -> bool) -> Finding {
        let times = value(self.theirs) / value(self.ours);
        Finding {
            value: times,
            shown: format!("{times:.3}×"),
            place: format!("{}, {}", self.corpus.letter(), self.entry.name),
            held: is_held(times),
        }
    }
}

fn pairs(rows: &[Measured], wanted: fn(&Entry) -> bool) -> impl Iterator<Item = Pair<'_>> {
    rows.iter().flat_map(move |measured| {
        let entries = measured.entries.iter().filter(move |entry| wanted(entry));
        entries.filter_map(|entry| match &entry.outcome {
            Outcome::Pairs {
                ours: Some(ours),
                theirs,
                ..
            } => Some(Pair {
                corpus: measured.corpus,
                entry,
                ours,
                theirs,
            }),
            _ => None,
        })
    })
}

fn write_floor(text: &mut String, floor: &Floor, measured: &[Measured]) {
    let of_row = |one: &&Measured| one.row.name == floor.row;
    if !measured.iter().any(|one| of_row(&one)) {
        return;
    }
    let value = |sample: &Sample| match floor.value {
        Value::Wall => sample.wall,
        Value::Output => sample.output,
    };
    let cells = Name::ALL.map(|corpus| {
        let at_least = floor.at_least[corpus as usize]?;
        let one = measured
            .iter()
            .filter(of_row)
            .find(|one| one.corpus == corpus)?;
        let pair = pairs(std::slice::from_ref(one), |_| true)
            .find(|pair| pair.entry.name == floor.contender)?;
        let times = value(pair.theirs) / value(pair.ours);
        Some(if times >= at_least {
            format!("{times:.2} ≥ {at_least:.2}")
        } else {
            format!("**{times:.2}** < {at_least:.2}")
        })
    });
    let cells = cells.map(|cell| cell.unwrap_or_else(|| "–".to_owned()));
    let what = match floor.value {
        Value::Wall => "time",
        Value::Output => "bytes",
    };
    let _ = writeln!(
        text,
        "| {} | {}, {what} | {} | {} |",
        floor.goal,
        floor.row,
        floor.contender,
        cells.join(" | ")
    );
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::*;
    use crate::bench::rows::ROWS;

    #[test]
    fn goals_that_are_missed_stand_in_bold_with_their_place() {
        insta::assert_snapshot!(to_markdown(&[measured()]), @r"

        ## Goals

        The worst of what was measured, with its place. What is not held stands in bold.

        | row | 85 % of the limit | faster than all | bytes of others over ours, 1/1.005 at least | less CPU than the stand-in | memory |
        |---|---|---|---|---|---|
        | gzip | 90 % (A) | **0.500×** (A, tar, pigz -6 -p2) | **0.990×** (A, tar, pigz -6 -p2) | 2.000× (A, stand-in, 2 jobs) | 20 MB (A) |

        How many times ours the stand-in and others are, and how many times they should be:

        | goal | row | against | A | B | C |
        |---|---|---|---|---|---|
        | 2 | gzip, time | stand-in, 2 jobs | 2.50 ≥ 1.30 | – | – |
        | 2 | gzip, time | tar, pigz -6 -p2 | **0.50** < 3.00 | – | – |
        ");
    }

    #[test]
    fn every_floor_is_about_a_contender_of_its_row() {
        for floor in FLOORS {
            let row = ROWS.iter().find(|row| row.name == floor.row).unwrap();
            let found = row.contenders.iter().any(|one| one.name == floor.contender);
            assert!(found, "{}: {}", floor.row, floor.contender);
        }
    }
}
