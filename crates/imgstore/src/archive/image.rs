//! Images in files: a layout directory, or an archive of any generation.

use std::io;
use std::path::{Path, PathBuf};

use imgcore::json::{self, Value};
use imgcore::{Descriptor, Digest};
use imgtar::{DecodeLimits, Decoder};

use super::store::ArchiveStore;
use super::{DOCKER_MANIFEST, SPARSE_MARKER, SPARSE_ROOT, layout_index};
use crate::layout::{MARKER, check_marker, read_document};
use crate::{
    DirectoryOptions, DirectoryStore, Error, LayoutIndex, LocalSource, OciLayout, RawReader, Result,
};

/// How much is taken from an archive that nobody vouches for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArchiveLimits {
    /// Headers of the archive, those that extend others among them. Default: 100,000.
    pub entries: u64,
    /// Bytes of all names and link targets of the archive, which are kept in memory. Default: 64 MiB.
    pub names: usize,
    /// Images of a Docker archive. Default: 1,000.
    pub images: usize,
    /// Layers of one image. Default: 1,000.
    pub layers: usize,
    /// Bytes of an archive that has to be decompressed to a temporary file. Default: 64 GiB.
    pub decompressed: u64,
    /// Where that file is made. Default: the system's directory for temporary files.
    pub spool: Option<PathBuf>,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            names: 64 << 20,
            images: 1_000,
            layers: 1_000,
            decompressed: 64 << 30,
            spool: None,
        }
    }
}

/// Images on this machine: an OCI layout directory, or an archive. Its blobs are read through [`LocalSource`].
///
/// Read are OCI layouts as directory and as tar; sparse layouts as directory; Docker archives that are OCI layouts as well (Docker since 25, and
/// ours); and older ones, with `<id>/layer.tar` or `<hex>.tar` and a `manifest.json` (Docker before 25, Podman). An
/// archive as a whole may be compressed with gzip or zstd: it is then decompressed to a temporary file.
///
/// # Archives without manifests
///
/// The older generation has configs and layers, but no manifests. They are made: an OCI manifest of the config's and
/// the layers' digests, with the layer's type by its first bytes (`…layer.v1.tar`, `+gzip` or `+zstd`). Every layer is
/// read to learn its digest, and must have the `diff_id` that the config lists for it.
///
/// # Examples
///
/// ```no_run
/// use imgstore::archive::Image;
///
/// let image = Image::open("image.tar")?;
/// for (name, descriptor) in image.index().names() {
///     println!("{name} is {}", descriptor.digest);
/// }
/// # Ok::<(), imgstore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    index: LayoutIndex,
    store: Store,
}

#[derive(Clone, Debug)]
enum Store {
    Archive(ArchiveStore),
    Layout(OciLayout),
    Sparse(DirectoryStore),
}

impl Image {
    /// Opens a directory or an archive, whichever is there, with default limits.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is nothing, [`Malformed`](crate::ErrorKind::Malformed) when it is neither, and
    /// [`TooLarge`](crate::ErrorKind::TooLarge) beyond the limits.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, DirectoryOptions::default(), &ArchiveLimits::default())
    }

    /// Opens a directory with `options` or an archive within `limits`, whichever is there.
    ///
    /// # Errors
    ///
    /// See [`open`](Self::open).
    pub fn open_with(
        path: impl AsRef<Path>,
        options: DirectoryOptions,
        limits: &ArchiveLimits,
    ) -> Result<Self> {
        let path = path.as_ref();
        let found = fs_err::metadata(path)
            .map_err(|error| Error::from_io(format!("opening {}", path.display()), error))?;
        if found.is_dir() && path.join(SPARSE_MARKER).exists() {
            return Self::open_sparse(path, options);
        }
        if found.is_dir() {
            let layout = OciLayout::open_with(path, options)?;
            return Ok(Self {
                index: layout.index()?,
                store: Store::Layout(layout),
            });
        }
        if !found.is_file() {
            let text = format!("{} is neither a directory nor a file", path.display());
            return Err(Error::malformed(text));
        }
        let (store, index) = ArchiveStore::open(path, limits)?;
        Ok(Self {
            index,
            store: Store::Archive(store),
        })
    }

    fn open_sparse(path: &Path, options: DirectoryOptions) -> Result<Self> {
        let blobs = DirectoryStore::open(path.join("blobs"))?
            .with_options(options)
            .with_boundary(path.to_owned());
        let read = |name: &str| read_document(&blobs, path, name);
        check_marker(&read(SPARSE_MARKER)?).map_err(|error| error.at(path.display()))?;
        let root = Value::parse(&read(SPARSE_ROOT)?, &json::Limits::default())?;
        let root = root.as_object().unwrap_or_default();
        let root = Descriptor::from_json(&root)
            .map_err(|error| Error::from(error).at(path.join(SPARSE_ROOT).display()))?;
        Ok(Self {
            index: LayoutIndex::parse(&layout_index(&[root]))?,
            store: Store::Sparse(blobs),
        })
    }

    /// Returns whether layers are left out by design: a sparse layout has documents alone.
    pub fn is_sparse(&self) -> bool {
        matches!(self.store, Store::Sparse(_))
    }

    /// Says whether there is an image at `path`, rather than a layer or something else, by the names of the files in
    /// it. An archive is read up to the first telling one.
    ///
    /// # Errors
    ///
    /// When it cannot be read or decompressed, or is no tar archive.
    pub fn is_at(path: impl AsRef<Path>) -> Result<bool> {
        let path = path.as_ref();
        let at = |error: Error| error.at(path.display());
        let opening = |error| Error::from_io(format!("opening {}", path.display()), error);
        if fs_err::metadata(path).map_err(opening)?.is_dir() {
            return Ok([MARKER, SPARSE_MARKER]
                .iter()
                .any(|it| path.join(it).exists()));
        }
        let file = fs_err::File::open(path).map_err(opening)?;
        let decoder = Decoder::new(io::BufReader::new(file), DecodeLimits::default());
        // It may be a layer, and some writers leave their end out.
        let mut tar_limits = imgtar::Limits::default();
        tar_limits.missing_end = true;
        let decoder = decoder.map_err(|error| at(error.into()))?;
        let mut reader = imgtar::Reader::with_limits(decoder, tar_limits);
        while let Some(entry) = reader.next_entry().map_err(|error| at(error.into()))? {
            let name = entry.header().path.as_slice();
            let name = name.strip_prefix(b"./").unwrap_or(name);
            if [MARKER, DOCKER_MANIFEST]
                .iter()
                .any(|it| it.as_bytes() == name)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns which images there are.
    pub fn index(&self) -> &LayoutIndex {
        &self.index
    }

    fn local(&self) -> &dyn LocalSource {
        match &self.store {
            Store::Archive(archive) => archive,
            Store::Layout(layout) => layout,
            Store::Sparse(blobs) => blobs,
        }
    }
}

impl LocalSource for Image {
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>> {
        self.local().size_of(digest)
    }

    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>> {
        self.local().open_raw(digest, offset)
    }

    fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        self.local().path_of(digest)
    }

    fn place(&self) -> String {
        self.local().place()
    }
}
