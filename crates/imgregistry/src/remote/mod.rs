//! One repository of a registry, as a source and a sink of blobs and as a keeper of manifests.

mod blobs;
mod deletes;
mod download;
mod foreign;
mod lists;
mod manifests;
mod referrers;
mod tags;
mod uploads;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::HeaderMap;
use imgcore::{Digest, RegistryHost, Repository};
use url::Url;

pub use self::manifests::{Fetched, Put};
pub use self::referrers::Referrers;
pub use self::tags::Tags;
pub use self::uploads::{Mount, Uploaded};
use crate::TagOrDigest;
use crate::client::{Client, Event, Inner, Lane};
use crate::error::{Error, Operation, Place, Result};
use crate::exchange::{Call, Exchange};
use crate::protocol::retry::Class;
use crate::protocol::scope::{Actions, Scope, ScopeSet};
use crate::session::Session;

/// A repository of a registry, with the mirrors that are asked before it. Cheap to clone.
///
/// It is a [`BlobSource`](imgstore::BlobSource) and a [`BlobSink`](imgstore::BlobSink): reading goes to the mirrors
/// first, writing to the registry alone.
#[derive(Clone)]
pub struct Remote(Arc<Parts>);

struct Parts {
    client: Client,
    name: Repository,
    /// The mirrors, then the registry itself, which is always there.
    sites: Vec<Site>,
}

/// A repository at one host.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) session: Arc<Session>,
    /// The repository as that host calls it.
    pub(crate) repository: Repository,
    /// Whether it is asked what a tag stands for.
    has_tags: bool,
}

impl Remote {
    pub(crate) fn new(
        client: Client,
        origin: Arc<Session>,
        name: &Repository,
        mirrors: Vec<(Arc<Session>, Repository, bool)>,
    ) -> Self {
        let mirrors = mirrors
            .into_iter()
            .map(|(session, repository, has_tags)| Site {
                session,
                repository,
                has_tags,
            });
        let origin = Site {
            repository: origin.name(name),
            session: origin,
            has_tags: true,
        };
        let sites = mirrors.chain(std::iter::once(origin)).collect();
        Self(Arc::new(Parts {
            client,
            name: name.clone(),
            sites,
        }))
    }

    /// Returns the registry's host, as it was named.
    pub fn host(&self) -> &RegistryHost {
        self.origin().session.host()
    }

    /// Returns the repository, as it was named.
    pub fn repository(&self) -> &Repository {
        &self.0.name
    }

    /// Returns the repository as the registry itself has it, with no mirror asked before: for whoever decides by what
    /// is there what is to be written.
    #[must_use]
    pub fn without_mirrors(&self) -> Self {
        Self(Arc::new(Parts {
            client: self.0.client.clone(),
            name: self.0.name.clone(),
            sites: vec![self.origin().clone()],
        }))
    }

    pub(crate) fn inner(&self) -> &Inner {
        self.0.client.inner()
    }

    /// Tells that a mirror did not help, and returns why.
    pub(crate) fn mirror_failed(&self, error: &Error) -> String {
        let reason = error.summary();
        self.inner().observe(&Event::MirrorFailed {
            host: error.host().to_owned(),
            reason: reason.clone(),
        });
        reason
    }

    /// Returns the registry itself.
    pub(crate) fn origin(&self) -> &Site {
        self.0
            .sites
            .last()
            .expect("because the registry was put in last")
    }

    /// Returns the places for content that is named by its digest.
    pub(crate) fn sites(&self) -> &[Site] {
        &self.0.sites
    }

    /// Returns the places that know what a name stands for.
    pub(crate) fn sites_for(&self, at: &TagOrDigest) -> Vec<&Site> {
        let is_tag = matches!(at, TagOrDigest::Tag(_));
        let sites = self.0.sites.iter();
        sites.filter(|site| site.has_tags || !is_tag).collect()
    }
}

/// The sites that are tried one after the other, and why those before could not help.
pub(crate) struct Tried<'a> {
    remote: &'a Remote,
    left: usize,
    earlier: Vec<String>,
}

impl<'a> Tried<'a> {
    pub(crate) fn new(remote: &'a Remote, sites: usize) -> Self {
        Self {
            remote,
            left: sites,
            earlier: Vec::new(),
        }
    }

    /// Notes that a site could not help. The last one's error is what the caller gets, with those before.
    pub(crate) fn failed(&mut self, error: Error) -> Result<()> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return Err(error.with_earlier(std::mem::take(&mut self.earlier)));
        }
        self.earlier.push(self.remote.mirror_failed(&error));
        Ok(())
    }
}

impl Site {
    pub(crate) fn exchange<'a>(&'a self, remote: &'a Remote) -> Exchange<'a> {
        Exchange {
            client: remote.inner(),
            session: &self.session,
        }
    }

    /// Returns where an operation on this repository happens.
    pub(crate) fn place(&self, operation: Operation, subject: Option<String>) -> Place {
        Place {
            subject,
            ..self.session.place(operation, Some(&self.repository))
        }
    }

    /// Returns where an operation on a blob or manifest happens.
    pub(crate) fn place_of(&self, operation: Operation, digest: &Digest) -> Place {
        Place {
            digest: Some(*digest),
            ..self.place(operation, Some(digest.to_string()))
        }
    }

    /// Finds out how the site is reached, before URLs to write to are kept that depend on it.
    pub(crate) async fn settle(&self, remote: &Remote) {
        let place = self.session.place(Operation::Ping, None);
        let url = self.session.endpoint().ping();
        let mut call = self.call(place, Method::GET, url, Actions::PULL);
        call.lane = Lane::Writing;
        self.session.settle(self.exchange(remote), call).await;
    }

    /// Makes a request without a body to the site.
    pub(crate) fn call(&self, place: Place, method: Method, url: Url, actions: Actions) -> Call {
        Call {
            place,
            class: Class::Repeatable,
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            scopes: ScopeSet::new(Scope::new(self.repository.clone(), actions)),
            follows: true,
            is_foreign: false,
            lane: Lane::Reading,
            permit: None,
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("host", self.host())
            .field("repository", &self.0.name)
            .field("sites", &self.0.sites.len())
            .finish_non_exhaustive()
    }
}
