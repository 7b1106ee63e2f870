//! From a plan to the bytes of a layer.

mod ahead;
mod duplicates;
mod format;
mod header;

use std::collections::HashMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::thread;

use imgcore::{LayerMetadata, MediaType};
use imgtar::{Codec, END_OF_ARCHIVE, EntryKind, padding};
use sha2::{Digest, Sha256};

use crate::encode::{BlobWriter, EncodeOptions, EncoderIdentity};
use crate::estargz::{Estargz, EstargzOptions, Order, TOC_DIGEST, UNCOMPRESSED_SIZE};
use crate::path::LayerPath;
use crate::plan::{Body, FileBody, Group, Plan, Record};
use crate::source::ContentReader;
use crate::{Error, ErrorKind};

use ahead::{SmallContent, SmallFiles, SmallReader, is_small};
use duplicates::{Duplicates, Judgement, Suspects};
use format::Plain;
use header::{About, Headers};

pub(crate) use format::Format;

/// Writes the layer that a plan describes.
///
/// Contents are read once: small ones ahead of the writing, by several threads where there are many, others straight
/// into the blocks that are compressed. The exception are large
/// files that begin like another of their size and turn out to be different, which are read twice.
/// Memory does not grow with what is in the files.
///
/// # Examples
///
/// ```
/// use imglayer::{EncodeOptions, LayerPath, PlanBuilder, PlanOptions, write_layer};
///
/// let mut builder = PlanBuilder::new(PlanOptions::default());
/// builder.bytes(LayerPath::parse("etc/motd")?, "welcome\n")?;
/// let (written, blob) = write_layer(&builder.finish()?, &EncodeOptions::default(), Vec::new())?;
/// assert_eq!(written.metadata.size, blob.len() as u64);
/// # Ok::<(), imglayer::Error>(())
/// ```
///
/// # Errors
///
/// * [`Changed`](ErrorKind::Changed) if a file is not what it was when it was planned;
/// * [`NotFound`](ErrorKind::NotFound), [`Io`](ErrorKind::Io) if one cannot be read, or the output
///   not be written;
/// * [`InvalidInput`](ErrorKind::InvalidInput) if an entry has values that no tar header can hold,
///   and for options that no encoder can have.
///
/// What was written to `out` until then is no layer.
///
/// # Determinism
///
/// The bytes depend on the plan's names, metadata and contents, and on the
/// [identity](Written::encoder) of the encoder. They do not depend on where the inputs were, on the
/// order in which they were added, or on the number of threads.
pub fn write_layer<W: Write + Send>(
    plan: &Plan,
    options: &EncodeOptions,
    out: W,
) -> Result<(Written, W), Error> {
    write_layer_as(plan, &LayerFormat::Plain, options, out)
}

/// Writes the layer that a plan describes in one of the forms that layers have.
///
/// All that is said of [`write_layer`] holds here. An eStargz layer keeps some 100 bytes for each file while it is
/// written, and 50 for each further chunk.
///
/// # Examples
///
/// See [`estargz`](crate::estargz).
///
/// # Errors
///
/// As [`write_layer`], and [`InvalidInput`](ErrorKind::InvalidInput) for options that the format does not have, names
/// that it cannot hold or [reserves](crate::estargz::RESERVED_NAMES), and prioritized files that are not in the layer.
pub fn write_layer_as<W: Write + Send>(
    plan: &Plan,
    format: &LayerFormat,
    options: &EncodeOptions,
    out: W,
) -> Result<(Written, W), Error> {
    match format {
        LayerFormat::Plain => {
            let blob = BlobWriter::new(out, options)?;
            let mut writer = LayerWriter::new(plan, [&plan.order, &[]], blob, Plain);
            writer.write_entries(&plan.order, options.threads)?;
            let ((), written, out) = writer.finish(options, EncoderIdentity::of(options)?)?;
            Ok((written, out))
        }
        LayerFormat::Estargz(estargz) => write_estargz(plan, estargz, options, out),
    }
}

fn write_estargz<W: Write + Send>(
    plan: &Plan,
    estargz: &EstargzOptions,
    options: &EncodeOptions,
    out: W,
) -> Result<(Written, W), Error> {
    estargz.check(options)?;
    let order = Order::new(plan, estargz)?;
    let blob = BlobWriter::seekable(out, options)?;
    let (prioritized, others) = order.parts();
    let format = Estargz::new(plan, estargz);
    let mut writer = LayerWriter::new(plan, [prioritized, others], blob, format);
    writer.write_entries(prioritized, options.threads)?;
    (writer.format).write_landmark(order.landmark(), &mut writer.blob)?;
    writer.write_entries(others, options.threads)?;
    // The landmark and the TOC.
    writer.counts.entries += 2;
    let identity = EncoderIdentity::of_seekable(options)?.with(&estargz.identity());
    let (toc_digest, mut written, out) = writer.finish(options, identity)?;
    let size = written.uncompressed_size;
    written.metadata.annotations.extend([
        (TOC_DIGEST.to_owned(), toc_digest.to_string()),
        (UNCOMPRESSED_SIZE.to_owned(), size.to_string()),
    ]);
    (written.missing, written.bare_directories) = order.into_remarks();
    Ok((written, out))
}

/// What a layer's blob is, beside the compressed archive of its entries.
///
/// More forms will come; what they have in common is in the [`EncodeOptions`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerFormat {
    /// Nothing else.
    #[default]
    Plain,
    /// A gzip blob of which single files can be fetched: see [`estargz`](crate::estargz).
    Estargz(EstargzOptions),
}

/// What is known of a layer once it is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Written {
    /// What images need to know of the layer: digests, size and media type.
    pub metadata: LayerMetadata,
    /// The size of the layer's tar archive in bytes.
    pub uncompressed_size: u64,
    /// What made the bytes: the same plan and another identity may give other bytes.
    pub encoder: EncoderIdentity,
    /// What was in the layer and how often it was read.
    pub counts: Counts,
    /// The prioritized files of a seekable layer that are not in it.
    pub missing: Vec<LayerPath>,
    /// Prioritized directories of a seekable layer that bring nothing along: they have entries, and none of these is
    /// prioritized.
    pub bare_directories: Vec<LayerPath>,
}

/// What was written into a layer, and read for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Entries of any kind.
    pub entries: u64,
    /// Regular files that carry content, which may be empty.
    pub files: u64,
    /// Hard links, by intent or because of equal content.
    pub linked: u64,
    /// Files whose content was read once, into the layer or to find that it is there already.
    pub files_read_once: u64,
    /// Files whose content was read twice: once to compare it.
    pub files_read_twice: u64,
    /// Bytes of content that were read.
    pub bytes_read: u64,
    /// Files whose content was hashed, because another one has the same size and metadata.
    pub files_hashed: u64,
}

struct LayerWriter<'p, W: Write + Send, F> {
    plan: &'p Plan,
    blob: BlobWriter<W>,
    format: F,
    suspects: Suspects,
    headers: Headers,
    counts: Counts,
    duplicates: Duplicates,
    /// The records that carry the content of files with several names.
    groups: HashMap<Group, u32>,
}

impl<'p, W: Write + Send, F: Format<W>> LayerWriter<'p, W, F> {
    /// Starts a layer of entries that are written in two parts, the second of which may be empty.
    fn new(plan: &'p Plan, parts: [&[u32]; 2], blob: BlobWriter<W>, format: F) -> Self {
        Self {
            plan,
            blob,
            format,
            suspects: Suspects::new(plan, parts),
            headers: Headers::new(),
            counts: Counts::default(),
            duplicates: Duplicates::default(),
            groups: HashMap::new(),
        }
    }

    /// Writes entries, with the small files among them read by up to `threads` threads.
    fn write_entries(&mut self, records: &[u32], threads: NonZeroUsize) -> Result<(), Error> {
        let is_written = |group| self.groups.contains_key(&group);
        let files = SmallFiles::new(self.plan, records, &self.suspects, is_written);
        let files = files.with_hashes(F::WANTS_HASHES);
        thread::scope(|scope| {
            let mut small = files.start(scope, threads.get());
            (records.iter()).try_for_each(|number| self.write_entry(*number, &mut small))
        })
    }

    /// Ends the layer, and says what the format knows of it and what is known of every layer.
    fn finish(
        mut self,
        options: &EncodeOptions,
        encoder: EncoderIdentity,
    ) -> Result<(F::Summary, Written, W), Error> {
        self.plan.sources.check_archives()?;
        let summary = self.format.finish(&mut self.blob)?;
        let (blob, out) = self.blob.finish()?;
        let media_type = match options.codec {
            Codec::Gzip => MediaType::OCI_LAYER_GZIP,
            Codec::None => MediaType::OCI_LAYER_TAR,
            Codec::Zstd => MediaType::OCI_LAYER_ZSTD,
        };
        let written = Written {
            metadata: LayerMetadata::new(Some(blob.diff_id), media_type, blob.digest, blob.size),
            uncompressed_size: blob.uncompressed_size,
            encoder,
            counts: self.counts,
            missing: Vec::new(),
            bare_directories: Vec::new(),
        };
        Ok((summary, written, out))
    }

    fn write_entry(&mut self, number: u32, small: &mut SmallReader<'_>) -> Result<(), Error> {
        let record = &self.plan.records[number as usize];
        self.counts.entries += 1;
        let about = match &record.body {
            Body::File(file) => return self.write_file(number, record, file, small),
            Body::Directory => About::kind(EntryKind::Directory),
            Body::Symlink(target) => About::link(EntryKind::Symlink, target),
            Body::Special { kind, device } => About {
                device: *device,
                ..About::kind(*kind)
            },
            Body::HardLink(_) => {
                let message = format!("hard link {} has no file in the plan", record.path);
                return Err(Error::new(ErrorKind::Bug, message));
            }
        };
        self.write_header(record, about)?;
        self.format.other(number);
        Ok(())
    }

    fn write_file(
        &mut self,
        number: u32,
        record: &'p Record,
        file: &'p FileBody,
        small: &mut SmallReader<'_>,
    ) -> Result<(), Error> {
        let known = file
            .group
            .and_then(|group| self.groups.get(&group).copied());
        if let Some(target) = known {
            return self.write_hard_link(number, target);
        }
        let carrier = if is_small(file) {
            self.write_small(number, record, small.next(number)?)?
        } else {
            self.write_content(number, record, file)?
        };
        if let Some(group) = file.group {
            self.groups.insert(group, carrier);
        }
        Ok(())
    }

    /// Writes a file whose content was read already, or a hard link to an equal one. Returns the
    /// record that carries the content.
    fn write_small(
        &mut self,
        number: u32,
        record: &'p Record,
        content: SmallContent<'_>,
    ) -> Result<u32, Error> {
        let SmallContent { bytes, hash } = content;
        let size = bytes.len() as u64;
        self.counts.files_read_once += u64::from(size > 0);
        self.counts.bytes_read += size;
        if let Some(hash) = hash.filter(|_| self.suspects.contains(number)) {
            self.counts.files_hashed += 1;
            if let Some(target) = self.duplicates.carrier(record.metadata, hash) {
                self.write_hard_link(number, target)?;
                return Ok(target);
            }
            self.duplicates.remember(record.metadata, hash, number);
        }
        self.start_file(number, size)?;
        match hash {
            Some(hash) if size > 0 && self.format.piece(&mut self.blob)? >= size => {
                self.format.hashed_content(bytes, hash);
                self.blob.write_all(bytes)?;
            }
            _ => write_bytes(&mut self.format, &mut self.blob, bytes)?,
        }
        self.end_file(size)?;
        Ok(number)
    }

    /// Writes a file, or a hard link to an equal one. Returns the record that carries the content.
    fn write_content(
        &mut self,
        number: u32,
        record: &'p Record,
        file: &'p FileBody,
    ) -> Result<u32, Error> {
        let plan = self.plan;
        let mut reader = ContentReader::open(&plan.sources, &record.path, &file.source, file.size)?;
        if !self.suspects.contains(number) {
            self.counts.files_read_once += u64::from(file.size > 0);
            self.start_file(number, file.size)?;
            self.copy(&mut reader, None)?;
            self.end_file(file.size)?;
            reader.finish()?;
            return Ok(number);
        }
        let judgement = self.duplicates.judge(record.metadata, &mut reader)?;
        self.counts.files_hashed += 1;
        self.counts.bytes_read += file.size - reader.remaining();
        match judgement {
            Judgement::Equal(target) => {
                self.counts.files_read_once += 1;
                reader.finish()?;
                self.write_hard_link(number, target)?;
                return Ok(target);
            }
            Judgement::Started(mut hasher) => {
                self.counts.files_read_once += 1;
                self.start_file(number, file.size)?;
                let start = self.duplicates.start();
                write_bytes(&mut self.format, &mut self.blob, start)?;
                self.copy(&mut reader, Some(&mut hasher))?;
                let hash = hasher.finalize().into();
                self.duplicates.remember(record.metadata, hash, number);
            }
            Judgement::Different(hasher) => {
                self.counts.files_read_twice += 1;
                reader.rewind()?;
                self.start_file(number, file.size)?;
                self.copy(&mut reader, None)?;
                let hash = hasher.finalize().into();
                self.duplicates.remember(record.metadata, hash, number);
            }
        }
        self.end_file(file.size)?;
        reader.finish()?;
        Ok(number)
    }

    fn start_file(&mut self, number: u32, size: u64) -> Result<(), Error> {
        self.counts.files += 1;
        let record = &self.plan.records[number as usize];
        self.write_header(record, About::file(size))?;
        self.format.start_file(number, size, &mut self.blob)
    }

    fn end_file(&mut self, size: u64) -> Result<(), Error> {
        self.blob.write_all(&END_OF_ARCHIVE[..padding(size)])?;
        self.format.end_file(size, &mut self.blob)
    }

    /// Reads what is left of a content straight into the blocks that are compressed.
    fn copy(
        &mut self,
        reader: &mut ContentReader<'_>,
        mut hasher: Option<&mut Sha256>,
    ) -> Result<(), Error> {
        while reader.remaining() > 0 {
            let piece = self.format.piece(&mut self.blob)?;
            let mut space = self.blob.spare()?;
            if piece < space.len() as u64 {
                space = &mut space[..usize::try_from(piece).unwrap_or(usize::MAX)];
            }
            let read = reader.fill(space)?;
            self.format.content(&space[..read]);
            if let Some(hasher) = &mut hasher {
                hasher.update(&space[..read]);
            }
            self.blob.advance(read);
            self.counts.bytes_read += read as u64;
        }
        Ok(())
    }

    fn write_hard_link(&mut self, number: u32, target: u32) -> Result<(), Error> {
        self.counts.linked += 1;
        let [record, carrier] = [number, target].map(|at| &self.plan.records[at as usize]);
        let about = About::link(EntryKind::HardLink, carrier.path.as_bytes());
        self.write_header(record, about)?;
        self.format.hard_link(number, target);
        Ok(())
    }

    /// Writes a header with the metadata of its record.
    fn write_header(&mut self, record: &Record, about: About<'_>) -> Result<(), Error> {
        let blocks = self.headers.encode(self.plan, record, about)?;
        self.blob.write_all(blocks)
    }
}

/// Writes content that is in memory.
fn write_bytes<W: Write + Send, F: Format<W>>(
    format: &mut F,
    blob: &mut BlobWriter<W>,
    mut bytes: &[u8],
) -> Result<(), Error> {
    while !bytes.is_empty() {
        let piece = format.piece(blob)?;
        let length = usize::try_from(piece).map_or(bytes.len(), |piece| piece.min(bytes.len()));
        let (now, later) = bytes.split_at(length);
        format.content(now);
        blob.write_all(now)?;
        bytes = later;
    }
    Ok(())
}
