//! Events of a push, as they are shown. The lines of JSON are a format that programs may rely on (`docs/push.md`): members
//! are added, never changed.

use imgcore::Digest;
use imgpush::{Event, How, Location};
use serde::Serialize;

use super::progress::{ShownEvent, Transfer, short};
use crate::context::Context;

/// A line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line {
    BlobDone {
        digest: String,
        size: u64,
        to: String,
        how: &'static str,
        /// The repository that it was taken over from, or the source that it was read from.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    BlobProgress {
        digest: String,
        to: String,
        offset: u64,
    },
    BlobStarted {
        digest: String,
        size: u64,
        to: String,
    },
    Failed {
        what: String,
        to: String,
        reason: String,
    },
    ManifestDone {
        digest: String,
        to: String,
        at: String,
        written: bool,
    },
    Planned {
        blobs: usize,
        manifests: usize,
        bytes: u64,
    },
    SourceFailed {
        digest: String,
        source: String,
        reason: String,
    },
}

impl Line {
    fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::BlobDone { blob, to, how } => {
                let (how, from) = told(how)?;
                Self::BlobDone {
                    digest: blob.digest.to_string(),
                    size: blob.size,
                    to: to.to_string(),
                    how,
                    from,
                }
            }
            Event::BlobProgress { digest, to, offset } => Self::BlobProgress {
                digest: digest.to_string(),
                to: to.to_string(),
                offset: *offset,
            },
            Event::BlobStarted { blob, to } => Self::BlobStarted {
                digest: blob.digest.to_string(),
                size: blob.size,
                to: to.to_string(),
            },
            Event::Failed { what, to, reason } => Self::Failed {
                what: what.clone(),
                to: to.to_string(),
                reason: reason.clone(),
            },
            Event::ManifestDone {
                digest,
                at,
                to,
                is_written,
            } => Self::ManifestDone {
                digest: digest.to_string(),
                to: to.to_string(),
                at: at.to_string(),
                written: *is_written,
            },
            Event::Planned {
                blobs,
                manifests,
                bytes,
            } => Self::Planned {
                blobs: *blobs,
                manifests: *manifests,
                bytes: *bytes,
            },
            Event::SourceFailed {
                digest,
                source,
                reason,
            } => Self::SourceFailed {
                digest: digest.to_string(),
                source: source.clone(),
                reason: reason.clone(),
            },
            _ => return None,
        })
    }
}

/// Says in a word how a blob came there, and from where.
fn told(how: &How) -> Option<(&'static str, Option<String>)> {
    Some(match how {
        How::Mounted(from) => ("mounted", Some(from.to_string())),
        How::Sent(from) => ("sent", Some(from.clone())),
        How::Skipped => ("skipped", None),
        _ => return None,
    })
}

fn key(digest: &Digest, to: &Location) -> String {
    format!("{to}@{digest}")
}

impl ShownEvent for Event {
    fn warn(&self, context: &Context) {
        if let Self::SourceFailed {
            digest,
            source,
            reason,
        } = self
        {
            context.report.note(format_args!(
                "{digest} is not to be had from {source}: {reason}"
            ));
        }
    }

    fn log(&self) -> Option<String> {
        match self {
            Self::BlobDone { blob, to, how } => {
                let how = match how {
                    How::Mounted(from) => format!("mounted from {from}"),
                    How::Sent(_) => format!("sent {}", indicatif::HumanBytes(blob.size)),
                    // What was there is counted at the end.
                    _ => return None,
                };
                Some(format!("{} {how} to {to}", short(&blob.digest)))
            }
            Self::ManifestDone {
                at,
                to,
                is_written: true,
                ..
            } => {
                let separator = match at {
                    imgregistry::TagOrDigest::Tag(_) => ':',
                    imgregistry::TagOrDigest::Digest(_) => '@',
                };
                Some(format!("{to}{separator}{at}"))
            }
            _ => None,
        }
    }

    fn json(&self) -> Option<serde_json::Result<String>> {
        Line::of(self).map(|line| serde_json::to_string(&line))
    }

    fn transfer(&self) -> Option<Transfer> {
        Some(match self {
            Self::BlobStarted { blob, to } => Transfer::Started {
                key: key(&blob.digest, to),
                digest: blob.digest,
                size: blob.size,
            },
            Self::BlobProgress { digest, to, offset } => Transfer::At(key(digest, to), *offset),
            Self::BlobDone { blob, to, how } => {
                let how = match how {
                    How::Mounted(_) => "mounted",
                    _ => "",
                };
                Transfer::Ended(key(&blob.digest, to), how)
            }
            _ => return None,
        })
    }
}
