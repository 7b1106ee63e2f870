//! From a plan to the bytes of a layer.

mod duplicates;
mod format;

use std::collections::HashMap;
use std::io::Write;

use imgcore::{LayerMetadata, MediaType};
use imgtar::{Codec, END_OF_ARCHIVE, EntryKind, Header, padding};
use sha2::{Digest, Sha256};

use crate::encode::{BlobWriter, EncodeOptions, EncoderIdentity};
use crate::estargz::{Estargz, EstargzOptions, Order, TOC_DIGEST, UNCOMPRESSED_SIZE};
use crate::path::LayerPath;
use crate::plan::{Body, FileBody, Group, Plan, Record};
use crate::source::ContentReader;
use crate::{Error, ErrorKind};

use duplicates::{Duplicates, Judgement};
use format::Plain;

pub(crate) use format::Format;

/// Writes the layer that a plan describes.
///
/// Contents are read once, straight into the blocks that are compressed; the exception are large
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
/// that it cannot hold, and prioritized files that are not in the layer.
pub fn write_layer_as<W: Write + Send>(
    plan: &Plan,
    format: &LayerFormat,
    options: &EncodeOptions,
    out: W,
) -> Result<(Written, W), Error> {
    match format {
        LayerFormat::Plain => {
            let blob = BlobWriter::new(out, options)?;
            let mut writer = LayerWriter::new(plan, blob, Plain);
            writer.write_entries(&plan.order)?;
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
    let mut writer = LayerWriter::new(plan, blob, Estargz::new(plan, estargz));
    let (prioritized, others) = order.parts();
    writer.write_entries(prioritized)?;
    (writer.format).write_landmark(order.landmark(), &mut writer.blob)?;
    writer.write_entries(others)?;
    // The landmark and the TOC.
    writer.counts.entries += 2;
    let identity = EncoderIdentity::of_seekable(options)?.with(&estargz.identity());
    let (toc_digest, mut written, out) = writer.finish(options, identity)?;
    let size = written.uncompressed_size;
    written.metadata.annotations.extend([
        (TOC_DIGEST.to_owned(), toc_digest.to_string()),
        (UNCOMPRESSED_SIZE.to_owned(), size.to_string()),
    ]);
    written.missing = order.into_missing();
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
}

struct LayerWriter<'p, W: Write + Send, F> {
    plan: &'p Plan,
    blob: BlobWriter<W>,
    format: F,
    /// The blocks of a header; kept for its memory.
    blocks: Vec<u8>,
    counts: Counts,
    duplicates: Duplicates,
    /// The records that carry the content of files with several names.
    groups: HashMap<Group, u32>,
}

impl<'p, W: Write + Send, F: Format<W>> LayerWriter<'p, W, F> {
    fn new(plan: &'p Plan, blob: BlobWriter<W>, format: F) -> Self {
        Self {
            plan,
            blob,
            format,
            blocks: Vec::new(),
            counts: Counts::default(),
            duplicates: Duplicates::new(plan),
            groups: HashMap::new(),
        }
    }

    fn write_entries(&mut self, records: &[u32]) -> Result<(), Error> {
        (records.iter()).try_for_each(|number| self.write_entry(*number))
    }

    /// Ends the layer, and says what the format knows of it and what is known of every layer.
    fn finish(
        mut self,
        options: &EncodeOptions,
        encoder: EncoderIdentity,
    ) -> Result<(F::Summary, Written, W), Error> {
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
        };
        Ok((summary, written, out))
    }

    fn write_entry(&mut self, number: u32) -> Result<(), Error> {
        let plan = self.plan;
        let record = &plan.records[number as usize];
        self.counts.entries += 1;
        let path = record.path.as_bytes();
        let header = match &record.body {
            Body::File(file) => return self.write_file(number, record, file),
            Body::Directory => Header::directory(path),
            Body::Symlink(target) => Header::symlink(path, &**target),
            Body::Special { kind, device } => {
                let mut header = Header::new(*kind, path, 0);
                header.device = *device;
                header
            }
            Body::HardLink(_) => {
                let message = format!("hard link {} has no file in the plan", record.path);
                return Err(Error::new(ErrorKind::Bug, message));
            }
        };
        self.write_header(record, header)?;
        self.format.other(number);
        Ok(())
    }

    fn write_file(
        &mut self,
        number: u32,
        record: &'p Record,
        file: &'p FileBody,
    ) -> Result<(), Error> {
        let known = file
            .group
            .and_then(|group| self.groups.get(&group).copied());
        if let Some(target) = known {
            return self.write_hard_link(number, target);
        }
        let carrier = self.write_content(number, record, file)?;
        if let Some(group) = file.group {
            self.groups.insert(group, carrier);
        }
        Ok(())
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
        if !self.duplicates.may_have_equal(record.metadata, file.size) {
            self.counts.files_read_once += u64::from(file.size > 0);
            self.start_file(number, file.size)?;
            self.copy(&mut reader, None)?;
            self.end_file(file.size)?;
            reader.finish()?;
            return Ok(number);
        }
        let judgement = self.duplicates.judge(record.metadata, &mut reader)?;
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
                self.write_start()?;
                self.copy(&mut reader, Some(&mut hasher))?;
                self.duplicates.remember(record.metadata, hasher, number);
            }
            Judgement::Different(hasher) => {
                self.counts.files_read_twice += 1;
                reader.rewind()?;
                self.start_file(number, file.size)?;
                self.copy(&mut reader, None)?;
                self.duplicates.remember(record.metadata, hasher, number);
            }
        }
        self.end_file(file.size)?;
        reader.finish()?;
        Ok(number)
    }

    fn start_file(&mut self, number: u32, size: u64) -> Result<(), Error> {
        self.counts.files += 1;
        let record = &self.plan.records[number as usize];
        self.write_header(record, Header::file(record.path.as_bytes(), size))?;
        self.format.start_file(number, size, &mut self.blob)
    }

    fn end_file(&mut self, size: u64) -> Result<(), Error> {
        self.blob.write_all(&END_OF_ARCHIVE[..padding(size)])?;
        self.format.end_file(size, &mut self.blob)
    }

    /// Writes the start of the content that was judged last.
    fn write_start(&mut self) -> Result<(), Error> {
        let mut rest = self.duplicates.start();
        while !rest.is_empty() {
            let piece = self.format.piece(&mut self.blob)?;
            let length = usize::try_from(piece).map_or(rest.len(), |piece| piece.min(rest.len()));
            let (now, later) = rest.split_at(length);
            self.format.content(now);
            self.blob.write_all(now)?;
            rest = later;
        }
        Ok(())
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
        let header = Header::hard_link(record.path.as_bytes(), carrier.path.as_bytes());
        self.write_header(record, header)?;
        self.format.hard_link(number, target);
        Ok(())
    }

    /// Writes a header with the metadata of its record.
    fn write_header(&mut self, record: &Record, mut header: Header) -> Result<(), Error> {
        let metadata = &self.plan.metadata[record.metadata as usize];
        header.mode = metadata.mode;
        header.uid = metadata.uid;
        header.gid = metadata.gid;
        header.user_name.clone_from(&metadata.user_name);
        header.group_name.clone_from(&metadata.group_name);
        header.mtime = metadata.mtime;
        header.pax.clone_from(&metadata.pax);
        self.blocks.clear();
        header.encode(&mut self.blocks).map_err(|error| {
            let what = match header.kind {
                EntryKind::Directory => "directory",
                _ => "entry",
            };
            Error::invalid(format!("{what} {}", record.path)).with_source(error)
        })?;
        self.blob.write_all(&self.blocks)
    }
}
