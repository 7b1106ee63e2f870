//! The tags of single manifests of an index.

use std::collections::BTreeMap;

use fs_err as fs;
use imgcore::deploy::RootKind;
use imgcore::json::{Fields, Limits, Strictness, Value};
use imgcore::{Error, LayerMetadata};

use super::image::DeployedImage;
use crate::cli::value::IndexAndFile;
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// Reads the tags of each manifest, in the order of the index. Manifests without tags are left out.
pub(super) fn read(
    context: &Context,
    image: &DeployedImage,
    files: &[IndexAndFile],
) -> Result<Vec<(LayerMetadata, Vec<String>)>, Failure> {
    if !files.is_empty() && image.kind() != RootKind::Index {
        return Err(Failure::new("--manifest-tag-file: the root is no index")
            .hint("put the tags of a manifest into the configuration file"));
    }
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    let mut all: BTreeMap<usize, (LayerMetadata, Vec<String>)> = BTreeMap::new();
    for IndexAndFile { index, file } in files {
        let Some(manifest) = image.manifest(*index) else {
            let message = format!("--manifest-tag-file {index}: there is no manifest {index}");
            return Err(Failure::new(message).hint("give its --manifest-path, too"));
        };
        let bytes = fs::read(context.path(file))?;
        let tags = parse(&bytes).explain(|| file.display().to_string())?;
        for tag in &tags {
            match owners.insert(tag.clone(), *index) {
                Some(owner) if owner != *index => {
                    let message =
                        format!("the manifests {owner} and {index} both have the tag {tag}");
                    return Err(Failure::new(message).hint("a tag can stand for one manifest only"));
                }
                _ => {}
            }
        }
        all.insert(*index, (manifest.clone(), tags));
    }
    Ok(all
        .into_values()
        .filter(|(_, tags)| !tags.is_empty())
        .collect())
}

/// Reads the tags of one manifest: sorted, each once, none empty.
fn parse(bytes: &[u8]) -> Result<Vec<String>, Error> {
    let mut fields = Fields::of(&Value::parse(bytes, &Limits::default())?, "document")?;
    let mut tags = fields.strings("manifest_tags")?;
    fields.finish(Strictness::Lenient)?;
    tags.retain(|tag| !tag.is_empty());
    tags.sort();
    tags.dedup();
    Ok(tags)
}
