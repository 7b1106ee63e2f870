//! Lists that a registry gives page by page, and how much of them is taken: a registry could go on for ever.

use crate::error::{Error, ErrorKind, Place, Result};

/// The largest page that is read, in bytes.
pub(super) const MAX_PAGE: usize = 8 << 20;

/// The most that is taken of a repository's tags.
pub(super) const TAGS: Limits = Limits {
    pages: 10_000,
    bytes: 64 << 20,
    entries: 1_000_000,
    advice: "name the tags that are wanted instead of listing all",
};

/// The most that is taken of what refers to a manifest. Descriptors are larger in memory than on their way.
pub(super) const REFERRERS: Limits = Limits {
    pages: 1_000,
    bytes: 16 << 20,
    entries: 100_000,
    advice: "ask for the referrers of one artifact type",
};

/// How long a list may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) pages: usize,
    /// Of all pages and of the URLs that lead to them.
    pub(super) bytes: usize,
    pub(super) entries: usize,
    /// What to do instead.
    pub(super) advice: &'static str,
}

/// What is left of the limits of a list that is being read.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    pages: usize,
    bytes: usize,
    entries: usize,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            pages: 0,
            bytes: 0,
            entries: 0,
        }
    }

    /// Takes a page of so many bytes and entries, with another one behind it or not; an error when the list is too long.
    pub(super) fn page(
        &mut self,
        place: &Place,
        bytes: usize,
        entries: usize,
        has_next: bool,
    ) -> Result<()> {
        self.pages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries = self.entries.saturating_add(entries);
        let Limits {
            pages: most_pages,
            bytes: most_bytes,
            entries: most_entries,
            advice,
        } = self.limits;
        let (most, what) = if self.entries > most_entries {
            (most_entries, "entries")
        } else if self.bytes > most_bytes {
            (most_bytes, "bytes")
        } else if self.pages >= most_pages && has_next {
            (most_pages, "pages")
        } else {
            return Ok(());
        };
        let detail = format!("the list has more than {most} {what}");
        Err(Error::new(ErrorKind::TooLarge, place, detail).with_next_step(advice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operation, Role};

    #[test]
    fn a_list_ends_at_the_first_limit_that_it_meets() {
        let place = Place {
            operation: Operation::ListTags,
            repository: Some("team/app".to_owned()),
            subject: None,
            digest: None,
            host: "registry.example".to_owned(),
            role: Role::Registry,
        };
        let limits = Limits {
            pages: 3,
            bytes: 100,
            entries: 10,
            advice: "ask for less",
        };
        let check = |pages: &[(usize, usize)], has_next: bool, expected: Option<&str>| {
            let mut budget = Budget::new(limits);
            let (last, before) = pages.split_last().unwrap();
            for (bytes, entries) in before {
                budget.page(&place, *bytes, *entries, true).unwrap();
            }
            let end = budget.page(&place, last.0, last.1, has_next);
            let text = end.err().map(|error| error.to_string());
            let expected = expected.map(|what| {
                format!(
                    "listing tags of team/app at registry registry.example: \
                     the list has more than {what}; ask for less"
                )
            });
            assert_eq!(text, expected, "{pages:?}");
        };
        check(&[(100, 10)], true, None);
        check(&[(60, 4), (40, 6)], true, None);
        check(&[(60, 4), (41, 6)], false, Some("100 bytes"));
        check(&[(1, 4), (1, 7)], false, Some("10 entries"));
        check(&[(1, 0), (1, 0), (1, 0)], false, None);
        check(&[(1, 0), (1, 0), (1, 0)], true, Some("3 pages"));
    }
}
