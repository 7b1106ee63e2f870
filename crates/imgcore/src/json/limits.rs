//! Limits for documents that come from outside.

/// How large and how deep a document may be that comes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest document, in bytes.
    pub max_bytes: usize,
    /// How many arrays and objects may stand inside each other. Values above 128 count as 128.
    pub max_depth: usize,
    /// Whether members of an object may differ in case only.
    ///
    /// Off by default. Objects that are maps of free text by their specification (`annotations`, `Labels`, `Volumes`,
    /// `ExposedPorts`, `env`) may always have such members: `/Data` and `/data` are two volumes.
    pub allow_case_variants: bool,
}

impl Limits {
    /// Sets the largest document, in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::json::{Limits, Value};
    ///
    /// let limits = Limits::default().with_max_bytes(4);
    /// assert!(Value::parse(b"[1,2]", &limits).is_err());
    /// ```
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Sets how many arrays and objects may stand inside each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::json::{Limits, Value};
    ///
    /// let limits = Limits::default().with_max_depth(1);
    /// assert!(Value::parse(b"[[]]", &limits).is_err());
    /// ```
    #[must_use]
    pub fn with_max_depth(mut self, max_depth: usize) -> Self {
        self.max_depth = max_depth;
        self
    }

    /// Sets whether members may differ in case only, for documents whose members are free text.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::json::{Limits, Value};
    ///
    /// let text = br#"{"http_proxy": "", "HTTP_PROXY": ""}"#;
    /// assert!(Value::parse(text, &Limits::default()).is_err());
    /// assert!(Value::parse(text, &Limits::default().with_case_variants(true)).is_ok());
    /// ```
    #[must_use]
    pub fn with_case_variants(mut self, allow: bool) -> Self {
        self.allow_case_variants = allow;
        self
    }
}

impl Default for Limits {
    /// 8 MiB, and 64 levels.
    fn default() -> Self {
        Self {
            max_bytes: 8 << 20,
            max_depth: 64,
            allow_case_variants: false,
        }
    }
}
