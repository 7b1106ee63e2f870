//! `img index-from-oci-layout`: all images of a layout, as the files that a build works with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use imgcore::json::{Object, Value};
use imgcore::{Descriptor, MediaType};

use super::oci_layout_parts::{self as layout, Layer, Parts};
use crate::cli::Run;
use crate::cli::value::{IndexAndFile, IndexAndText, IndexesAndFile, IndexesAndText};
use crate::context::Context;
use crate::output::Outputs;
use crate::report::Failure;

/// Takes the images of an OCI layout apart, and makes an index of them in the order of the flags
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The OCI layout directory
    #[arg(long, value_name = "DIRECTORY", required = true)]
    src: PathBuf,
    /// Where the index goes
    #[arg(long, value_name = "FILE", required = true)]
    index: PathBuf,
    /// Where the digest of the index goes
    #[arg(long, value_name = "FILE", required = true)]
    digest: PathBuf,
    /// Where the descriptor of the index goes
    #[arg(long, value_name = "FILE")]
    index_descriptor: Option<PathBuf>,
    /// Where the manifest of image M goes
    #[arg(long, value_name = "M=FILE")]
    manifest: Vec<IndexAndFile>,
    /// Where the config of image M goes
    #[arg(long, value_name = "M=FILE")]
    config: Vec<IndexAndFile>,
    /// Where the descriptor of image M goes
    #[arg(long, value_name = "M=FILE")]
    descriptor: Vec<IndexAndFile>,
    /// The operating system of image M
    #[arg(long, value_name = "M=OS")]
    os: Vec<IndexAndText>,
    /// The architecture of image M
    #[arg(long, value_name = "M=ARCHITECTURE")]
    architecture: Vec<IndexAndText>,
    /// The variant of the architecture of image M
    #[arg(long, value_name = "M=VARIANT")]
    variant: Vec<IndexAndText>,
    /// The media type that layer L of image M must have
    #[arg(long = "layer_media_type", value_name = "M,L=TYPE")]
    layer_media_type: Vec<IndexesAndText>,
    /// Where the blob of layer L of image M goes
    #[arg(long = "layer_blob", value_name = "M,L=FILE")]
    layer_blob: Vec<IndexesAndFile>,
    /// Where the metadata of layer L of image M goes
    #[arg(long = "layer_metadata_json", value_name = "M,L=FILE")]
    layer_metadata_json: Vec<IndexesAndFile>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let source = layout::open(context, &self.src)?;
        let entries = layout::entries(&source)?;
        let images = self.images()?;
        if images.len() != entries.len() {
            let message = format!(
                "the layout has {} images, and the flags name {}",
                entries.len(),
                images.len()
            );
            let hint = "give --manifest, --config, --descriptor, --os and --architecture for each";
            return Err(Failure::new(message).hint(hint));
        }
        let mut outputs = Outputs::default();
        let mut descriptors = Vec::new();
        for (number, parts) in &images {
            let entry = layout::choose(&entries, &parts.platform).map_err(|failure| {
                failure.hint(format!("look at --os and --architecture of image {number}"))
            })?;
            descriptors.push(layout::take_apart(
                context,
                &source,
                entry,
                parts,
                &mut outputs,
            )?);
        }
        let index = index(descriptors);
        let descriptor = Descriptor::of(MediaType::OCI_INDEX, &index);
        outputs.add_bytes(context, &self.index, &index)?;
        outputs.add_bytes(
            context,
            &self.digest,
            descriptor.digest.to_string().as_bytes(),
        )?;
        let descriptor = descriptor.to_json().to_compact();
        outputs.add_bytes_if(context, self.index_descriptor.as_deref(), &descriptor)?;
        outputs.commit(context)
    }
}

fn index(manifests: Vec<Object>) -> Vec<u8> {
    let mut index = Object::new();
    index.set("schemaVersion", 2_u64);
    index.set("mediaType", MediaType::OCI_INDEX.as_str());
    index.set(
        "manifests",
        manifests.into_iter().map(Value::from).collect::<Value>(),
    );
    index.to_compact()
}

impl Arguments {
    /// What the flags say of each image, by its number.
    fn images(&self) -> Result<BTreeMap<usize, Parts>, Failure> {
        let mut images: BTreeMap<usize, Parts> = BTreeMap::new();
        for IndexAndFile { index, file } in &self.manifest {
            images.entry(*index).or_default().manifest.clone_from(file);
        }
        for IndexAndFile { index, file } in &self.config {
            images.entry(*index).or_default().config.clone_from(file);
        }
        for IndexAndFile { index, file } in &self.descriptor {
            images
                .entry(*index)
                .or_default()
                .descriptor
                .clone_from(file);
        }
        for IndexAndText { index, text } in &self.os {
            images
                .entry(*index)
                .or_default()
                .platform
                .os
                .clone_from(text);
        }
        for IndexAndText { index, text } in &self.architecture {
            images
                .entry(*index)
                .or_default()
                .platform
                .architecture
                .clone_from(text);
        }
        for IndexAndText { index, text } in &self.variant {
            let variant = Some(text.clone()).filter(|variant| !variant.is_empty());
            images.entry(*index).or_default().platform.variant = variant;
        }
        for IndexesAndText {
            first,
            second,
            text,
        } in &self.layer_media_type
        {
            layer(&mut images, *first, *second).media_type = Some(text.clone());
        }
        for IndexesAndFile {
            first,
            second,
            file,
        } in &self.layer_blob
        {
            layer(&mut images, *first, *second).blob = Some(file.clone());
        }
        for IndexesAndFile {
            first,
            second,
            file,
        } in &self.layer_metadata_json
        {
            layer(&mut images, *first, *second).metadata = Some(file.clone());
        }
        for (number, parts) in &images {
            parts.check(*number)?;
        }
        Ok(images)
    }
}

fn layer(images: &mut BTreeMap<usize, Parts>, image: usize, layer: usize) -> &mut Layer {
    images
        .entry(image)
        .or_default()
        .layers
        .entry(layer)
        .or_default()
}
