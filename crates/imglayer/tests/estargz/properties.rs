//! What holds for every tree.

use imglayer::estargz::EstargzOptions;
use imglayer::{Hardlinks, LayerPath, Plan, PlanBuilder, PlanOptions};
use imgtest::tree::{Node, Tree, trees};
use proptest::prelude::*;

use crate::support::{options, path, write, write_with};

fn plan(tree: &Tree, hardlinks: Hardlinks) -> Plan {
    let mut options = PlanOptions::default();
    options.hardlinks = hardlinks;
    let mut builder = PlanBuilder::new(options);
    for (name, node) in tree {
        let added = match node {
            Node::Directory => builder.directory(path(name)),
            Node::File { content, .. } => builder.bytes(path(name), content.clone()),
            Node::Symlink { target } => builder.symlink(path(name), target.as_str()),
        };
        added.unwrap();
    }
    builder.finish().unwrap()
}

/// Options of all kinds, for which some of the names in a tree come first.
fn choices() -> impl Strategy<Value = (EstargzOptions, Vec<prop::sample::Index>)> {
    let chunk_size = prop_oneof![Just(512_u32), 513..5000_u32, Just(4 << 20)];
    let min_chunk_size = prop_oneof![2 => Just(0_u32), 1 => 1..100_000_u32];
    let picks = prop::collection::vec(any::<prop::sample::Index>(), 0..5);
    (chunk_size, min_chunk_size, picks).prop_map(|(chunk_size, min_chunk_size, picks)| {
        let options = options(|options| {
            options.chunk_size = chunk_size;
            options.min_chunk_size = min_chunk_size;
        });
        (options, picks)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_chunk_can_be_read_and_verified_by_itself(
        tree in trees(40),
        (mut options, picks) in choices(),
        hardlinks in prop_oneof![Just(Hardlinks::Auto), Just(Hardlinks::Off)],
    ) {
        let names: Vec<&str> = tree.keys().map(String::as_str).collect();
        if !names.is_empty() {
            let picked = picks.iter().map(|pick| path(pick.get::<&str>(&names)));
            options.prioritized_files = picked.collect();
        }
        let plan = plan(&tree, hardlinks);
        let (written, blob, toc) = write(&plan, &options);
        let mut first: Vec<LayerPath> = toc.names().iter()
            .take_while(|name| **name != ".prefetch.landmark" && **name != ".no.prefetch.landmark")
            .map(|name| LayerPath::from_archive_name(name).unwrap())
            .collect();
        first.retain(|path| options.prioritized_files.contains(path));
        let mut expected = Vec::new();
        for path in &options.prioritized_files {
            if !expected.contains(path) {
                expected.push(path.clone());
            }
        }
        // A directory may come earlier, for the sake of what is in it.
        let is_directory = |path: &LayerPath| tree[&path.to_string()] == Node::Directory;
        first.retain(|path| !is_directory(path));
        expected.retain(|path| !is_directory(path));
        prop_assert_eq!(first, expected);
        for threads in [1, 3, 64] {
            let (other, same) = write_with(&plan, &options, threads);
            prop_assert!(same == blob, "{} threads", threads);
            prop_assert_eq!(&other.metadata, &written.metadata);
        }
    }
}
