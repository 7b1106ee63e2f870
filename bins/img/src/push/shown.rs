//! What is said about a push that has ended.

use std::fmt::Write as _;

use imgcore::Digest;
use imgpush::{Amount, Location, Report};
use indicatif::HumanBytes;
use serde_json::Value;

use crate::context::Context;
use crate::report::Failure;

/// Writes a name that means this image for ever: `registry.example/team/app:v1@sha256:…`.
pub(crate) fn reference(to: &Location, tag: Option<&str>, digest: &Digest) -> String {
    match tag {
        Some(tag) => format!("{to}:{tag}@{digest}"),
        None => format!("{to}@{digest}"),
    }
}

/// Prints the references of what was pushed, and says on standard error what that took.
pub(crate) fn tell(context: &Context, report: &Report, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return context
            .report
            .print(format_args!("{}\n", last_line(report)?));
    }
    let mut references = String::new();
    for image in report.images.iter().filter(|it| it.is_pushed()) {
        let tags = image.tags.iter().map(|tag| Some(tag.as_str()));
        let untagged = image.tags.is_empty().then_some(None);
        for tag in tags.chain(untagged) {
            references.push_str(&reference(&image.destination, tag, &image.root));
            references.push('\n');
        }
    }
    context.report.print(references)?;
    context.report.error_text(summary(report));
    Ok(())
}

/// The report as an event.
fn last_line(report: &Report) -> Result<Value, Failure> {
    let mut value: Value = serde_json::from_slice(&report.to_json())?;
    value["event"] = "pushed".into();
    Ok(value)
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
