//! What imgserve reads of a request.

use http::{Method, Uri};
use imgserve::distribution::{ManifestReference, Operation, route};

/// Methods, paths and queries of a registry (`GET /v2/…`): a name that was taken is one, and no path leads out of it.
pub fn registry_route(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (method, url) = text.split_once(' ').unwrap_or(("GET", text));
    let Ok(method) = method.parse::<Method>() else {
        return;
    };
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (url, None),
    };
    let Ok(operation) = route(&method, path, query) else {
        return;
    };
    for name in names(&operation) {
        let is_safe = name.split('/').all(|part| !part.is_empty() && !part.starts_with(['.', '_']));
        assert!(is_safe, "{name}");
    }
    // The same question in one canonical form has the same answer.
    if let Operation::ManifestRead { repository, reference } = &operation {
        let reference = match reference {
            ManifestReference::Digest(digest) => digest.to_string(),
            ManifestReference::Tag(tag) => tag.to_string(),
        };
        let url: Uri = format!("/v2/{repository}/manifests/{reference}")
            .parse()
            .expect("names are safe in a URL");
        let again = route(&method, url.path(), url.query());
        assert_eq!(again.expect("what was written is read"), operation);
    }
}

/// The parts of an operation that become files' names.
fn names(operation: &Operation) -> Vec<&str> {
    match operation {
        Operation::BlobDelete { repository, .. }
        | Operation::BlobRead { repository, .. }
        | Operation::ManifestDelete { repository, .. }
        | Operation::ManifestRead { repository, .. }
        | Operation::ManifestWrite { repository, .. }
        | Operation::Referrers { repository, .. }
        | Operation::Tags { repository, .. } => vec![repository.as_str()],
        Operation::UploadAppend { upload }
        | Operation::UploadCancel { upload }
        | Operation::UploadFinish { upload, .. }
        | Operation::UploadStatus { upload } => vec![upload.repository.as_str(), &upload.id],
        Operation::UploadStart { repository, mount, .. } => {
            let from = mount.as_ref().and_then(|mount| mount.from.as_ref());
            let names = [Some(repository), from].into_iter().flatten();
            names.map(|name| name.as_str()).collect()
        }
        _ => Vec::new(),
    }
}
