//! What to do about an error of which nobody said more.

use http::StatusCode;

use super::{ErrorKind, Operation, Place};
use crate::Role;

/// Returns the next step for what went wrong at a place. What is wrong with the caller's own words says so itself.
pub(super) fn default(
    kind: ErrorKind,
    place: &Place,
    status: Option<StatusCode>,
) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Denied => denied(place.role),
        ErrorKind::DigestMismatch { .. } | ErrorKind::SizeMismatch { .. } => {
            "try again; if it stays so, the content is damaged there: tell whoever runs the host"
        }
        ErrorKind::Forbidden => {
            "the client does not go there: ask whoever runs the registry to lead to a public address, by https"
        }
        ErrorKind::Immutable => "write another tag",
        ErrorKind::InvalidInput => return None,
        ErrorKind::NotFound => missing(place.operation),
        ErrorKind::Protocol if status.is_some() => {
            "check what the registry says of the request, and whether it is a registry"
        }
        ErrorKind::Protocol => {
            "check that the host is a registry, and no proxy answers in its place"
        }
        ErrorKind::Throttled => "wait, ask for less at once, or log in where that raises the limit",
        ErrorKind::TooLarge if status.is_some() => {
            "ask whoever runs the registry, or a proxy before it, to allow more"
        }
        ErrorKind::TooLarge => "check that the host is a registry: it sends more than one does",
        ErrorKind::Unavailable if status.is_some() => {
            "try again later; if it stays so, tell whoever runs the host"
        }
        ErrorKind::Unavailable => {
            "try again; if it stays so, check the network and the proxies on the way"
        }
        ErrorKind::Unsupported => "ask whoever runs the registry whether it can be turned on",
    })
}

fn denied(role: Role) -> &'static str {
    match role {
        // Signed addresses hold for a while by the clock of who signs them.
        Role::Storage | Role::Upload => {
            "try again, and check this machine's clock: addresses that are signed hold for a while"
        }
        _ => "check that the credentials may do this",
    }
}

fn missing(operation: Operation) -> &'static str {
    match operation {
        Operation::ReadBlob | Operation::CheckBlob | Operation::DeleteBlob => {
            "check the repository and the digest; what is there may have been removed since"
        }
        Operation::WriteBlob | Operation::MountBlob | Operation::WriteManifest => {
            "check the repository: some registries want it to be made first"
        }
        Operation::ReadManifest | Operation::CheckManifest | Operation::DeleteManifest => {
            "check the repository and the tag or digest"
        }
        _ => "check the host and the repository",
    }
}
