//! Layers that their manifest says to get elsewhere: only where the program turned that on.

use futures_util::stream;
use http::{Method, StatusCode};
use imgcore::Descriptor;
use imgstore::BlobStream;
use url::Url;

use super::Remote;
use crate::Role;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::exchange::{Answer, host_of};
use crate::protocol::address::Rules;
use crate::protocol::scope::Actions;

/// Opens a blob at one of its `urls`, after the registry did not have it. `missing` is what the registry said.
pub(super) async fn open(
    remote: &Remote,
    descriptor: &Descriptor,
    missing: Error,
) -> imgstore::Result<BlobStream> {
    if !remote.inner().follows_foreign_urls || descriptor.urls.is_empty() {
        return Err(missing.into());
    }
    let mut earlier = Vec::new();
    for url in &descriptor.urls {
        match ask(remote, descriptor, url).await {
            Ok(answer) => return Ok(BlobStream::verify(descriptor, read(answer))),
            Err(error) => earlier.push(error.summary()),
        }
    }
    Err(missing.with_earlier(earlier).into())
}

async fn ask(remote: &Remote, descriptor: &Descriptor, url: &str) -> Result<Answer> {
    let site = remote.origin();
    let place = site.place_of(Operation::ReadBlob, &descriptor.digest);
    let refused = |why: &str| {
        let detail = format!("a URL of its descriptor is not followed: {why}");
        Error::new(ErrorKind::Forbidden, &place, detail)
    };
    let url = Url::parse(url).map_err(|_| refused("it is none"))?;
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it must be https, without a user"));
    }
    let host = url.host().ok_or_else(|| refused("it has no host"))?;
    Rules::strict()
        .check_literal(&host)
        .map_err(|error| refused(&error.to_string()))?;
    let place = place.at(host_of(&url), Role::Storage);
    let mut call = site.call(place.clone(), Method::GET, url, Actions::PULL);
    call.is_foreign = true;
    let exchange = site.exchange(remote);
    let answer = exchange.call(&call).await?;
    match answer.status {
        StatusCode::OK => Ok(answer),
        _ => Err(exchange.refused(answer, &site.repository).await),
    }
}

/// Gives the bytes as they come. The stream around this checks them.
fn read(answer: Answer) -> impl futures_core::Stream<Item = imgstore::Result<bytes::Bytes>> + Send {
    stream::unfold(Some(answer), |answer| async move {
        let mut answer = answer?;
        match answer.next_data().await? {
            Ok(data) => Some((Ok(data), Some(answer))),
            Err(error) => {
                let kind = ErrorKind::Unavailable;
                let error = Error::new(kind, &answer.place, error.to_string());
                Some((Err(error.into()), None))
            }
        }
    })
}
