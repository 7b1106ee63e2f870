//! Which properties an mtree text tells.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::Error;

/// The properties that a line tells, where they apply.
///
/// Parses from a list like `type,size,mode`. The default is all but extended attributes.
///
/// # Errors
///
/// Parsing fails with [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) at a word that is no keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keywords(BTreeSet<Keyword>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keyword {
    GroupId,
    GroupName,
    Kind,
    Link,
    Links,
    Mode,
    Sha256,
    Size,
    Time,
    UserId,
    UserName,
    Xattrs,
}

/// The words for each keyword; the first one is ours.
const WORDS: [(Keyword, &[&str]); 12] = [
    (Keyword::GroupId, &["gid"]),
    (Keyword::GroupName, &["gname"]),
    (Keyword::Kind, &["type"]),
    (Keyword::Link, &["link"]),
    (Keyword::Links, &["nlink"]),
    (Keyword::Mode, &["mode"]),
    (Keyword::Sha256, &["sha256", "sha256digest"]),
    (Keyword::Size, &["size"]),
    (Keyword::Time, &["time"]),
    (Keyword::UserId, &["uid"]),
    (Keyword::UserName, &["uname"]),
    (Keyword::Xattrs, &["xattr"]),
];

impl Keywords {
    /// Returns whether contents must be hashed.
    pub fn needs_contents(&self) -> bool {
        self.has(Keyword::Sha256)
    }

    pub(super) fn has(&self, keyword: Keyword) -> bool {
        self.0.contains(&keyword)
    }
}

impl Default for Keywords {
    fn default() -> Self {
        Self(
            WORDS
                .iter()
                .map(|(keyword, _)| *keyword)
                .filter(|keyword| *keyword != Keyword::Xattrs)
                .collect(),
        )
    }
}

impl FromStr for Keywords {
    type Err = Error;

    fn from_str(list: &str) -> Result<Self, Error> {
        let words = list
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let keyword = |word: &str| {
            let found = WORDS.iter().find(|(_, words)| words.contains(&word));
            found
                .map(|(keyword, _)| *keyword)
                .ok_or_else(|| Error::invalid(format!("`{word}` is no mtree keyword")))
        };
        words.map(keyword).collect::<Result<_, _>>().map(Self)
    }
}
