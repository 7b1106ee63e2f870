//! Prints how long a plan takes for images that share three layers: `cargo run --release -p imgpush --example plan-time`.

#![expect(clippy::print_stdout, reason = "a program prints")]

use std::sync::Arc;
use std::time::Instant;

use imgcore::{Descriptor, MediaType};
use imgpush::{Batch, Holdings, Image, Location, Options, Sources, plan};
use imgstore::MemoryStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for count in [150, 1_500, 15_000] {
        let batch = Batch::read(images(count)?).await;
        let (holdings, options) = (Holdings::default(), Options::default());
        let start = Instant::now();
        let plan = plan(&batch, &holdings, &options);
        let took = start.elapsed();
        println!("{count} images, {} steps: {took:?}", plan.steps().len());
    }
    Ok(())
}

/// Makes images to repositories of their own. Only documents are needed for a plan.
fn images(count: usize) -> Result<Vec<Image>, Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    let mut roots = Vec::new();
    for number in 0..count {
        let config = Descriptor::of(MediaType::OCI_CONFIG, number.to_string().as_bytes());
        let layers: Vec<String> = (0_u8..3).map(layer).collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
            MediaType::OCI_MANIFEST,
            String::from_utf8_lossy(&config.to_json().to_compact()),
            layers.join(",")
        );
        roots.push(Descriptor::of(MediaType::OCI_MANIFEST, manifest.as_bytes()));
        store.insert(manifest);
    }
    let sources = Sources::of("memory", Arc::new(store));
    let mut images = Vec::new();
    for (number, root) in roots.into_iter().enumerate() {
        let repository = format!("team/app-{number}").parse()?;
        let to = Location::new("registry.example".parse()?, repository);
        let mut image = Image::new(root, to, sources.clone());
        image.tags.push("v1".parse()?);
        images.push(image);
    }
    Ok(images)
}

fn layer(number: u8) -> String {
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, &[number]);
    String::from_utf8_lossy(&layer.to_json().to_compact()).into_owned()
}
