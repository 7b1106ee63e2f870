//! Pulls an image that everyone may read: `pull-image registry.example/team/app:v1 DIRECTORY`.

#![expect(clippy::print_stdout, reason = "a program prints")]

use std::sync::Arc;

use imgcore::Reference;
use imgpull::{Handling, Origin, Progress, PullOptions, TagOrDigest, pull};
use imgregistry::Client;
use imgstore::OciLayout;

const USAGE: &str = "usage: pull-image IMAGE DIRECTORY";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let image: Reference = arguments.next().ok_or(USAGE)?.parse()?;
    let directory = arguments.next().ok_or(USAGE)?;

    let image = image.docker_normalized()?.or_latest();
    let host = image.host().ok_or(USAGE)?;
    let tag = image.tag().ok_or(USAGE)?;
    let client = Client::builder().build()?;
    let origin = Origin::from(client.repository(host, image.repository())?);

    let layout = Arc::new(OciLayout::create(directory)?);
    let (store, at) = (Arc::clone(&layout), TagOrDigest::Tag(tag.clone()));
    let mut options = PullOptions::default();
    options.handling = Handling::Eager;
    let pulled = pull(&[origin], &at, &options, store, &Progress::default()).await?;
    layout.add(&pulled.root, Some(tag.as_str()))?;
    println!("{}", pulled.root.digest);
    Ok(())
}
