//! Requests to containerd: whom they are for, how many there were, and what their failures mean.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::proto::content::content_client::ContentClient;
use super::proto::images::images_client::ImagesClient;
use super::proto::leases::leases_client::LeasesClient;
use super::proto::version::VersionRequest;
use super::proto::version::version_client::VersionClient;
use crate::{Error, ErrorKind};

/// A list of blobs with their labels may be long.
const LARGEST_ANSWER: usize = 16 << 20;

/// Makes requests in one namespace, and with one lease if there is one. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Session {
    channel: Channel,
    name: Arc<str>,
    namespace: AsciiMetadataValue,
    lease: Option<AsciiMetadataValue>,
    requests: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Session {
    pub(super) fn new(channel: Channel, name: &str, namespace: &str, lease: Option<&str>) -> Self {
        let value = |text: &str| {
            AsciiMetadataValue::try_from(text)
                .expect("because namespaces and leases are letters, digits and dashes")
        };
        Self {
            channel,
            name: name.into(),
            namespace: value(namespace),
            lease: lease.map(value),
            requests: Arc::default(),
        }
    }

    /// The same, with a lease.
    pub(super) fn with_lease(&self, lease: &str) -> Self {
        let lease = AsciiMetadataValue::try_from(lease);
        Self {
            lease: lease.ok(),
            ..self.clone()
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn content(&self) -> ContentClient<Channel> {
        ContentClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(super) fn images(&self) -> ImagesClient<Channel> {
        ImagesClient::new(self.channel.clone())
    }

    pub(super) fn leases(&self) -> LeasesClient<Channel> {
        LeasesClient::new(self.channel.clone())
    }

    /// Makes a request, and counts it under the name of its method.
    pub(super) fn request<T>(&self, method: &'static str, message: T) -> Request<T> {
        let mut counts = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(method.to_owned()).or_default() += 1;
        drop(counts);
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("containerd-namespace", self.namespace.clone());
        if let Some(lease) = &self.lease {
            metadata.insert("containerd-lease", lease.clone());
        }
        request
    }

    /// Returns how many requests there were, by their method.
    pub(super) fn requests(&self) -> BTreeMap<String, u64> {
        let counts = self.requests.lock();
        counts.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes sure that it is containerd that listens.
    pub(super) async fn check_version(&self) -> Result<(), String> {
        let mut version = VersionClient::new(self.channel.clone());
        let request = self.request("Version.Version", VersionRequest {});
        match version.version(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::Unimplemented => {
                Err("somebody else than containerd listens there".to_owned())
            }
            Err(status) => Err(reason(&status)),
        }
    }

    /// Makes an error of a request that failed.
    pub(super) fn error(&self, what: impl AsRef<str>, status: &Status) -> Error {
        let what = what.as_ref();
        let name = self.name();
        let reason = reason(status);
        if is_broken(status) {
            let text = format!("{what}: {name} stopped answering: {reason}");
            return Error::new(ErrorKind::Gone, text);
        }
        if status.message().contains("no space left on device") {
            let text = format!("{what}: the disk of {name} is full; free some of it: {reason}");
            return Error::new(ErrorKind::DiskFull, text);
        }
        Error::new(ErrorKind::Refused, format!("{what}: {name}: {reason}"))
    }
}

/// Whether nobody answered any more. What containerd itself says has no cause on this side.
fn is_broken(status: &Status) -> bool {
    status.source().is_some()
        || status.message().starts_with("Service was not ready")
        || (status.code() == Code::Unavailable && status.message().contains("server is stopping"))
}

fn reason(status: &Status) -> String {
    let mut text = match status.message() {
        "" => status.code().to_string(),
        message => message.to_owned(),
    };
    let mut source = status.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
