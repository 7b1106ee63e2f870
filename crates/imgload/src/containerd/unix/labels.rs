//! Labels of blobs: what garbage collection follows, and where a blob can be had again.
//!
//! containerd keeps a blob that a label `containerd.io/gc.ref.content*` of another one names ([garbage collection]).
//!
//! [garbage collection]: https://github.com/containerd/containerd/blob/main/docs/garbage-collection.md

use std::collections::{BTreeMap, HashMap};

use imgcore::Digest;

use crate::Origin;
use crate::contents::Role;

const REFERENCE: &str = "containerd.io/gc.ref.content";
const SOURCE: &str = "containerd.io/distribution.source.";

/// Labels by their keys, as containerd tells them.
pub(super) type Labels = HashMap<String, String>;

/// Returns the labels that name what a document leads to, with the keys that containerd's own clients use. Everything is
/// named, what stays behind too: it may come later, and naming what is not there has no effect.
pub(super) fn references(children: &[(Role, Digest)]) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let (mut layers, mut manifests) = (0, 0);
    for (role, digest) in children {
        let key = match role {
            Role::Config => format!("{REFERENCE}.config"),
            Role::Layer => {
                layers += 1;
                format!("{REFERENCE}.l.{}", layers - 1)
            }
            Role::Manifest => {
                manifests += 1;
                format!("{REFERENCE}.m.{}", manifests - 1)
            }
        };
        labels.insert(key, digest.to_string());
    }
    labels
}

/// Returns the labels that a blob has to get, in addition to those it has: it must name everything that `wanted` does, under
/// whatever key, and know all its origins.
pub(super) fn missing(
    has: &Labels,
    wanted: &BTreeMap<String, String>,
    origins: &[Origin],
) -> Labels {
    let mut missing = Labels::new();
    let named = |digest: &String| {
        has.iter()
            .any(|(key, value)| key.starts_with(REFERENCE) && value == digest)
    };
    if !wanted.values().all(named) {
        // All keys, because one that others gave may stand for another child now.
        let wanted = wanted.iter();
        missing.extend(wanted.map(|(key, value)| (key.clone(), value.clone())));
    }
    for origin in origins {
        let key = format!("{SOURCE}{}", origin.registry);
        let repository = origin.repository.as_str();
        let known = missing.get(&key).or_else(|| has.get(&key));
        let known = known.map_or("", String::as_str);
        if known.split(',').any(|it| it == repository) {
            continue;
        }
        let longer = match known {
            "" => repository.to_owned(),
            known => format!("{known},{repository}"),
        };
        // containerd refuses more, and nothing depends on this label.
        if key.len() + longer.len() <= 4096 {
            missing.insert(key, longer);
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::sha256_of(text.as_bytes())
    }

    fn labels(all: &[(&str, &str)]) -> Labels {
        let all = all.iter();
        all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn origin(registry: &str, repository: &str) -> Origin {
        Origin {
            registry: registry.parse().unwrap(),
            repository: repository.parse().unwrap(),
        }
    }

    #[test]
    fn a_manifest_names_its_config_and_layers_and_an_index_its_manifests() {
        let manifest = references(&[
            (Role::Config, digest("c")),
            (Role::Layer, digest("a")),
            (Role::Layer, digest("b")),
        ]);
        let keys: Vec<_> = manifest.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "containerd.io/gc.ref.content.config",
                "containerd.io/gc.ref.content.l.0",
                "containerd.io/gc.ref.content.l.1"
            ]
        );
        let index = references(&[(Role::Manifest, digest("a")), (Role::Manifest, digest("b"))]);
        assert_eq!(
            index["containerd.io/gc.ref.content.m.1"],
            digest("b").to_string()
        );
    }

    #[test]
    fn what_names_all_children_under_any_key_is_left_alone() {
        let wanted = references(&[(Role::Manifest, digest("a")), (Role::Manifest, digest("b"))]);
        let [a, b] = ["a", "b"].map(|it| digest(it).to_string());
        let other_keys = [
            ("containerd.io/gc.ref.content.m.0", b.as_str()),
            ("containerd.io/gc.ref.content.7", a.as_str()),
        ];
        assert!(missing(&labels(&other_keys), &wanted, &[]).is_empty());
        // One is named by a label that garbage collection does not follow.
        let other_keys = [
            ("containerd.io/gc.ref.content.m.0", b.as_str()),
            ("x", a.as_str()),
        ];
        let repaired = missing(&labels(&other_keys), &wanted, &[]);
        assert_eq!(repaired.len(), 2);
        assert_eq!(repaired["containerd.io/gc.ref.content.m.0"], a);
        assert_eq!(repaired["containerd.io/gc.ref.content.m.1"], b);
    }

    #[test]
    fn origins_are_added_to_those_that_are_known() {
        let key = "containerd.io/distribution.source.r.example:5000";
        let none = BTreeMap::new();
        let origins = [
            origin("r.example:5000", "team/app"),
            origin("r.example:5000", "base"),
        ];
        let fresh = missing(&Labels::new(), &none, &origins);
        assert_eq!(fresh[key], "team/app,base");
        let added = missing(&labels(&[(key, "base,other")]), &none, &origins);
        assert_eq!(added[key], "base,other,team/app");
        assert!(missing(&labels(&[(key, "base,team/app")]), &none, &origins).is_empty());
    }

    #[test]
    fn an_origin_that_makes_the_label_too_long_is_left_out() {
        let long = "a/".repeat(2100);
        let key = "containerd.io/distribution.source.r.example";
        let has = labels(&[(key, &long)]);
        assert!(missing(&has, &BTreeMap::new(), &[origin("r.example", "b")]).is_empty());
    }
}
