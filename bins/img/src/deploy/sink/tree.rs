//! A registry as files: what any server of files can answer pulls with.
//!
//! ```text
//! v2/<repository>/blobs/sha256:<digits>
//! v2/<repository>/manifests/sha256:<digits>     also by tag: links to the manifest
//! v2/<repository>/tags/list
//! v2/<repository>/referrers/sha256:<digits>     for each manifest that others refer to
//! ```

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fs_err as fs;
use imgcore::{Descriptor, Digest};
use imgpush::Location;
use imgstore::archive::layout_index;
use imgstore::{Chain, LayoutIndex, blocking};
use serde_json::{Value, json};

use super::{Image, is_load};
use crate::context::Context;
use crate::deploy::request::Step;
use crate::output::{self, Outputs, Pending};
use crate::report::{Explain as _, Failure};
use crate::sys;

/// Lists are read, changed and written again: by one request of a worker at a time.
static LISTS: Mutex<()> = Mutex::new(());

/// Writes a tree, or adds to the one that is there. A repository names what it has when all of that is there.
pub(super) fn write(
    context: &Context,
    root: &Path,
    is_flat: bool,
    images: &[Image<'_>],
    sources: &Chain,
) -> Result<(), Failure> {
    let place = |destination: &Location| {
        let mut path = root.to_owned();
        if !is_flat {
            path.push(destination.registry.as_str());
        }
        path.join("v2").join(destination.repository.as_str())
    };
    // Two registries may have a repository of one name, and then mean different things by a tag.
    let mut tags: BTreeSet<(PathBuf, &str, Digest)> = BTreeSet::new();
    let mut all = Vec::new();
    for image in images {
        for step in &image.steps {
            let destination = step.destination.as_ref().ok_or_else(|| nameless(step))?;
            let repository = Repository(place(destination));
            for tag in &step.tags {
                tags.insert((repository.0.clone(), tag.as_str(), image.root.digest));
            }
            all.push((repository, destination, *step, image));
        }
    }
    let mut before: Option<&(PathBuf, &str, Digest)> = None;
    for tag in &tags {
        if before.is_some_and(|before| (&before.0, before.1) == (&tag.0, tag.1)) {
            let place = tag.0.display();
            let message = format!("the tag {} of {place} would mean two images", tag.1);
            return Err(Failure::new(message)
                .hint("write a tree for each registry: --sink distribution:DIR"));
        }
        before = Some(tag);
    }
    let mut whole = BTreeSet::new();
    for (repository, _, _, image) in &all {
        repository.add_content(context, image, sources, &mut whole)?;
    }
    for (repository, destination, step, image) in &all {
        repository.add_tags(context, destination, &step.tags, &image.root.digest)?;
    }
    Ok(())
}

fn nameless(step: &Step) -> Failure {
    let what = if is_load(step) { "load" } else { "push" };
    let message = format!(
        "operation {} is a {what} without a registry, and a tree of repositories has no place for it",
        step.place
    );
    Failure::new(message).hint("write another kind of sink, such as docker-save:FILE")
}

/// The directory of a repository.
struct Repository(PathBuf);

impl Repository {
    /// Adds blobs and documents, and what refers to others. Blobs in `whole` are there; those that are added become some.
    fn add_content(
        &self,
        context: &Context,
        image: &Image<'_>,
        sources: &Chain,
        whole: &mut BTreeSet<PathBuf>,
    ) -> Result<(), Failure> {
        for name in ["blobs", "manifests", "tags"] {
            fs::create_dir_all(self.0.join(name))?;
        }
        for blob in image.blobs() {
            let path = self.0.join("blobs").join(blob.digest.to_string());
            if !whole.contains(&path) {
                add_blob(context, &path, blob, sources)?;
                whole.insert(path);
            }
        }
        for (descriptor, bytes) in image.documents() {
            let path = self.manifest(&descriptor.digest.to_string());
            output::write(context, &path, bytes)?;
        }
        self.add_referrers(context, image)
    }

    /// Lists the image with the manifest that it is about.
    fn add_referrers(&self, context: &Context, image: &Image<'_>) -> Result<(), Failure> {
        let manifests = image.contents.manifests.iter();
        let manifests = manifests.map(|(_, it)| {
            let mut entry = it.descriptor();
            entry.annotations.clone_from(&it.annotations);
            let of_config = it.config.media_type.clone();
            entry.artifact_type = it.artifact_type.clone().or(Some(of_config));
            (it.subject.as_ref(), entry)
        });
        let indexes = image.contents.indexes.iter().map(|it| {
            let mut entry = it.descriptor();
            entry.annotations.clone_from(&it.annotations);
            entry.artifact_type.clone_from(&it.artifact_type);
            (it.subject.as_ref(), entry)
        });
        for (subject, entry) in manifests.chain(indexes) {
            if let Some(subject) = subject {
                self.add_referrer(context, &subject.digest, entry)?;
            }
        }
        Ok(())
    }

    fn add_referrer(
        &self,
        context: &Context,
        subject: &Digest,
        entry: Descriptor,
    ) -> Result<(), Failure> {
        let _alone = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.0.join("referrers");
        fs::create_dir_all(&directory)?;
        let path = directory.join(subject.to_string());
        let mut entries = match read_if_there(&path)? {
            None => Vec::new(),
            Some(bytes) => {
                let list = LayoutIndex::parse(&bytes).explain(|| path.display().to_string())?;
                list.descriptors().to_vec()
            }
        };
        entries.retain(|known| known.digest != entry.digest);
        entries.push(entry);
        output::write(context, &path, &layout_index(&entries))
    }

    fn add_tags(
        &self,
        context: &Context,
        destination: &Location,
        tags: &[String],
        digest: &Digest,
    ) -> Result<(), Failure> {
        let _alone = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
        for tag in tags {
            let path = self.manifest(tag);
            sys::link_beside(&path, &digest.to_string())
                .explain(|| format!("cannot write {}", path.display()))?;
        }
        let path = self.0.join("tags").join("list");
        let mut all: BTreeSet<String> = tags.iter().cloned().collect();
        if let Some(bytes) = read_if_there(&path)? {
            let list: Value =
                serde_json::from_slice(&bytes).explain(|| path.display().to_string())?;
            let known = list["tags"].as_array().into_iter().flatten();
            all.extend(known.filter_map(Value::as_str).map(str::to_owned));
        }
        let list = json!({"name": destination.repository.as_str(), "tags": all});
        output::write(context, &path, list.to_string().as_bytes())
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.0.join("manifests").join(name)
    }
}

/// Writes a blob, if the file that is there is not it.
fn add_blob(
    context: &Context,
    path: &Path,
    blob: &Descriptor,
    sources: &Chain,
) -> Result<(), Failure> {
    if is_whole(path, blob) {
        return Ok(());
    }
    let mut reader = blocking::open(sources, blob)?;
    let mut pending = Pending::create(context, path)?;
    io::copy(&mut reader, &mut pending).explain(|| format!("blob {}", blob.digest))?;
    let mut outputs = Outputs::default();
    outputs.add(pending);
    outputs.commit(context)
}

/// Says whether a file has the size and digest of a blob.
fn is_whole(path: &Path, blob: &Descriptor) -> bool {
    let Ok(file) = fs::File::open(path) else {
        return false;
    };
    let mut reader = imgcore::digest::VerifyingReader::new(file, blob.digest, blob.size);
    io::copy(&mut reader, &mut io::sink()).is_ok()
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
