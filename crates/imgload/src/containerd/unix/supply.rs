//! The bytes of one blob, as the requests that write them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use imgcore::Descriptor;
use imgstore::{BlobSource, UnverifiedStream, blocking};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::labels::Labels;
use super::proto::content::{WriteAction, WriteRequest};

/// How many bytes a request carries. Larger ones make no difference, and containerd takes up to 16 MiB.
const MESSAGE: usize = 512 * 1024;

/// How many requests wait to be sent, beside the one that is being made and the one that is being sent.
pub(super) const DEPTH: usize = 2;

/// Where the bytes of a blob are.
#[derive(Clone)]
pub(super) enum Payload {
    /// In memory: a document.
    Bytes(Bytes),
    Source(Arc<dyn BlobSource>),
}

/// What is left to be written of a blob.
pub(super) struct Rest {
    pub(super) blob: Descriptor,
    pub(super) payload: Payload,
    /// How many of its bytes are there.
    pub(super) offset: u64,
    /// The labels that it gets.
    pub(super) labels: Labels,
}

impl Payload {
    /// Opens the rest of a blob. Nobody checks the bytes here: containerd does.
    pub(super) async fn open(
        &self,
        blob: &Descriptor,
        offset: u64,
    ) -> imgstore::Result<UnverifiedStream> {
        let in_memory = match self {
            Self::Bytes(bytes) => Some(bytes.clone()),
            Self::Source(_) => blob.data.as_ref().map(|it| Bytes::copy_from_slice(it)),
        };
        if let Some(bytes) = in_memory {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = bytes.slice(start.min(bytes.len())..);
            return Ok(UnverifiedStream::new(stream::iter([Ok(rest)])));
        }
        match self {
            Self::Source(source) if offset < blob.size => {
                source.open_range(blob, offset..blob.size).await
            }
            _ => Ok(UnverifiedStream::new(stream::empty())),
        }
    }

    fn is_local(&self, blob: &Descriptor) -> bool {
        match self {
            Self::Bytes(_) => false,
            Self::Source(source) => source.local_path(&blob.digest).is_some(),
        }
    }
}

impl Rest {
    /// Reads the blob in a task of its own; one of files in a thread where waiting for the disk holds nobody up. It ends
    /// when nobody takes requests any more.
    pub(super) fn spawn(self, requests: Sender<WriteRequest>) -> JoinHandle<imgstore::Result<()>> {
        let is_local = self.payload.is_local(&self.blob);
        let feed = self.feed(requests);
        if is_local {
            tokio::task::spawn_blocking(move || blocking::block_on(feed))
        } else {
            tokio::spawn(feed)
        }
    }

    async fn feed(mut self, requests: Sender<WriteRequest>) -> imgstore::Result<()> {
        let mut bytes = self.payload.open(&self.blob, self.offset).await?;
        let mut buffers = Buffers::default();
        let mut gathered = buffers.take();
        let mut left = self.blob.size.saturating_sub(self.offset);
        while left > 0 {
            let Some(piece) = bytes.next().await.transpose()? else {
                return Err(self.ended(left));
            };
            let mut piece = &piece[..piece.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            left -= piece.len() as u64;
            while !piece.is_empty() {
                let (part, rest) = piece.split_at(piece.len().min(MESSAGE - gathered.len()));
                gathered.extend_from_slice(part);
                piece = rest;
                let is_last = left == 0 && piece.is_empty();
                if gathered.len() == MESSAGE && !is_last {
                    let request = self.request(WriteAction::Write, gathered.split().freeze());
                    if requests.send(request).await.is_err() {
                        return Ok(());
                    }
                    buffers.keep(gathered);
                    gathered = buffers.take();
                }
            }
        }
        let mut last = self.request(WriteAction::Commit, gathered.freeze());
        last.total = i64::try_from(self.blob.size).unwrap_or(i64::MAX);
        last.expected = self.blob.digest.to_string();
        last.labels = std::mem::take(&mut self.labels);
        // Without a receiver the write has failed, which is told there.
        let _ = requests.send(last).await;
        Ok(())
    }

    fn request(&mut self, action: WriteAction, data: Bytes) -> WriteRequest {
        let offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
        self.offset += data.len() as u64;
        WriteRequest {
            action: action.into(),
            offset,
            data,
            ..WriteRequest::default()
        }
    }

    fn ended(&self, left: u64) -> imgstore::Error {
        let (expected, actual) = (self.blob.size, self.blob.size - left);
        let digest = self.blob.digest;
        let text = format!("content of {digest} has {actual} bytes instead of {expected}");
        let kind = imgstore::ErrorKind::SizeMismatch { expected, actual };
        imgstore::Error::new(kind, text)
    }
}

/// Buffers that are used again as soon as what was in them has been sent.
#[derive(Default)]
struct Buffers {
    all: [BytesMut; DEPTH + 2],
    next: usize,
}

impl Buffers {
    /// Returns an empty buffer with room for a message.
    fn take(&mut self) -> BytesMut {
        let mut buffer = std::mem::take(&mut self.all[self.next]);
        // Takes the old memory where nothing refers to it any more.
        buffer.reserve(MESSAGE);
        buffer
    }

    /// Takes back a buffer that [`take`](Self::take) gave.
    fn keep(&mut self, buffer: BytesMut) {
        self.all[self.next] = buffer;
        self.next = (self.next + 1) % self.all.len();
    }
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;
    use imgstore::MemoryStore;
    use tokio::sync::mpsc;

    use super::*;

    async fn requests(blob: Descriptor, payload: Payload, offset: u64) -> Vec<WriteRequest> {
        let (sender, mut receiver) = mpsc::channel(DEPTH);
        let labels = Labels::from([("key".to_owned(), "value".to_owned())]);
        let rest = Rest {
            blob,
            payload,
            offset,
            labels,
        };
        let feed = rest.spawn(sender);
        let mut all = Vec::new();
        while let Some(request) = receiver.recv().await {
            all.push(request);
        }
        feed.await.unwrap().unwrap();
        all
    }

    #[tokio::test]
    async fn requests_are_full_and_the_last_one_commits() {
        for (size, offset) in [
            (0, 0),
            (1, 0),
            (MESSAGE, 0),
            (MESSAGE + 1, 0),
            (5 * MESSAGE, 0),
            (5 * MESSAGE + 17, 3),
            (5 * MESSAGE, 5 * MESSAGE),
        ] {
            let bytes = imgtest::noise(1, size);
            let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, &bytes);
            let store = MemoryStore::new();
            store.insert(bytes.clone());
            let payload = Payload::Source(Arc::new(store));
            let all = requests(blob.clone(), payload, offset as u64).await;
            let (last, first) = all.split_last().unwrap();
            assert!(first.iter().all(|it| it.data.len() == MESSAGE));
            assert!(first.iter().all(|it| it.action() == WriteAction::Write));
            assert_eq!(last.action(), WriteAction::Commit);
            assert_eq!(last.expected, blob.digest.to_string());
            assert_eq!(last.total, i64::try_from(size).unwrap());
            assert_eq!(last.labels["key"], "value");
            let mut place = offset;
            for request in &all {
                assert_eq!(request.offset, i64::try_from(place).unwrap());
                place += request.data.len();
            }
            let sent: Vec<u8> = all.iter().flat_map(|it| it.data.to_vec()).collect();
            assert!(sent == bytes[offset..], "{size} from {offset}");
        }
    }

    #[tokio::test]
    async fn a_blob_that_ends_early_is_not_committed() {
        let bytes = imgtest::noise(1, 100);
        let mut blob = Descriptor::of(MediaType::OCI_LAYER_TAR, &bytes);
        blob.size = 101;
        let (sender, mut receiver) = mpsc::channel(DEPTH);
        let rest = Rest {
            blob,
            payload: Payload::Bytes(bytes.into()),
            offset: 0,
            labels: Labels::new(),
        };
        let feed = rest.spawn(sender);
        assert_eq!(receiver.recv().await, None);
        let kind = feed.await.unwrap().unwrap_err().kind();
        let expected = imgstore::ErrorKind::SizeMismatch {
            expected: 101,
            actual: 100,
        };
        assert_eq!(kind, expected);
    }
}
