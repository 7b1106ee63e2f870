//! `img oci-layout-metadata`: configs and file lists of a layout's images, without layer bytes.

use std::path::PathBuf;

use fs_err as fs;
use imgcore::json::{Object, Value};
use imglayer::filesystem::Contents;
use imglayer::mtree::{self, Keywords};

use super::mtree::{Layout, arrange, keywords};
use crate::cli::Run;
use crate::context::Context;
use crate::output::Outputs;
use crate::report::Failure;
use crate::subject::{Image, Images, Layers, Subject};

/// Writes the config and an mtree text of every image in an OCI layout, and images.json that lists them
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The OCI layout directory
    #[arg(long, value_name = "DIRECTORY", required = true)]
    src: String,
    /// Where the files go; it must exist
    #[arg(long, value_name = "DIRECTORY", required = true)]
    output: PathBuf,
    /// What stands in front of each path
    #[arg(long, value_name = "TEXT", default_value = "./")]
    path_prefix: String,
    /// The properties to tell: type,size,mode,uid,uname,gid,gname,sha256,time,link,nlink,xattr [default: all but xattr]
    #[arg(long, value_name = "LIST")]
    options: Option<String>,
    /// Whether the entries of the layers are listed, or the file system that they make
    #[arg(
        long,
        value_name = "LAYOUT",
        default_value = "oci_layer_filesystem_applied_changeset"
    )]
    image_layout: Layout,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let keywords = keywords(self.options.as_deref())?;
        let Subject::Images(images) = Subject::open(context, &self.src)? else {
            return Err(Failure::new(format!(
                "{} is a layer and no image",
                self.src
            )));
        };
        if !context.path(&self.output).is_dir() {
            let message = format!("{} is no directory", self.output.display());
            return Err(Failure::new(message).hint("make it first"));
        }
        self.write(context, &images, &keywords)
    }
}

impl Arguments {
    fn write(
        &self,
        context: &Context,
        images: &Images,
        keywords: &Keywords,
    ) -> Result<(), Failure> {
        let mut files = Vec::new();
        let mut list = Vec::new();
        for image in images.all()? {
            let Some(config) = image.config.clone() else {
                continue;
            };
            let number = list.len();
            let [config_path, mtree_path] =
                ["config.json", "image.mtree"].map(|name| format!("{number}/{name}"));
            list.push(Value::from(entry(&image, &config_path, &mtree_path)));
            files.push((config_path, config.bytes().to_vec()));
            files.push((mtree_path, self.file_list(image, keywords)?));
        }
        let mut document = Object::new();
        document.set("images", list);
        files.push((
            "images.json".to_owned(),
            Value::from(document).to_indented(),
        ));
        let mut outputs = Outputs::default();
        for (name, bytes) in files {
            let path = self.output.join(name);
            fs::create_dir_all(context.path(path.parent().unwrap_or(&self.output)))?;
            outputs.add_bytes(context, &path, &bytes)?;
        }
        outputs.commit(context)
    }

    fn file_list(&self, image: Image, keywords: &Keywords) -> Result<Vec<u8>, Failure> {
        let contents = if keywords.needs_contents() {
            Contents::Hash
        } else {
            Contents::Skip
        };
        let layers = Layers::Image(Box::new(image)).tar_entries(contents)?;
        let entries = arrange(layers, self.image_layout)?;
        let mut text = Vec::new();
        mtree::write(&entries, &self.path_prefix, keywords, &mut text)?;
        Ok(text)
    }
}

/// What `images.json` says of an image; paths are relative to it.
fn entry(image: &Image, config: &str, mtree: &str) -> Object {
    let mut platform = Object::new();
    if let Some(found) = image.platform() {
        platform.set("architecture", found.architecture.as_str());
        platform.set("os", found.os.as_str());
        if let Some(variant) = &found.variant {
            platform.set("variant", variant.as_str());
        }
    }
    let mut entry = Object::new();
    entry.set("platform", platform);
    entry.set("config", config);
    entry.set("mtree", mtree);
    entry.set(
        "complete",
        image
            .manifest
            .layers
            .iter()
            .all(|layer| layer.media_type.is_layer()),
    );
    entry
}
