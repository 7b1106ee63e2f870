//! What containerd has: asked for many blobs at once.

use std::collections::HashMap;

use imgcore::Digest;

use super::client::Session;
use super::labels::Labels;
use super::proto::content::{Info, ListRequest};
use crate::Result;

/// How many digests one request asks for. containerd looks at all its blobs for each request, and at all filters for each
/// blob.
const BATCH: usize = 100;

/// A blob that is there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) size: u64,
    pub(super) labels: Labels,
}

/// Returns which of some blobs are in the namespace.
pub(super) async fn find(session: &Session, digests: &[Digest]) -> Result<HashMap<Digest, Found>> {
    let mut found = HashMap::new();
    for batch in digests.chunks(BATCH) {
        let filters = batch.iter().map(|it| format!("digest==\"{it}\""));
        let request = ListRequest {
            filters: filters.collect(),
        };
        let request = session.request("Content.List", request);
        let failed = |status| session.error("asking which blobs are there", &status);
        let answers = session.content().list(request).await;
        let mut answers = answers.map_err(failed)?.into_inner();
        while let Some(answer) = answers.message().await.map_err(failed)? {
            found.extend(answer.info.into_iter().filter_map(read));
        }
    }
    Ok(found)
}

/// Reads an entry; what no blob can be is none.
fn read(info: Info) -> Option<(Digest, Found)> {
    let found = Found {
        size: u64::try_from(info.size).ok()?,
        labels: info.labels,
    };
    Some((info.digest.parse().ok()?, found))
}
