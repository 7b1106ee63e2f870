//! Names of images.

use std::collections::HashMap;

use imgcore::{Descriptor, Digest};
use tonic::Code;

use super::client::Session;
use super::proto::images::{
    CreateRequest, Descriptor as Target, GetRequest, Image, Mask, UpdateRequest,
};
use crate::{Change, Result};

/// Returns what a name stands for.
pub(super) async fn find(session: &Session, name: &str) -> Result<Option<Target>> {
    let request = GetRequest {
        name: name.to_owned(),
    };
    let request = session.request("Images.Get", request);
    match session.images().get(request).await {
        Ok(answer) => Ok(answer.into_inner().image.and_then(|it| it.target)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(session.error(format!("name {name}"), &status)),
    }
}

/// Returns whether a name stands for this root.
pub(super) fn is_for(target: &Target, root: &Descriptor) -> bool {
    target.digest == root.digest.to_string()
        && target.media_type == root.media_type.as_str()
        && u64::try_from(target.size) == Ok(root.size)
}

/// Lets a name stand for an image. Labels that others gave the name stay.
pub(super) async fn give(session: &Session, name: &str, root: &Descriptor) -> Result<Change> {
    let before = find(session, name).await?;
    if before.as_ref().is_some_and(|it| is_for(it, root)) {
        return Ok(Change::Unchanged);
    }
    let image = || Image {
        name: name.to_owned(),
        labels: HashMap::new(),
        target: Some(Target {
            media_type: root.media_type.to_string(),
            digest: root.digest.to_string(),
            size: i64::try_from(root.size).unwrap_or(i64::MAX),
            annotations: HashMap::new(),
        }),
    };
    if before.is_none() {
        let request = CreateRequest {
            image: Some(image()),
        };
        let request = session.request("Images.Create", request);
        match session.images().create(request).await {
            Ok(_) => return Ok(Change::Created),
            // Another load was faster: the later one decides.
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => return Err(session.error(format!("name {name}"), &status)),
        }
    }
    let request = UpdateRequest {
        image: Some(image()),
        update_mask: Some(Mask {
            paths: vec!["target".to_owned()],
        }),
    };
    let request = session.request("Images.Update", request);
    let updated = session.images().update(request).await;
    updated.map_err(|status| session.error(format!("name {name}"), &status))?;
    let same = before.is_none_or(|it| is_digest(&it, &root.digest));
    Ok(if same {
        Change::Unchanged
    } else {
        Change::Moved
    })
}

fn is_digest(target: &Target, digest: &Digest) -> bool {
    target.digest == digest.to_string()
}
