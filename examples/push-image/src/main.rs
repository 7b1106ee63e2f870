//! Pushes the only image of an OCI layout: `push-image DIRECTORY registry.example/team/app:v1`.

#![expect(clippy::print_stdout, reason = "a program prints")]

use std::sync::Arc;

use imgcore::Reference;
use imgpush::{Image, Location, Options, Progress, Sources, push};
use imgregistry::Client;
use imgstore::{OciLayout, Selector};

const USAGE: &str = "usage: push-image DIRECTORY IMAGE";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let layout = OciLayout::open(arguments.next().ok_or(USAGE)?)?;
    let name: Reference = arguments.next().ok_or(USAGE)?.parse()?;

    let name = name.docker_normalized()?.or_latest();
    let host = name.host().ok_or(USAGE)?.clone();
    let to = Location::new(host, name.repository().clone());
    let root = layout.index()?.select(&Selector::Only)?.remove(0);
    let mut image = Image::new(root, to, Sources::of("layout", Arc::new(layout)));
    image.tags.extend(name.tag().cloned());

    let client = Client::builder().build()?;
    let report = push(&client, [image], &Options::default(), &Progress::default()).await;
    println!("{report}");
    if report.is_success() {
        Ok(())
    } else {
        Err("not everything was pushed".into())
    }
}
