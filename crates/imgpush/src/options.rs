//! How images are pushed.

use imgcore::Repository;

/// How images are pushed. The default moves as few bytes as it can and never fails for that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many requests may be in flight at once, at least 1. A blob that is read from another registry takes two, with
    /// one job as well.
    pub jobs: usize,
    /// What is asked for below a manifest that the registry has.
    pub verify_existing: VerifyExisting,
    /// Whether blobs are taken over from other repositories of the registry.
    pub mount: MountMode,
    /// What happens with a blob that goes to several repositories of a registry.
    pub dedup: Dedup,
    /// The repository that blobs are sent to before they are mounted where they belong. With deduplication alone, only
    /// blobs that go to several repositories are; that repository is otherwise the first destination.
    pub blob_repository: Option<Repository>,
    /// Whether all blobs go through [`blob_repository`](Self::blob_repository), and not only shared ones.
    pub stage_all: bool,
    /// Whether a manifest is written for each blob that is mounted from the repository it was sent to: some registries
    /// mount nothing else than what a manifest refers to.
    pub artificial_manifests: bool,
    /// Whether layers must be in the registry already. Configs are sent.
    pub forbid_layer_push: bool,
    /// Whether tags that exist may get another digest.
    pub existing_tags: ExistingTags,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 8,
            verify_existing: VerifyExisting::default(),
            mount: MountMode::default(),
            dedup: Dedup::default(),
            blob_repository: None,
            stage_all: false,
            artificial_manifests: false,
            forbid_layer_push: false,
            existing_tags: ExistingTags::default(),
        }
    }
}

/// What is asked for below a manifest that the registry has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyExisting {
    /// Nothing: what has its digest is complete.
    None,
    /// The manifests that an index leads to: registries and their cleaners have been seen to lose those. No blobs.
    #[default]
    Children,
    /// Every manifest and every blob.
    All,
}

/// Whether blobs are taken over from other repositories of the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountMode {
    /// Where it may work; otherwise they are sent.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Where there is a place to mount from, and a refusal is an error.
    Require,
}

/// What happens with a blob that goes to several repositories of a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dedup {
    /// It is sent to one, and mounted in the others; where that is refused, it is sent.
    #[default]
    BestEffort,
    /// It is sent to each.
    Off,
    /// It is sent to one, and mounted in the others; where that is refused, the image fails.
    Strict,
}

/// Whether tags that exist may get another digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExistingTags {
    /// A tag that has another digest is an error, whether or not the registry would let it move.
    Keep,
    /// Tags move. That a registry does not let them is an error.
    #[default]
    Move,
}
