//! Why a text is no platform.

/// Why a text is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParsePlatformError {
    /// A component has a character that none may have, or has none at all.
    #[error("`{component}` cannot be a component of a platform")]
    Component {
        /// The component.
        component: String,
    },
    /// A version or feature of the operating system has a bad `%XX`.
    #[error("`{text}` has a `%` without two hex digits after it, or is no UTF-8 text")]
    Escape {
        /// The version or feature.
        text: String,
    },
    /// What is in the parentheses after the operating system is no version and features.
    #[error("`{text}` is no operating system with an optional `(version+feature)`")]
    Os {
        /// The first component.
        text: String,
    },
    /// There are fewer than two components or more than three.
    #[error("`{text}` is no platform: write `os/architecture` or `os/architecture/variant`")]
    Shape {
        /// The whole text.
        text: String,
    },
    /// A single component is neither a known operating system nor a known architecture.
    #[error("`{text}` is no known operating system or architecture")]
    UnknownWord {
        /// The whole text.
        text: String,
    },
}
