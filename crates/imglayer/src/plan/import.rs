//! Archives that become part of a layer, entry by entry.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufReader, Read, Seek as _};
use std::path::Path;
use std::sync::Arc;

use imgtar::{Codec, DecodeLimits, Decoder, EntryKind, Header, Limits, Reader};

use super::{Body, FileBody, ImportMetadata, ImportOptions, PlanBuilder};
use crate::metadata::Metadata;
use crate::path::{LayerPath, OPAQUE_MARKER, WHITEOUT_PREFIX};
use crate::source::{Source, Spool, SpoolWriter};
use crate::{Error, ErrorKind, MetadataPatch};

/// PAX records about the host that an archive was made on, which a layer does not repeat.
const HOST_KEYWORDS: [&str; 6] = [
    "LIBARCHIVE.creationtime",
    "SCHILY.dev",
    "SCHILY.ino",
    "SCHILY.nlink",
    "atime",
    "ctime",
];

impl PlanBuilder {
    /// Adds the entries of a tar archive on disk, plain or compressed with gzip or zstd.
    ///
    /// Entries are planned like any other input: sorted, and equal files linked. Names of one file
    /// stay names of one file. The contents of a plain archive are read when the layer is written;
    /// those of others are kept in the [spool directory](super::PlanOptions::spool_directory).
    ///
    /// # Errors
    ///
    /// * [`NotFound`](ErrorKind::NotFound), [`Io`](ErrorKind::Io) if the archive cannot be read or
    ///   its contents not be kept;
    /// * [`Malformed`](ErrorKind::Malformed), [`Unsupported`](ErrorKind::Unsupported) as
    ///   [`Reader`] and [`Decoder`] say, and for a hard link that leads to no earlier entry;
    /// * [`InvalidInput`](ErrorKind::InvalidInput) for a name that leads out of the archive, for a
    ///   whiteout unless [`ImportOptions::whiteouts`] is set, and if a spool directory is needed and
    ///   there is none.
    pub fn import_tar(
        &mut self,
        host: impl AsRef<Path>,
        options: &ImportOptions,
    ) -> Result<&mut Self, Error> {
        let host = host.as_ref();
        let name = host.display().to_string();
        let unreadable = |error| Error::io(format!("archive {name}"), error);
        let file = fs_err::File::open(host).map_err(unreadable)?;
        let mut again = file.try_clone().map_err(unreadable)?;
        let decoder = Decoder::new(file, DecodeLimits::default())
            .map_err(|error| of_archive(&name, error))?;
        if decoder.codec() != Codec::None {
            let store = self.spool(&name)?;
            return self.import(&name, decoder, store, options, |_| Ok(()));
        }
        // Contents are read when the layer is written; until then it is enough to know where they are.
        again.rewind().map_err(unreadable)?;
        let spool =
            Spool::of_archive(again.try_clone().map_err(unreadable)?).map_err(unreadable)?;
        let store = Store::Archive(spool);
        self.import(&name, again, store, options, Reader::skip_content)
    }

    /// Adds the entries of a tar archive that comes as a stream; `name` is what errors call it.
    ///
    /// Contents are kept in the [spool directory](super::PlanOptions::spool_directory).
    ///
    /// # Errors
    ///
    /// As [`import_tar`](Self::import_tar).
    pub fn import_tar_stream(
        &mut self,
        name: &str,
        archive: impl Read,
        options: &ImportOptions,
    ) -> Result<&mut Self, Error> {
        let decoder = Decoder::new(archive, DecodeLimits::default())
            .map_err(|error| of_archive(name, error))?;
        let store = self.spool(name)?;
        self.import(name, decoder, store, options, |_| Ok(()))
    }

    fn spool(&self, name: &str) -> Result<Store, Error> {
        let Some(directory) = &self.options.spool_directory else {
            return Err(Error::invalid(format!(
                "archive {name}: its contents need a spool directory, and none is set"
            )));
        };
        Ok(Store::Copy(SpoolWriter::new(directory, name)?))
    }

    fn import<R: Read>(
        &mut self,
        name: &str,
        archive: R,
        mut store: Store,
        options: &ImportOptions,
        skip_content: impl Fn(&mut Reader<BufReader<R>>) -> Result<(), imgtar::Error>,
    ) -> Result<&mut Self, Error> {
        let mut limits = Limits::default();
        // Some writers of layers leave the end out, compressed or not.
        limits.missing_end = true;
        let mut reader = Reader::with_limits(BufReader::with_capacity(64 << 10, archive), limits);
        let spool = u32::try_from(self.sources.spools.len())
            .map_err(|_| Error::invalid("a layer can be made of 4294967295 archives at most"))?;
        let first = self.records.len();
        let mut import = Import {
            builder: self,
            options,
            spool,
            names: Names::default(),
        };
        while let Some(mut entry) = reader
            .next_entry()
            .map_err(|error| of_archive(name, error))?
        {
            let header = entry.header().clone();
            let offset = match &mut store {
                Store::Archive(_) => entry.content_offset(),
                Store::Copy(_) if header.kind != EntryKind::File => 0,
                Store::Copy(writer) => match writer.copy(&mut entry)? {
                    Ok((offset, _)) => offset,
                    Err(error) => return Err(Error::io(format!("archive {name}"), error)),
                },
            };
            import
                .add(header, offset)
                .map_err(|error| error.at(format_args!("archive {name}")))?;
            skip_content(&mut reader).map_err(|error| of_archive(name, error))?;
        }
        self.archives.push(first..self.records.len());
        self.sources.spools.push(match store {
            Store::Archive(spool) => spool,
            Store::Copy(writer) => writer.finish()?,
        });
        Ok(self)
    }
}

/// Where the contents of an archive are while a layer is planned.
enum Store {
    Archive(Spool),
    Copy(SpoolWriter),
}

struct Import<'a> {
    builder: &'a mut PlanBuilder,
    options: &'a ImportOptions,
    spool: u32,
    names: Names,
}

impl Import<'_> {
    /// Adds an entry whose content starts at `offset` of the spool.
    fn add(&mut self, header: Header, offset: u64) -> Result<(), Error> {
        let path = LayerPath::from_archive_name(&header.path)?;
        if path.is_root() {
            return match header.kind {
                EntryKind::Directory => Ok(()),
                kind => Err(Error::invalid(format!(
                    "the root of a layer cannot be a {kind}"
                ))),
            };
        }
        if self.options.whiteouts && path.file_name().starts_with(WHITEOUT_PREFIX) {
            return self.add_whiteout(&path, header.kind);
        }
        let (body, metadata) = match header.kind {
            EntryKind::HardLink => self.link(&path, &header)?,
            EntryKind::File => {
                let source = match header.size {
                    0 => Source::Bytes(Arc::default()),
                    _ => Source::Spool {
                        spool: self.spool,
                        offset,
                    },
                };
                let body = Body::File(FileBody {
                    source,
                    size: header.size,
                    group: None,
                });
                (body, self.metadata(header))
            }
            EntryKind::Directory => (Body::Directory, self.metadata(header)),
            EntryKind::Symlink => (
                Body::Symlink(header.link.clone().into()),
                self.metadata(header),
            ),
            kind @ (EntryKind::BlockDevice | EntryKind::CharDevice | EntryKind::Fifo) => (
                Body::Special {
                    kind,
                    device: header.device,
                },
                self.metadata(header),
            ),
        };
        let hash = self.names.hash(&path);
        self.builder.push(path, body, metadata)?;
        self.names.insert(hash, self.builder.records.len() - 1);
        Ok(())
    }

    fn add_whiteout(&mut self, path: &LayerPath, kind: EntryKind) -> Result<(), Error> {
        // Old union file systems made all whiteouts hard links of one file.
        if !matches!(kind, EntryKind::File | EntryKind::HardLink) {
            return Err(Error::invalid(format!("whiteout {path} is a {kind}")));
        }
        let directory = path.parent().unwrap_or_else(LayerPath::root);
        if path.file_name() == OPAQUE_MARKER {
            self.builder.opaque(&directory)?;
            return Ok(());
        }
        let hidden = &path.file_name()[WHITEOUT_PREFIX.len()..];
        if hidden.is_empty() || hidden.starts_with(WHITEOUT_PREFIX) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{path} is no whiteout that layers can have"),
            ));
        }
        let hidden = directory.child(hidden)?;
        self.builder.whiteout(&hidden)?;
        Ok(())
    }

    /// Makes a hard link another name of the file that it leads to.
    fn link(&mut self, path: &LayerPath, header: &Header) -> Result<(Body, u32), Error> {
        let target = LayerPath::from_archive_name(&header.link)?;
        let records = &self.builder.records;
        let Some(at) = self.names.find(&target, |at| records[at].path == target) else {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("hard link {path}: its target {target} is not before it in the archive"),
            ));
        };
        let fresh = self.builder.new_group();
        let record = &mut self.builder.records[at];
        let body = match &mut record.body {
            Body::File(file) => {
                file.group.get_or_insert(fresh);
                Body::File(file.clone())
            }
            // Links to these are rare, and equal entries mean the same.
            Body::Symlink(target) => Body::Symlink(target.clone()),
            Body::Special { kind, device } => Body::Special {
                kind: *kind,
                device: *device,
            },
            body @ (Body::Directory | Body::HardLink(_)) => {
                let noun = body.noun();
                return Err(Error::new(
                    ErrorKind::Malformed,
                    format!("hard link {path}: its target {target} is a {noun}"),
                ));
            }
        };
        Ok((body, record.metadata))
    }

    fn metadata(&mut self, header: Header) -> u32 {
        let mode = header.mode & 0o7777;
        let none = MetadataPatch::default();
        let modes = self.builder.options.modes;
        match (self.options.metadata, header.kind) {
            (ImportMetadata::Keep, _) => self.builder.table.number(kept(header)),
            (ImportMetadata::Reset, EntryKind::Directory) => self
                .builder
                .directory_metadata(modes.of_directory(Some(mode)), &none),
            (ImportMetadata::Reset, EntryKind::Symlink) => self.builder.symlink_metadata(&none),
            (ImportMetadata::Reset, _) => {
                self.builder.file_metadata(modes.of_file(Some(mode)), &none)
            }
        }
    }
}

/// Takes the metadata of an entry as it is, without what is about the host that it comes from.
fn kept(header: Header) -> Metadata {
    let mut pax = header.pax;
    pax.retain(|keyword, _| !HOST_KEYWORDS.contains(&keyword.as_str()));
    Metadata {
        mode: header.mode & 0o7777,
        uid: header.uid,
        gid: header.gid,
        user_name: header.user_name,
        group_name: header.group_name,
        mtime: header.mtime,
        pax,
    }
}

/// Finds the last record of a name without keeping names a second time.
#[derive(Default)]
struct Names {
    hasher: RandomState,
    /// Records by the hash of their name. Where hashes are equal, the later records are in a list.
    records: HashMap<u64, usize>,
    shared: HashMap<u64, Vec<usize>>,
}

impl Names {
    fn hash(&self, path: &LayerPath) -> u64 {
        self.hasher.hash_one(path)
    }

    fn insert(&mut self, hash: u64, record: usize) {
        if let Some(first) = self.records.get(&hash) {
            self.shared
                .entry(hash)
                .or_insert_with(|| vec![*first])
                .push(record);
        } else {
            self.records.insert(hash, record);
        }
    }

    fn find(&self, path: &LayerPath, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let hash = self.hash(path);
        match self.shared.get(&hash) {
            Some(shared) => shared.iter().rev().copied().find(|at| is_it(*at)),
            None => self.records.get(&hash).copied().filter(|at| is_it(*at)),
        }
    }
}

fn of_archive(name: &str, error: imgtar::Error) -> Error {
    let kind = match error.kind() {
        imgtar::ErrorKind::Io => ErrorKind::Io,
        imgtar::ErrorKind::TooLarge | imgtar::ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Malformed,
    };
    Error::new(kind, format!("archive {name}")).with_source(error)
}
