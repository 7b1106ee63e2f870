//! What refers to a manifest: signatures, bills of materials and the like.

use http::Method;
use imgcore::{Descriptor, Digest, Document, MediaType};

use super::lists::{Budget, MAX_PAGE, REFERRERS};
use super::tags::next_page;
use super::{Remote, Site};
use crate::TagOrDigest;
use crate::error::{Error, ErrorKind, Operation, Result, kind_of_core};
use crate::exchange::Read;
use crate::protocol::scope::Actions;
use crate::protocol::url::referrers_tag;

/// What refers to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Referrers {
    /// The manifests that refer to it.
    pub manifests: Vec<Descriptor>,
    /// Whether the list is the tag that clients keep, because the registry does not keep one.
    pub from_tag: bool,
}

impl Remote {
    /// Lists the manifests that refer to one, all or those of one artifact type.
    ///
    /// Where the registry does not know the question, the tag is read under which clients keep the answer. The list may
    /// have 1,000 pages, of 16 MiB and 100,000 manifests together.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`], [`ErrorKind::Protocol`] when the answer is no index, and [`ErrorKind::TooLarge`] when there
    /// is no end of it. That nothing refers to it is an empty list.
    pub async fn referrers(
        &self,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Referrers> {
        let site = self.origin();
        match self
            .referrers_by_question(site, digest, artifact_type)
            .await
        {
            Ok(manifests) => Ok(Referrers {
                manifests,
                from_tag: false,
            }),
            Err(error) if is_unknown_question(&error) => {
                let manifests = self.referrers_by_tag(site, digest).await?;
                Ok(Referrers {
                    manifests: of_type(manifests, artifact_type),
                    from_tag: true,
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn referrers_by_question(
        &self,
        site: &Site,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>> {
        let endpoint = site.session.endpoint();
        let mut next = Some(endpoint.referrers(&site.repository, digest, artifact_type));
        let place = site.place_of(Operation::ListReferrers, digest);
        let mut manifests = Vec::new();
        let mut budget = Budget::new(REFERRERS);
        while let Some(url) = next {
            let call = site.call(place.clone(), Method::GET, url.clone(), Actions::PULL);
            let no_index =
                |error: imgcore::Error| Error::new(kind_of_core(&error), &place, error.to_string());
            let page = |read: &Read| {
                Ok((
                    index(read).map_err(no_index)?,
                    next_page(site, &place, &url, read)?,
                    read.bytes.len(),
                ))
            };
            let exchange = site.exchange(self);
            let (found, more, bytes) = exchange.read_as(&call, MAX_PAGE, page).await?;
            budget.page(&place, bytes, found.len(), more.is_some())?;
            manifests.extend(found);
            next = more;
        }
        // A registry may leave the choice to the client, and says then that it did not choose.
        Ok(of_type(manifests, artifact_type))
    }

    async fn referrers_by_tag(&self, site: &Site, digest: &Digest) -> Result<Vec<Descriptor>> {
        let Some(tag) = referrers_tag(digest) else {
            return Ok(Vec::new());
        };
        match site.read_manifest(self, &TagOrDigest::Tag(tag)).await {
            Ok(fetched) => match fetched.document {
                Document::Index(index) => Ok(index.manifests.clone()),
                Document::Manifest(_) => Ok(Vec::new()),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// A registry that knows the question answers it for every digest: with an empty list if need be.
fn is_unknown_question(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Unsupported => true,
        ErrorKind::Protocol => error
            .status()
            .is_some_and(|status| status.is_client_error()),
        _ => false,
    }
}

fn index(read: &Read) -> Result<Vec<Descriptor>, imgcore::Error> {
    match Document::classify(&read.bytes, Some(&MediaType::OCI_INDEX))? {
        Document::Index(index) => Ok(index.manifests.clone()),
        Document::Manifest(_) => Ok(Vec::new()),
    }
}

fn of_type(manifests: Vec<Descriptor>, artifact_type: Option<&str>) -> Vec<Descriptor> {
    let Some(wanted) = artifact_type else {
        return manifests;
    };
    let is_wanted = |descriptor: &Descriptor| {
        let found = descriptor.artifact_type.as_ref();
        found.is_some_and(|found| found.as_str() == wanted)
    };
    manifests.into_iter().filter(is_wanted).collect()
}
