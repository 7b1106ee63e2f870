//! Makes an image of one static program, in an OCI layout: `write-image PROGRAM LAYOUT`, then `img inspect LAYOUT`.

use std::error::Error;
use std::path::Path;

use imgcore::assemble::{Base, ImageOptions, Setting, assemble_image};
use imgcore::{LayerMetadata, Platform};
use imglayer::{EncodeOptions, LayerPath, MetadataPatch, PlanBuilder, PlanOptions, write_layer};
use imgstore::{DirectoryStore, OciLayout};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let (Some(program), Some(directory)) = (words.next(), words.next()) else {
        return Err("usage: write-image PROGRAM LAYOUT".into());
    };
    let layout = OciLayout::create(directory)?;
    let layer = store_layer(program.as_ref(), layout.blobs())?;

    let mut options = ImageOptions::default();
    options.config.platform = Some("linux/amd64".parse::<Platform>()?);
    options.config.entrypoint = Setting::Set(vec!["/bin/app".to_owned()]);
    let image = assemble_image(&Base::default(), &[layer], &options)?;

    layout.blobs().insert(&image.config)?;
    layout.blobs().insert(&image.manifest)?;
    // The index comes last, so that it never names what is not there.
    layout.add(&image.descriptor, Some("v1"))?;
    Ok(())
}

/// Writes a layer that has one program; what config and manifest need to know of it comes back.
fn store_layer(program: &Path, blobs: &DirectoryStore) -> Result<LayerMetadata, Box<dyn Error>> {
    let mut builder = PlanBuilder::new(PlanOptions::default());
    let app = LayerPath::parse("bin/app")?;
    builder.file(app.clone(), program)?;
    builder.metadata(app, MetadataPatch::with_mode(0o755))?;
    let plan = builder.finish()?;

    // The blob has no name before it is whole: its digest is its name.
    let (written, blob) = write_layer(&plan, &EncodeOptions::default(), blobs.stage()?)?;
    blob.commit_as_hashed()?;
    Ok(written.metadata)
}
