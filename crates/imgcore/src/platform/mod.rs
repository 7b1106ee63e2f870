//! Platforms: which machine an image is for.

/// The machine that an image is made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Platform {
    /// The CPU architecture, as Go's `GOARCH` spells it.
    pub architecture: String,
    /// The operating system, as Go's `GOOS` spells it.
    pub os: String,
    /// The version of the operating system (Windows).
    pub os_version: Option<String>,
    /// Features of the operating system that must be there (Windows).
    pub os_features: Vec<String>,
    /// The variant of the CPU (`v8` of `arm64`).
    pub variant: Option<String>,
}
