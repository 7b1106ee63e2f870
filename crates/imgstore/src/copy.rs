//! Copying a blob from a source to a sink.

use std::ops::Range;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use imgcore::Descriptor;

use crate::{Begin, BlobSink, BlobSource, Ingest, Result};

/// What [`copy()`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Copied {
    /// The sink had the blob.
    AlreadyThere,
    /// Bytes were moved.
    Bytes(u64),
}

/// Copies one blob, unless the sink has it.
///
/// Where the sink already has the first bytes, only the rest is read.
///
/// # Errors
///
/// Those of the source, its stream and the sink. The blob is then not visible in the sink.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing visible in the sink.
pub async fn copy(
    source: &(impl BlobSource + ?Sized),
    sink: &(impl BlobSink + ?Sized),
    descriptor: &Descriptor,
) -> Result<Copied> {
    let mut ingest = match sink.writer(descriptor).await? {
        Begin::AlreadyExists => return Ok(Copied::AlreadyThere),
        Begin::Writer(ingest) => ingest,
    };
    let start = ingest.offset();
    if start == 0 {
        // The ingest checks what it takes: once is enough.
        pour(
            source.open(descriptor).await?.into_unverified(),
            &mut ingest,
        )
        .await?;
    } else {
        let rest: Range<u64> = start..descriptor.size;
        pour(source.open_range(descriptor, rest).await?, &mut ingest).await?;
    }
    ingest.commit().await?;
    Ok(Copied::Bytes(descriptor.size.saturating_sub(start)))
}

async fn pour(
    mut stream: impl Stream<Item = Result<Bytes>> + Unpin,
    ingest: &mut Ingest,
) -> Result<()> {
    while let Some(chunk) = stream.next().await {
        ingest.write(chunk?).await?;
    }
    Ok(())
}
