//! Writes the layers of OCI images: the same inputs give the same bytes, everywhere and always.
//!
//! ```
//! use imglayer::{EncodeOptions, LayerPath, PlanBuilder, PlanOptions, write_layer};
//!
//! let mut builder = PlanBuilder::new(PlanOptions::default());
//! builder.bytes(LayerPath::parse("etc/motd")?, "welcome\n")?;
//! builder.symlink(LayerPath::parse("etc/issue")?, "motd")?;
//! let plan = builder.finish()?;
//! let (written, blob) = write_layer(&plan, &EncodeOptions::default(), Vec::new())?;
//! println!("{} has {} bytes", written.metadata.digest, blob.len());
//! # Ok::<(), imglayer::Error>(())
//! ```
//!
//! # The central types
//!
//! * [`PlanBuilder`] collects inputs: files, trees, symlinks, archives, whiteouts, and metadata for
//!   them. [`PlanOptions`] has the choices that hold for a whole layer.
//! * [`Plan`] is what comes of it: every entry of the layer in its order, before a byte is written.
//! * [`write_layer`] writes a plan. [`EncodeOptions`] says how it is compressed, and [`Written`] has
//!   the digests, sizes and counts.
//! * [`write_layer_as`] writes a [`LayerFormat`] of which single files can be fetched: [`estargz`].
//! * [`LayerPath`] is a name inside a layer, [`MetadataPatch`] a change to mode, owner, time or
//!   extended attributes.
//! * [`encode`] compresses in parallel, for layers and for anything else; [`filesystem`] and [`mtree`]
//!   say what layers make of each other.
//!
//! # What this crate does not do
//!
//! It does not extract layers (`imgtar` reads their contents), put them into images (`imgcore`), or store or move
//! them (`imgstore` and what is built on it). It touches no network, clock or environment, starts no
//! async runtime and prints nothing.
//!
//! # Guarantees
//!
//! * **Determinism.** The bytes of a layer depend on the names, metadata and contents that are
//!   planned, and on the [identity](EncoderIdentity) of the encoder. They do not depend on the order
//!   of inputs, on where these are, on threads, or on the host. Where a mode comes from disk, the
//!   [`ModePolicy`] says what of it gets in.
//! * **Memory** does not grow with the size of files: contents are read once, into blocks that are
//!   recycled. A plan takes some 200 bytes for each entry.
//! * **Order.** Entries are sorted by the components of their paths, bytewise; a directory stands
//!   before what is in it, and whiteouts come first in their directory. No name appears twice.
//! * **Hard links.** Regular files that are equal in content and metadata become hard links of the
//!   first of them, unless they are empty or [`Hardlinks::Off`] is set. Linked files are one file at
//!   run time: a program that writes into one writes into all.
//! * **Inputs that change** between planning and writing are an error that names them. Of a layer
//!   that could not be finished the output holds a part that is no layer; whoever writes to a file
//!   renames it into place afterwards.
//! * **Names from outside** are parsed into a [`LayerPath`] before anything else is done with them:
//!   absolute ones and `..` do not get in, and neither do whiteouts that nobody declared.
//!
//! # Features
//!
//! None. The minimum supported Rust version is 1.88.

pub mod encode;
mod error;
pub mod estargz;
pub mod filesystem;
mod metadata;
pub mod mtree;
mod path;
mod plan;
mod source;
mod sys;
mod write;

pub use encode::{Codec, EncodeOptions, EncoderIdentity, GzipMembers, Level, recompress};
pub use error::{Error, ErrorKind};
pub use imgcore::{DiffId, Digest, LayerMetadata, MediaType};
pub use imgtar::{EntryKind, Timestamp};
pub use metadata::{Metadata, MetadataPatch};
pub use path::{HostPaths, LayerPath};
pub use plan::{
    Hardlinks, ImportMetadata, ImportOptions, ModePolicy, Plan, PlanBuilder, PlanOptions,
    PlannedEntry, SymlinkPolicy, TreeHandling, TreeOptions, Warning,
};
pub use source::Content;
pub use write::{Counts, LayerFormat, Written, write_layer, write_layer_as};

/// The example of the README runs as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
