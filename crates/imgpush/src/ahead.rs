//! Reading ahead: a source is read while what was read before is on its way.

use futures_util::{StreamExt, stream};
use imgstore::{UnverifiedStream, blocking};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// How many pieces go from one task to the other at once, each of 64 KiB as most sources give them: waking the other for
/// each of them would cost as much as copying it.
const TOGETHER: usize = 8;

/// How many times as many pieces wait.
const WAITING: usize = 2;

/// What is smaller is sent before a second task has begun to read it.
pub(crate) const WORTHWHILE: u64 = 1024 * 1024;

/// Reads a stream in a task of its own; one of files in a thread where waiting for the disk holds nobody up.
///
/// Where there is no runtime, nothing is read ahead. Dropping the stream ends the task.
pub(crate) fn ahead(bytes: UnverifiedStream, is_local: bool) -> UnverifiedStream {
    let Ok(runtime) = Handle::try_current() else {
        return bytes;
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    // No piece that is there waits for one that is not.
    let mut pieces = bytes.ready_chunks(TOGETHER);
    let pump = async move {
        while let Some(some) = pieces.next().await {
            if sender.send(some).await.is_err() {
                return;
            }
        }
    };
    if is_local {
        drop(runtime.spawn_blocking(move || blocking::block_on(pump)));
    } else {
        drop(runtime.spawn(pump));
    }
    let batches = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    UnverifiedStream::new(batches.flat_map(stream::iter))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use imgstore::{Error, ErrorKind};

    use super::*;

    #[tokio::test]
    async fn pieces_and_errors_keep_their_order() {
        for is_local in [false, true] {
            let pieces = (0_u8..100).map(|it| Ok(Bytes::from(vec![it])));
            let broken = Err(Error::new(ErrorKind::Io, "the disk is gone"));
            let bytes = UnverifiedStream::new(stream::iter(pieces.chain([broken])));
            let read: Vec<_> = ahead(bytes, is_local).collect().await;
            let (last, pieces) = read.split_last().unwrap();
            assert_eq!(last.as_ref().unwrap_err().kind(), ErrorKind::Io);
            let pieces = pieces.iter().map(|piece| piece.as_ref().unwrap()[0]);
            assert!(pieces.eq(0..100));
        }
    }
}
