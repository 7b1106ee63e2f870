//! Which properties an mtree text tells.

use std::str::FromStr;

use crate::Error;

/// The properties that a line tells, where they apply, in their order.
///
/// Parses from a list like `type,size,mode`. The default is all but extended attributes.
///
/// # Errors
///
/// Parsing fails with [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) at a word that is no keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keywords(Vec<Keyword>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keyword {
    Kind,
    Size,
    Mode,
    UserId,
    UserName,
    GroupId,
    GroupName,
    Sha256,
    Time,
    Link,
    Links,
    Xattrs,
}

/// The words for each keyword, in the order of the default.
const WORDS: [(Keyword, &[&str]); 12] = [
    (Keyword::Kind, &["type"]),
    (Keyword::Size, &["size"]),
    (Keyword::Mode, &["mode"]),
    (Keyword::UserId, &["uid"]),
    (Keyword::UserName, &["uname"]),
    (Keyword::GroupId, &["gid"]),
    (Keyword::GroupName, &["gname"]),
    (Keyword::Sha256, &["sha256", "sha256digest"]),
    (Keyword::Time, &["time"]),
    (Keyword::Link, &["link"]),
    (Keyword::Links, &["nlink"]),
    (Keyword::Xattrs, &["xattr"]),
];

/// What a text told of an entry: an entry that was read from a text says no more than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told(u16);

impl Told {
    /// What is known of a directory that no layer mentions.
    pub(crate) const KIND: Self = Self(1 << Keyword::Kind as u16);

    /// Takes note of a word of a text.
    pub(super) fn insert(&mut self, word: &[u8]) {
        let is_xattr = word.starts_with(b"xattr.");
        let found = WORDS.iter().find(|(keyword, words)| {
            words.iter().any(|it| it.as_bytes() == word) || is_xattr && *keyword == Keyword::Xattrs
        });
        if let Some((keyword, _)) = found {
            self.0 |= 1 << *keyword as u16;
        }
    }

    pub(super) fn has(self, keyword: Keyword) -> bool {
        self.0 & (1 << keyword as u16) != 0
    }
}

impl Keywords {
    /// Returns whether contents must be hashed.
    pub fn needs_contents(&self) -> bool {
        self.0.contains(&Keyword::Sha256)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Keyword> {
        self.0.iter().copied()
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
                .ok_or_else(|| unknown(word))
        };
        let mut keywords = Vec::with_capacity(WORDS.len());
        for word in words {
            let keyword = keyword(word)?;
            if !keywords.contains(&keyword) {
                keywords.push(keyword);
            }
        }
        Ok(Self(keywords))
    }
}

fn unknown(word: &str) -> Error {
    let known: Vec<_> = WORDS
        .iter()
        .filter_map(|(_, words)| words.first())
        .copied()
        .collect();
    let known = known.join(", ");
    Error::invalid(format!("`{word}` is no mtree keyword; there are {known}"))
}
