//! The tags of a repository, page by page.

use std::collections::HashSet;
use std::fmt;

use http::Method;
use http::header::LINK;
use imgcore::Tag;
use imgcore::json::{Limits, Value};
use url::Url;

use super::lists::{Budget, MAX_PAGE, TAGS};
use super::{Remote, Site};
use crate::error::{Error, ErrorKind, Operation, Place, Result};
use crate::exchange::Read;
use crate::protocol::link;
use crate::protocol::scope::Actions;

/// The pages of a repository's tags.
pub struct Tags {
    remote: Remote,
    /// `None` behind the last page.
    next: Option<Url>,
    seen: HashSet<Url>,
    budget: Budget,
}

impl Remote {
    /// Starts to read the tags, in the registry's order: at most 10,000 pages, of 64 MiB and a million tags together.
    pub fn tags(&self) -> Tags {
        let site = self.origin();
        Tags {
            next: Some(site.session.endpoint().tags(&site.repository, None, None)),
            remote: self.clone(),
            seen: HashSet::new(),
            budget: Budget::new(TAGS),
        }
    }
}

impl Tags {
    /// Reads the next page; `None` behind the last one. What is no tag by the specification is left out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is no such repository, [`ErrorKind::Denied`],
    /// [`ErrorKind::Forbidden`] when the next page is on another host, [`ErrorKind::Protocol`] when the pages go round in
    /// a circle or are no list, [`ErrorKind::TooLarge`] when there is no end of them.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Tag>>> {
        let Some(url) = self.next.take() else {
            return Ok(None);
        };
        let site = self.remote.origin();
        let place = site.place(Operation::ListTags, None);
        if !self.seen.insert(url.clone()) {
            let detail = "the pages go round in a circle";
            return Err(Error::new(ErrorKind::Protocol, &place, detail));
        }
        let call = site.call(place, Method::GET, url.clone(), Actions::PULL);
        let no_list = || Error::new(ErrorKind::Protocol, &call.place, "the answer is no list");
        let page = |read: &Read| {
            let next = next_page(site, &call.place, &url, read)?;
            let tags = parse(&read.bytes).ok_or_else(no_list)?;
            Ok((tags, next, read.bytes.len()))
        };
        let exchange = site.exchange(&self.remote);
        let (tags, next, bytes) = exchange.read_as(&call, MAX_PAGE, page).await?;
        let bytes = bytes + next.as_ref().map_or(0, |next| next.as_str().len());
        self.budget
            .page(&call.place, bytes, tags.len(), next.is_some())?;
        self.next = next;
        Ok(Some(tags))
    }

    /// Reads all pages that are left.
    ///
    /// # Errors
    ///
    /// Those of [`next_page`](Self::next_page).
    pub async fn all(mut self) -> Result<Vec<Tag>> {
        let mut all = Vec::new();
        while let Some(page) = self.next_page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A page's URL is the registry's own text, and could hold anything.
        f.debug_struct("Tags")
            .field("remote", &self.remote)
            .field("has_more", &self.next.is_some())
            .finish_non_exhaustive()
    }
}

/// Returns where the next page is, if there is one.
pub(super) fn next_page(site: &Site, place: &Place, url: &Url, read: &Read) -> Result<Option<Url>> {
    // The page was asked for before it was known which scheme the registry speaks.
    let mut url = url.clone();
    site.session.rebase(&mut url);
    let headers = read.headers.get_all(LINK).iter();
    link::next(&url, headers.filter_map(|value| value.to_str().ok()))
        .map_err(|error| Error::new(ErrorKind::Forbidden, place, error.to_string()))
}

/// Reads `{"name": …, "tags": […]}`; without tags some registries say `null`.
fn parse(bytes: &[u8]) -> Option<Vec<Tag>> {
    let limits = Limits::default().with_case_variants(true);
    let object = Value::parse(bytes, &limits).ok()?.as_object()?;
    let Some(tags) = object.get("tags") else {
        return Some(Vec::new());
    };
    if tags.is_null() {
        return Some(Vec::new());
    }
    let tags = tags.as_array()?;
    Some(
        tags.iter()
            .filter_map(|tag| tag.as_str()?.parse().ok())
            .collect(),
    )
}
