//! A load, from the question what is there to the names.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use futures_util::{StreamExt, TryStreamExt, stream};
use imgcore::{Digest, Reference};

use super::Containerd;
use super::blobs::{Item, items};
use super::client::Session;
use super::lease::Lease;
use super::names;
use super::presence::{self, Found};
use super::write::Write;
use crate::report::Named;
use crate::{Change, Error, ErrorKind, Event, How, Image, Progress, Report, Result, contents};

/// Loads an image: what is missing, under a lease; then its names.
pub(super) async fn load(
    containerd: &Containerd,
    image: &Image,
    progress: &Progress,
) -> Result<Report> {
    let names = image.full_names()?;
    if names.is_empty() {
        let text = format!(
            "{} has no name: containerd keeps nothing that has none; name it",
            image.root.digest
        );
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    let contents = contents::read(image).await?;
    let (blobs, documents) = items(&contents, image);
    let session = containerd.session(None);
    let load = Load {
        session: &session,
        progress,
        jobs: containerd.options.jobs.max(1),
    };
    let digests: Vec<Digest> = blobs
        .iter()
        .chain(&documents)
        .map(|it| it.blob.digest)
        .collect();
    let found = presence::find(&session, &digests).await?;
    let mut report = Report {
        engine: containerd.name.clone(),
        left_out: contents.left_out,
        ..Report::default()
    };
    let is_whole = load.compare(&blobs, &documents, &found, &mut report)?;
    if !(is_whole && load.are_named(image, &names, &mut report).await?) {
        let (lease, leased) = Lease::take(&session).await?;
        let leased_load = Load {
            session: &leased,
            ..load
        };
        report.present = crate::Amount::default();
        let written = leased_load.write(
            image,
            &names,
            [&blobs[..], &documents[..]],
            &found,
            &mut report,
        );
        match written.await {
            Ok(()) => lease.end(false).await,
            Err(error) => {
                // A full disk is given back what it has got for nothing.
                lease.end(error.kind() == ErrorKind::DiskFull).await;
                return Err(error);
            }
        }
    }
    report.requests = session.requests();
    Ok(report)
}

#[derive(Clone, Copy)]
struct Load<'a> {
    session: &'a Session,
    progress: &'a Progress,
    jobs: usize,
}

impl Load<'_> {
    /// Tells what is to be done; returns whether all blobs are there with all their labels.
    fn compare(
        &self,
        blobs: &[Item<'_>],
        documents: &[Item<'_>],
        found: &HashMap<Digest, Found>,
        report: &mut Report,
    ) -> Result<bool> {
        let mut is_whole = true;
        let (mut missing, mut bytes) = (0, 0);
        for item in blobs.iter().chain(documents) {
            if let Some(found) = found.get(&item.blob.digest) {
                is_whole &= item.missing_labels(found)?.is_empty();
                report.present.add(item.blob.size);
            } else {
                missing += 1;
                bytes += item.blob.size;
            }
        }
        self.progress.tell(Event::Planned {
            blobs: blobs.len() + documents.len(),
            missing,
            bytes,
        });
        Ok(is_whole && missing == 0)
    }

    /// Returns whether all names stand for the image already.
    async fn are_named(
        &self,
        image: &Image,
        names: &[Reference],
        report: &mut Report,
    ) -> Result<bool> {
        for name in names {
            let target = names::find(self.session, &name.to_string()).await?;
            if !target.is_some_and(|it| names::is_for(&it, &image.root)) {
                report.names.clear();
                return Ok(false);
            }
            report.names.push(Named {
                name: name.to_string(),
                digest: image.root.digest,
                change: Change::Unchanged,
            });
        }
        Ok(true)
    }

    /// Writes blobs, then documents, then names.
    async fn write(
        &self,
        image: &Image,
        names: &[Reference],
        stages: [&[Item<'_>]; 2],
        found: &HashMap<Digest, Found>,
        report: &mut Report,
    ) -> Result<()> {
        for items in stages {
            let outcomes = self.put_all(items).await?;
            let mut present = Vec::new();
            for (item, how) in &outcomes {
                match how {
                    How::Present => {
                        report.present.add(item.blob.size);
                        present.push(*item);
                    }
                    How::Sent { bytes } => {
                        report.sent.add(item.blob.size);
                        report.bytes_written += bytes;
                    }
                }
            }
            report.repaired += self.repair_all(&present, found).await?;
        }
        for name in names {
            let name = name.to_string();
            let change = names::give(self.session, &name, &image.root).await?;
            let digest = image.root.digest;
            self.progress.tell(Event::Named {
                name: name.clone(),
                digest,
                change,
            });
            report.names.push(Named {
                name,
                digest,
                change,
            });
        }
        Ok(())
    }

    /// Writes what is missing. What is there is opened, too: so the lease comes to hold it, and what was collected meanwhile
    /// is found out.
    async fn put_all<'i, 'd>(&self, items: &'i [Item<'d>]) -> Result<Vec<(&'i Item<'d>, How)>> {
        let writes: Vec<_> = items.iter().map(|item| self.put(item)).collect();
        stream::iter(writes)
            .buffer_unordered(self.jobs)
            .try_collect()
            .await
    }

    async fn put<'i, 'd>(&self, item: &'i Item<'d>) -> Result<(&'i Item<'d>, How)> {
        let labels = item.labels();
        let write = Write {
            session: self.session,
            progress: self.progress,
            blob: item.blob,
            payload: &item.payload,
            labels: &labels,
            written: AtomicU64::new(0),
        };
        Ok((item, write.run().await?))
    }

    /// Adds labels where they are missing; returns to how many blobs.
    async fn repair_all(
        &self,
        present: &[&Item<'_>],
        found: &HashMap<Digest, Found>,
    ) -> Result<u64> {
        // Somebody else may have written some since they were asked for.
        let new = present.iter().map(|it| it.blob.digest);
        let new: Vec<Digest> = new.filter(|it| !found.contains_key(it)).collect();
        let found_now = presence::find(self.session, &new).await?;
        let mut count = 0;
        for item in present {
            let digest = &item.blob.digest;
            let Some(found) = found.get(digest).or_else(|| found_now.get(digest)) else {
                continue;
            };
            let labels = item.missing_labels(found)?;
            if !labels.is_empty() {
                item.repair(self.session, labels).await?;
                count += 1;
            }
        }
        Ok(count)
    }
}
