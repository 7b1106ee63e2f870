//! The tags of a repository.

use http::header::LINK;
use imgcore::json::Object;
use imgcore::{Repository, Tag};

use super::refusal::{Code, Refusal};
use super::registry::{Answer, Registry, document, header};

/// The most tags in one answer: what does not fit comes with the next page.
const PAGE: usize = 10_000;

impl Registry {
    pub(super) async fn list_tags(
        &self,
        repository: &Repository,
        limit: Option<usize>,
        last: &str,
        is_head: bool,
    ) -> Answer {
        let limit = limit.unwrap_or(PAGE).min(PAGE);
        // One more than asked for says whether there is a next page.
        let found = self
            .records
            .tags(repository, last, limit + 1)
            .await
            .map_err(|error| self.failed(&error))?;
        let Some(mut tags) = found else {
            let text = format!("there is no repository {repository}");
            return Err(Refusal::missing(Code::NameUnknown, text));
        };
        let has_more = tags.len() > limit;
        tags.truncate(limit);

        let mut found = Object::new();
        found.set("name", repository.as_str());
        let names: Vec<_> = tags.iter().map(Tag::as_str).collect();
        found.set("tags", names);
        let mut response = document(found.to_compact(), "application/json", is_head);
        if has_more && let Some(last) = tags.last() {
            // The characters of tags need no escaping.
            let link = format!("</v2/{repository}/tags/list?n={limit}&last={last}>; rel=\"next\"");
            response.headers_mut().insert(LINK, header(&link));
        }
        Ok(response)
    }
}
