//! Names of images as places on registries.

use std::collections::BTreeMap;

use imgcore::{Descriptor, Reference, Tag};
use imgpush::Location;

use crate::report::Failure;

/// Gathers the tags for each repository. A name without a tag is one with `latest`, unless there are others.
pub(crate) fn destinations(
    names: &[Reference],
    tags: &[Tag],
    root: &Descriptor,
) -> Result<BTreeMap<Location, Vec<Tag>>, Failure> {
    let mut destinations: BTreeMap<Location, Vec<Tag>> = BTreeMap::new();
    for name in names {
        let full = name.docker_normalized()?;
        if let Some(digest) = full.digest()
            && digest != root.digest
        {
            let message = format!("{name} is another image than {}", root.digest);
            return Err(
                Failure::new(message).hint("leave the digest out, or name the image that has it")
            );
        }
        let registry = full.host().cloned();
        let registry = registry.ok_or_else(|| Failure::new(format!("{name} has no registry")))?;
        let to = Location::new(registry, full.repository().clone());
        let full = if tags.is_empty() {
            full.or_latest()
        } else {
            full
        };
        let all = destinations.entry(to).or_default();
        for tag in full.tag().into_iter().chain(tags) {
            if !all.contains(tag) {
                all.push(tag.clone());
            }
        }
    }
    Ok(destinations)
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;

    use super::*;

    fn check(names: &[&str], tags: &[&str]) -> Vec<String> {
        let root = Descriptor::of(MediaType::OCI_MANIFEST, b"{}");
        let names: Vec<Reference> = names.iter().map(|name| name.parse().unwrap()).collect();
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let destinations = destinations(&names, &tags, &root).unwrap().into_iter();
        let shown = destinations.map(|(to, tags)| {
            let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            format!("{to}:{}", tags.join(","))
        });
        shown.collect()
    }

    #[test]
    fn names_of_one_repository_are_its_tags() {
        let names = ["r.example/app:1", "r.example/app:1.2", "app"];
        assert_eq!(
            check(&names, &[]),
            ["docker.io/library/app:latest", "r.example/app:1,1.2"]
        );
        assert_eq!(
            check(&names, &["edge", "1"]),
            ["docker.io/library/app:edge,1", "r.example/app:1,edge,1.2"]
        );
    }

    #[test]
    fn a_name_with_a_digest_must_mean_the_image() {
        let root = Descriptor::of(MediaType::OCI_MANIFEST, b"{}");
        let own = format!("r.example/app@{}", root.digest).parse().unwrap();
        let destinations_of = |name: Reference| destinations(&[name], &[], &root);
        let all = destinations_of(own).unwrap();
        assert!(all.values().all(Vec::is_empty));
        let other = Descriptor::of(MediaType::OCI_MANIFEST, b"other").digest;
        let other = format!("r.example/app@{other}").parse().unwrap();
        destinations_of(other).unwrap_err();
    }
}
