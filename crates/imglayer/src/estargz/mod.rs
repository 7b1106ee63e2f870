//! eStargz: gzip layers of which single files can be fetched.
//!
//! An eStargz layer is an ordinary gzip layer: whoever knows nothing of the format unpacks it like any other. Who does
//! know it (containerd with the stargz snapshotter, CRI-O with its store) starts a container before the layer is
//! there, and fetches the pieces of files that are read.
//!
//! ```text
//! blob    = *member toc footer          ; all of them gzip members
//! member  = [ content ] *header         ; starts with a chunk of a file, or with the layer's first header
//! toc     = one tar entry, stargz.index.json, and the end of the archive
//! footer  = 51 bytes without content; where the toc starts
//! ```
//!
//! * A file is cut into chunks of [`chunk_size`](EstargzOptions::chunk_size), and each chunk starts a member, so that
//!   it can be inflated by itself. With [`min_chunk_size`](EstargzOptions::min_chunk_size) small chunks share one.
//! * The table of contents (TOC) has for each entry what its tar header says, and for each chunk where its member
//!   starts and its digest. Readers check the TOC against the annotation [`TOC_DIGEST`], and chunks against the TOC.
//! * `.prefetch.landmark` stands behind the [prioritized files](EstargzOptions::prioritized_files), which a reader
//!   fetches at once. Without such files `.no.prefetch.landmark` stands first.
//! * The names of these files are [reserved](RESERVED_NAMES). Imported archives may have them, for they may be eStargz
//!   layers: such entries are made anew, and [`prioritized_in_archives`] says what they stood for. Any other input of
//!   such a name is an error.
//!
//! The `diff_id` is that of everything the blob decompresses to, the TOC among it, as whoever unpacks the layer
//! computes it.
//!
//! # Examples
//!
//! ```
//! use imglayer::estargz::{EstargzOptions, TOC_DIGEST};
//! use imglayer::{EncodeOptions, LayerFormat, LayerPath, PlanBuilder, PlanOptions, write_layer_as};
//!
//! let mut builder = PlanBuilder::new(PlanOptions::default());
//! builder.bytes(LayerPath::parse("etc/motd")?, "welcome\n")?;
//! let format = LayerFormat::Estargz(EstargzOptions::default());
//! let plan = builder.finish()?;
//! let (written, _) = write_layer_as(&plan, &format, &EncodeOptions::default(), Vec::new())?;
//! assert!(written.metadata.annotations[TOC_DIGEST].starts_with("sha256:"));
//! # Ok::<(), imglayer::Error>(())
//! ```
//!
//! The format: <https://github.com/containerd/stargz-snapshotter/blob/v0.18.1/docs/estargz.md>.

mod footer;
mod format;
mod order;
mod time;
mod toc;

use crate::path::LayerPath;
use crate::plan::Plan;
use crate::{Codec, EncodeOptions, Error};

pub(crate) use format::Estargz;
pub(crate) use order::Order;

pub use footer::{FOOTER_SIZE, toc_offset};
pub use order::prioritized_in_archives;

/// The annotation of a layer's descriptor that has the digest of its TOC.
///
/// A reader that does not find it does not trust the TOC, and pulls the whole layer.
pub const TOC_DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";

/// The annotation of a layer's descriptor that has the size of what it decompresses to, in bytes.
///
/// Stores of containers/storage need it before they have the layer.
pub const UNCOMPRESSED_SIZE: &str = "io.containers.estargz.uncompressed-size";

/// The name of the TOC in the layer.
pub const TOC_NAME: &str = "stargz.index.json";

/// Ends the entries that a reader fetches at once.
const PREFETCH_LANDMARK: &str = ".prefetch.landmark";

/// Says that no entries are to be fetched at once.
const NO_PREFETCH_LANDMARK: &str = ".no.prefetch.landmark";

/// The files that writers of eStargz add at the root of a layer, and that nobody else can have there.
pub const RESERVED_NAMES: [&str; 3] = [TOC_NAME, PREFETCH_LANDMARK, NO_PREFETCH_LANDMARK];

/// The only byte of a landmark.
const LANDMARK_CONTENT: [u8; 1] = [0x0f];

/// The mode of the files that the format adds: nobody has reason to write into them.
const ADDED_FILE_MODE: u32 = 0o444;

/// Sizes of chunks that make sense: smaller ones cost more than they hold, larger ones are fetched whole.
pub const CHUNK_SIZES: std::ops::RangeInclusive<u32> = 512..=1 << 30;

/// The choices of an eStargz layer. All of them decide its bytes.
///
/// # Examples
///
/// ```
/// use imglayer::LayerPath;
/// use imglayer::estargz::EstargzOptions;
///
/// let mut options = EstargzOptions::default();
/// assert_eq!((options.chunk_size, options.min_chunk_size), (4 << 20, 0));
/// options.prioritized_files.push(LayerPath::parse("usr/bin/server")?);
/// # Ok::<(), imglayer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EstargzOptions {
    /// How many bytes of a file a chunk has at most: 512 bytes to 1 GiB. A reader fetches and checks whole chunks.
    pub chunk_size: u32,
    /// How many uncompressed bytes a gzip member has at least before the next chunk starts another: 0 to 1 GiB.
    ///
    /// More makes layers of many small files smaller, and lets a reader fetch more than it needs. Versions of the stargz
    /// snapshotter before 0.13 do not understand layers whose chunks share members, and `VerifyTOC` of its library
    /// refuses them in version 0.18.
    pub min_chunk_size: u32,
    /// Entries that a container needs first, in the order in which they stand in the layer.
    ///
    /// The entries of the directories that they are in, and whiteouts there that are about them, come along. What is in
    /// a directory does not: [`Written::bare_directories`](crate::Written::bare_directories) tells of it.
    pub prioritized_files: Vec<LayerPath>,
    /// Whether prioritized files that are not in the layer are left out; else they are an error.
    pub allow_missing: bool,
}

impl EstargzOptions {
    /// Returns the prioritized files that have no entry in a plan.
    ///
    /// Unless they [may be missing](Self::allow_missing), they are an error of
    /// [`write_layer_as`](crate::write_layer_as).
    ///
    /// # Examples
    ///
    /// ```
    /// use imglayer::estargz::EstargzOptions;
    /// use imglayer::{LayerPath, PlanBuilder, PlanOptions};
    ///
    /// let mut builder = PlanBuilder::new(PlanOptions::default());
    /// builder.bytes(LayerPath::parse("etc/motd")?, "welcome\n")?;
    /// let mut options = EstargzOptions::default();
    /// options.prioritized_files = vec![LayerPath::parse("etc/motd")?, LayerPath::parse("etc/issue")?];
    /// assert_eq!(options.missing_in(&builder.finish()?), [LayerPath::parse("etc/issue")?]);
    /// # Ok::<(), imglayer::Error>(())
    /// ```
    pub fn missing_in(&self, plan: &Plan) -> Vec<LayerPath> {
        order::missing(plan, &self.prioritized_files)
    }

    /// Says what of the options decides bytes, beside the order of the entries.
    pub(crate) fn identity(&self) -> String {
        format!(
            "estargz=1 chunk={} min={}",
            self.chunk_size, self.min_chunk_size
        )
    }

    /// Refuses options that no layer can have, together with those of the encoder.
    pub(crate) fn check(&self, encode: &EncodeOptions) -> Result<(), Error> {
        if encode.codec != Codec::Gzip {
            return Err(Error::invalid(format!(
                "an eStargz layer is compressed with gzip, not {}",
                encode.codec
            )));
        }
        if !CHUNK_SIZES.contains(&self.chunk_size) {
            let (least, most) = (CHUNK_SIZES.start(), CHUNK_SIZES.end());
            return Err(Error::invalid(format!(
                "chunk size {} of an eStargz layer is not between {least} and {most} bytes",
                self.chunk_size
            )));
        }
        if self.min_chunk_size > *CHUNK_SIZES.end() {
            return Err(Error::invalid(format!(
                "smallest chunk size {} of an eStargz layer is more than {} bytes",
                self.min_chunk_size,
                CHUNK_SIZES.end()
            )));
        }
        Ok(())
    }
}

impl Default for EstargzOptions {
    /// Chunks of 4 MiB, each in a member of its own, and no prioritized files.
    fn default() -> Self {
        Self {
            chunk_size: 4 << 20,
            min_chunk_size: 0,
            prioritized_files: Vec::new(),
            allow_missing: false,
        }
    }
}
