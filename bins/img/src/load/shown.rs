//! What is said about a load that has ended.

use std::fmt::Write as _;

use imgload::{Amount, Report};
use indicatif::HumanBytes;

/// Says what was sent, and what that took.
pub(crate) fn summary(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<15} {value}");
    };
    line("engine", report.engine.clone());
    let amounts = [("sent", report.sent), ("there before", report.present)];
    for (name, amount) in amounts {
        if amount.blobs > 0 {
            line(name, blobs(amount));
        }
    }
    if report.repaired > 0 {
        line("labels", format!("added to {}", blobs_of(report.repaired)));
    }
    if report.left_out > 0 {
        let images = if report.left_out == 1 {
            "image"
        } else {
            "images"
        };
        let text = format!("{} {images} for other platforms", report.left_out);
        line("left out", text);
    }
    for named in &report.names {
        line(named.change.as_str(), named.name.clone());
    }
    let requests = report.requests.values().sum::<u64>();
    line("requests", requests.to_string());
    text
}

fn blobs(amount: Amount) -> String {
    format!("{}, {}", blobs_of(amount.blobs), HumanBytes(amount.bytes))
}

fn blobs_of(count: u64) -> String {
    let blobs = if count == 1 { "blob" } else { "blobs" };
    format!("{count} {blobs}")
}
