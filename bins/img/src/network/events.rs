//! Events as lines of JSON: a format that programs may rely on (`docs/pull.md`). Members are added, never changed.

use imgpull::{Event, From};
use serde::Serialize;

use super::notices::Notice;

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
    Waiting {
        host: String,
        attempt: u32,
        milliseconds: u64,
        reason: String,
    },
    Warning {
        host: String,
        text: String,
    },
}

impl Line {
    /// Writes what the client says.
    pub(super) fn of_notice(notice: &Notice) -> Self {
        match notice {
            Notice::MirrorFailed { host, reason } => Self::Failed {
                what: "mirror".to_owned(),
                origin: host.clone(),
                reason: reason.clone(),
            },
            Notice::Waiting {
                host,
                attempt,
                pause,
                reason,
                ..
            } => Self::Waiting {
                host: host.clone(),
                attempt: *attempt,
                milliseconds: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                reason: reason.clone(),
            },
            Notice::Warning { host, text } => Self::Warning {
                host: host.clone(),
                text: text.clone(),
            },
        }
    }

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
