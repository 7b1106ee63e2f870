//! Events of a load, as they are shown. The lines of JSON are a format that programs may rely on (`docs/load.md`): members are
//! added, never changed.

use imgload::{Event, How};
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
        how: &'static str,
    },
    BlobProgress {
        digest: String,
        offset: u64,
    },
    BlobStarted {
        digest: String,
        size: u64,
        offset: u64,
    },
    Named {
        name: String,
        digest: String,
        change: &'static str,
    },
    Planned {
        blobs: usize,
        missing: usize,
        bytes: u64,
    },
    Waiting {
        digest: String,
    },
}

impl Line {
    fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::BlobDone { blob, how } => Self::BlobDone {
                digest: blob.digest.to_string(),
                size: blob.size,
                how: match how {
                    How::Present => "present",
                    How::Sent { .. } => "sent",
                    _ => return None,
                },
            },
            Event::BlobProgress { digest, offset } => Self::BlobProgress {
                digest: digest.to_string(),
                offset: *offset,
            },
            Event::BlobStarted { blob, offset } => Self::BlobStarted {
                digest: blob.digest.to_string(),
                size: blob.size,
                offset: *offset,
            },
            Event::Named {
                name,
                digest,
                change,
            } => Self::Named {
                name: name.clone(),
                digest: digest.to_string(),
                change: change.as_str(),
            },
            Event::Planned {
                blobs,
                missing,
                bytes,
            } => Self::Planned {
                blobs: *blobs,
                missing: *missing,
                bytes: *bytes,
            },
            Event::Waiting { digest } => Self::Waiting {
                digest: digest.to_string(),
            },
            _ => return None,
        })
    }
}

impl ShownEvent for Event {
    fn warn(&self, context: &Context) {
        if let Self::Waiting { digest } = self {
            context.report.note(format_args!(
                "{digest} is being written by somebody else; waiting for it"
            ));
        }
    }

    fn log(&self) -> Option<String> {
        match self {
            Self::BlobDone {
                blob,
                how: How::Sent { bytes },
            } => Some(format!(
                "{} sent {}",
                short(&blob.digest),
                indicatif::HumanBytes(*bytes)
            )),
            _ => None,
        }
    }

    fn json(&self) -> Option<serde_json::Result<String>> {
        Line::of(self).map(|line| serde_json::to_string(&line))
    }

    fn transfer(&self) -> Option<Transfer> {
        Some(match self {
            Self::BlobStarted { blob, .. } => Transfer::Started {
                key: blob.digest.to_string(),
                digest: blob.digest,
                size: blob.size,
            },
            Self::BlobProgress { digest, offset } => Transfer::At(digest.to_string(), *offset),
            Self::BlobDone { blob, .. } => Transfer::Ended(blob.digest.to_string(), ""),
            _ => return None,
        })
    }
}
