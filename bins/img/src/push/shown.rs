//! What is said about a push that has ended.

use std::fmt::Write as _;

use imgcore::Digest;
use imgpush::{Amount, Location, Report};
use indicatif::HumanBytes;

/// Writes a name that means this image for ever: `registry.example/team/app:v1@sha256:…`.
pub(crate) fn reference(to: &Location, tag: Option<&str>, digest: &Digest) -> String {
    match tag {
        Some(tag) => format!("{to}:{tag}@{digest}"),
        None => format!("{to}@{digest}"),
    }
}

/// Says what was sent, and what that took.
pub(crate) fn summary(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<15} {value}");
    };
    let amounts = [
        ("sent", report.sent),
        ("mounted", report.mounted),
        ("there before", report.skipped),
    ];
    for (name, amount) in amounts {
        if amount.blobs > 0 {
            line(name, blobs(amount));
        }
    }
    let (written, unchanged) = (report.written, report.unchanged);
    line(
        "manifests",
        format!("{written} written, {unchanged} unchanged"),
    );
    for (source, bytes) in &report.bytes_by_source {
        line("read", format!("{} from {source}", HumanBytes(*bytes)));
    }
    let by_method = report.requests.iter();
    let by_method: Vec<_> = by_method
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    line("requests", by_method.join(", "));
    text
}

fn blobs(amount: Amount) -> String {
    let blobs = if amount.blobs == 1 { "blob" } else { "blobs" };
    format!("{} {blobs}, {}", amount.blobs, HumanBytes(amount.bytes))
}
