//! Moving one blob from the first place that has it, going on where another place stopped.

use bytes::Bytes;
use futures_util::StreamExt;
use imgcore::{Descriptor, Digest};
use imgstore::{BlobSource, Error, ErrorKind, Result, UnverifiedStream};

use crate::cache::is_damage;

/// Where the bytes of one blob go. It checks them by itself.
pub(crate) trait Target: Send {
    /// Returns how many bytes are there: where the next ones belong.
    fn offset(&self) -> u64;
    /// Appends bytes.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<()>> + Send;
    /// Forgets all bytes.
    fn restart(&mut self) -> impl Future<Output = Result<()>> + Send;
    /// Checks size and digest, and makes the blob visible.
    fn finish(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// Whose fault it was.
pub(crate) enum Failed {
    /// Another source may do better.
    Source(Error),
    /// No source can help.
    Target(Error),
}

/// Fetches a blob from the only source there is.
pub(crate) async fn from_one(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
    target: &mut impl Target,
) -> Result<(), Failed> {
    fetch(source, descriptor, target, |_| {}).await
}

/// Fetches what is missing of a blob. `tick` is told how much of it is there.
///
/// If bytes of an earlier attempt prove wrong with the new ones, the source is asked once more for all of them: it may
/// not be the one to blame. After a source's own wrong bytes the target is empty again.
pub(crate) async fn fetch(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
    target: &mut impl Target,
    tick: impl Fn(u64),
) -> Result<(), Failed> {
    let had_bytes = target.offset() > 0;
    let failed = match attempt(source, descriptor, target, &tick).await {
        Err(Failed::Source(error)) if is_damage(error.kind()) => error,
        other => return other,
    };
    target.restart().await.map_err(Failed::Target)?;
    if !had_bytes {
        return Err(Failed::Source(failed));
    }
    let again = attempt(source, descriptor, target, &tick).await;
    if matches!(&again, Err(Failed::Source(error)) if is_damage(error.kind())) {
        target.restart().await.map_err(Failed::Target)?;
    }
    again
}

async fn attempt(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
    target: &mut impl Target,
    tick: &impl Fn(u64),
) -> Result<(), Failed> {
    let start = target.offset();
    if start < descriptor.size {
        let mut stream = open(source, descriptor, start)
            .await
            .map_err(Failed::Source)?;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(Failed::Source)?;
            let offset = target.offset().saturating_add(chunk.len() as u64);
            if offset > descriptor.size {
                let error = check_size(&descriptor.digest, descriptor.size, offset);
                return error.map_err(Failed::Source);
            }
            target.write(chunk).await.map_err(Failed::Target)?;
            tick(offset);
        }
    }
    target.finish().await.map_err(|error| {
        if is_damage(error.kind()) {
            Failed::Source(error)
        } else {
            Failed::Target(error)
        }
    })
}

async fn open(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
    start: u64,
) -> Result<UnverifiedStream> {
    if start > 0 {
        return source.open_range(descriptor, start..descriptor.size).await;
    }
    // The target checks: once is enough.
    Ok(source.open(descriptor).await?.into_unverified())
}

/// Fails unless there are as many bytes as announced.
pub(crate) fn check_size(digest: &Digest, expected: u64, actual: u64) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    let what = if actual > expected { "at least " } else { "" };
    let text = format!("content of {digest} has {what}{actual} bytes instead of {expected}");
    Err(Error::new(
        ErrorKind::SizeMismatch { expected, actual },
        text,
    ))
}
