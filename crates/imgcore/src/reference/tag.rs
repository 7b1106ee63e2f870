//! Tags: movable names inside of a repository.

use std::fmt;
use std::str::FromStr;

use super::ParseReferenceError;

/// The most characters that a tag has.
const MAX_TAG_LENGTH: usize = 128;

/// A tag: a name inside of a repository that may move from image to image.
///
/// Its characters are safe in a URL's path and in a file's name.
///
/// # Examples
///
/// ```
/// use imgcore::Tag;
///
/// assert_eq!("1.2-rc.1".parse::<Tag>()?.as_str(), "1.2-rc.1");
/// assert!("-1".parse::<Tag>().is_err());
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// Returns the tag that clients mean where none is written.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(first) = text.chars().next() else {
            return Err(ParseReferenceError::TagEmpty);
        };
        if let Some(character) = text.chars().find(|&it| !may_stand_in_tag(it)) {
            return Err(ParseReferenceError::TagCharacter { character });
        }
        if matches!(first, '.' | '-') {
            return Err(ParseReferenceError::TagStart { character: first });
        }
        if text.len() > MAX_TAG_LENGTH {
            return Err(ParseReferenceError::TagTooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

fn may_stand_in_tag(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
}
