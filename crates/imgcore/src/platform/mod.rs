//! Platforms: which machine an image is for.
//!
//! Texts, normal forms and matching are those of containerd's `platforms` package, so that an image that is chosen here
//! is the one that containerd and Docker would choose.
//!
//! ```text
//! platform  = os , [ "(" , [ version ] , { "+" , feature } , ")" ] , "/" , architecture , [ "/" , variant ] ;
//! ```
//!
//! Version and feature have `%XX` for what is not a letter, a digit, `_`, `.` or `-`.

mod error;
mod matching;
mod normal;
#[cfg(test)]
mod tests;
mod text;
mod windows;

pub use error::ParsePlatformError;
pub use matching::best_match;

/// The machine that an image is made for.
///
/// The members are kept as they were given; [`normalized`](Self::normalized) has their one spelling, and
/// [`accepts`](Self::accepts) compares by it.
///
/// # Examples
///
/// ```
/// use imgcore::Platform;
///
/// let platform: Platform = "linux/aarch64".parse()?;
/// assert_eq!(platform.to_string(), "linux/arm64");
/// assert!(platform.accepts(&"linux/arm64/v8".parse()?));
/// # Ok::<(), imgcore::platform::ParsePlatformError>(())
/// ```
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

impl Platform {
    /// Makes a platform without variant, version and features.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self {
            architecture: architecture.into(),
            os: os.into(),
            ..Self::default()
        }
    }

    /// Replaces the variant.
    #[must_use]
    pub fn with_variant(self, variant: impl Into<String>) -> Self {
        Self {
            variant: Some(variant.into()),
            ..self
        }
    }

    /// Returns the variant, or the empty text where there is none.
    fn variant_text(&self) -> &str {
        self.variant.as_deref().unwrap_or_default()
    }
}
