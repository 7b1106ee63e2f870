//! Events as lines of JSON: a format that programs may rely on (`docs/pull.md`). Members are added, never changed.

use imgpull::{Event, From};
use serde::Serialize;

/// A line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Line {
    Failed {
        what: String,
        origin: String,
        reason: String,
    },
    Finished {
        digest: String,
        size: u64,
        from: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        origin: Option<String>,
    },
    Progress {
        digest: String,
        offset: u64,
    },
    Resolved {
        digest: String,
        size: u64,
        #[serde(rename = "mediaType")]
        media_type: String,
        origin: String,
    },
    Skipped {
        digest: String,
        size: u64,
    },
    Started {
        digest: String,
        size: u64,
    },
}

impl Line {
    /// Writes an event; `None` for one that this program does not know.
    pub(super) fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Failed {
                what,
                origin,
                reason,
            } => Self::Failed {
                what: what.clone(),
                origin: origin.clone(),
                reason: reason.clone(),
            },
            Event::Finished { digest, size, from } => {
                let (from, origin) = match from {
                    From::Cache => ("cache", None),
                    From::Origin(name) => ("registry", Some(name.clone())),
                    _ => ("store", None),
                };
                Self::Finished {
                    digest: digest.to_string(),
                    size: *size,
                    from,
                    origin,
                }
            }
            Event::Progress { digest, offset } => Self::Progress {
                digest: digest.to_string(),
                offset: *offset,
            },
            Event::Resolved { root, origin } => Self::Resolved {
                digest: root.digest.to_string(),
                size: root.size,
                media_type: root.media_type.to_string(),
                origin: origin.clone(),
            },
            Event::Skipped { digest, size } => Self::Skipped {
                digest: digest.to_string(),
                size: *size,
            },
            Event::Started { digest, size } => Self::Started {
                digest: digest.to_string(),
                size: *size,
            },
            _ => return None,
        })
    }
}
