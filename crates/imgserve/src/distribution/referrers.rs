//! The manifests that refer to a manifest.

use http::header::LINK;
use http::{HeaderName, HeaderValue};
use imgcore::json::{Object, Value};
use imgcore::{Digest, MediaType, Repository};
use url::form_urlencoded;

use super::registry::{Answer, Registry, document, header};

/// How large an answer may become, in bytes: clients take 4 MiB. What does not fit comes with the next page.
const PAGE: usize = 3 * 1024 * 1024;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Registry {
    pub(super) async fn list_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<Digest>,
        is_head: bool,
    ) -> Answer {
        let found = self
            .records
            .referrers(repository, subject)
            .await
            .map_err(|error| self.failed(&error))?;
        let mut size = 0;
        let mut listed: Vec<Value> = Vec::new();
        let mut last_listed = None;
        let mut has_more = false;
        for digest in found {
            if last.is_some_and(|last| digest <= last) {
                continue;
            }
            let record = self
                .records
                .manifest(repository, &digest)
                .await
                .map_err(|error| self.failed(&error))?;
            let Some(record) = record else {
                continue;
            };
            let descriptor = record.descriptor;
            let is_wanted = artifact_type.is_none_or(|wanted| {
                descriptor.artifact_type.as_ref().map(MediaType::as_str) == Some(wanted)
            });
            if !is_wanted {
                continue;
            }
            let object = descriptor.to_json();
            size += object.to_compact().len();
            // One is listed however large it is: the next page must be another one.
            if size > PAGE && !listed.is_empty() {
                has_more = true;
                break;
            }
            listed.push(object.into());
            last_listed = Some(digest);
        }
        let mut response = document(
            index(listed),
            "application/vnd.oci.image.index.v1+json",
            is_head,
        );
        let headers = response.headers_mut();
        if artifact_type.is_some() {
            headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
        }
        if has_more && let Some(last) = last_listed {
            let link = next_page(repository, subject, artifact_type, &last);
            headers.insert(LINK, header(&link));
        }
        Ok(response)
    }
}

fn index(manifests: Vec<Value>) -> Vec<u8> {
    let mut index = Object::new();
    index.set("schemaVersion", 2_u64);
    index.set("mediaType", MediaType::OCI_INDEX.as_str());
    index.set("manifests", manifests);
    index.to_compact()
}

fn next_page(
    repository: &Repository,
    subject: &Digest,
    artifact_type: Option<&str>,
    last: &Digest,
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(artifact_type) = artifact_type {
        query.append_pair("artifactType", artifact_type);
    }
    query.append_pair("last", &last.to_string());
    format!(
        "</v2/{repository}/referrers/{subject}?{}>; rel=\"next\"",
        query.finish()
    )
}
