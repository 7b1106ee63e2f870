//! Why a text is no reference: one variant a rule.

use crate::digest::ParseDigestError;

/// Why a text is not an image reference, or not the part of one that it should be.
///
/// Whoever wrote the text must act. There is one variant for each rule of the grammar, and each names what broke it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseReferenceError {
    /// A repository without a host begins with what would be read as one.
    #[error("`{component}` at the start of a repository would be read as a registry's host")]
    AmbiguousHost {
        /// The first component.
        component: String,
    },
    /// A repository holds a character that none may hold.
    #[error("`{character}` cannot stand in the name of a repository")]
    Character {
        /// The character.
        character: char,
    },
    /// The part after `@` is no digest.
    #[error("the part after `@` is no digest")]
    Digest(#[from] ParseDigestError),
    /// The text has no characters.
    #[error("an image reference cannot be empty")]
    Empty,
    /// A repository, or a component of it, has no characters (`a//b`, a slash at an end).
    #[error("a component of the repository's name is empty")]
    EmptyComponent,
    /// The host is no domain, no IPv4 address and no IPv6 address in brackets.
    #[error("`{host}` is no host of a registry")]
    Host {
        /// The host, without the port.
        host: String,
    },
    /// The bare text is 64 hex digits, which Docker takes for the id of an image.
    #[error("64 hex digits alone are the id of an image and not its name")]
    Identifier,
    /// What is in the host's brackets is no IPv6 address.
    #[error("`{address}` is no IPv6 address between `[` and `]`")]
    Ipv6 {
        /// The host, without the port.
        address: String,
    },
    /// Host and repository together are too long.
    #[error("host and repository together have more than 255 characters")]
    NameTooLong,
    /// The port is no number from 1 to 65535.
    #[error("`{port}` is no port: it is a number from 1 to 65535")]
    Port {
        /// The text after the host's last colon.
        port: String,
    },
    /// The text is a URL.
    #[error("an image reference has no scheme: leave `{scheme}://` out")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// A component of the repository begins or ends with a separator, or holds a run of them that is not allowed.
    #[error(
        "in `{component}`, letters and digits must be separated by one `.`, one or two `_`, or any number of `-`"
    )]
    Separator {
        /// The component.
        component: String,
    },
    /// A tag holds a character that none may hold.
    #[error("`{character}` cannot stand in a tag")]
    TagCharacter {
        /// The character.
        character: char,
    },
    /// There is nothing after the colon.
    #[error("a tag cannot be empty")]
    TagEmpty,
    /// A tag begins with a dot or a dash.
    #[error("a tag cannot begin with `{character}`")]
    TagStart {
        /// The first character.
        character: char,
    },
    /// A tag is too long.
    #[error("a tag has at most 128 characters")]
    TagTooLong,
    /// A repository holds a capital letter.
    #[error("the name of a repository is lower case, and `{component}` is not")]
    Uppercase {
        /// The component with the capital letter.
        component: String,
    },
}
