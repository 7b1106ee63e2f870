//! What holds for every tree: the same bytes however it is given, and the rules of layers.

use std::num::NonZeroUsize;

use imglayer::{
    Codec, EncodeOptions, EntryKind, Hardlinks, ImportOptions, PlanBuilder, PlanOptions,
    SymlinkPolicy, TreeOptions, write_layer,
};
use imgtest::layer::{Rules, check_blob};
use imgtest::oracle::{Oracle, View};
use imgtest::tree::{Node, Tree, trees};
use proptest::prelude::*;

use crate::support::{Disk, path, write};

/// Adds the parts of a tree in an order that `seed` decides.
fn add_shuffled(builder: &mut PlanBuilder, disk: &Disk, tree: &Tree, seed: u64) {
    let mut items: Vec<_> = tree.iter().collect();
    // Any order will do that differs between seeds.
    items.sort_by_key(|(name, _)| imgcore::Digest::sha256_of(format!("{seed}{name}").as_bytes()));
    for (name, node) in items {
        let added = match node {
            Node::Directory => builder.directory(path(name)),
            Node::File { .. } => builder.file(path(name), disk.path(name)),
            Node::Symlink { target } => builder.symlink(path(name), target.as_str()),
        };
        added.unwrap();
    }
}

fn layer(builder: PlanBuilder, codec: Codec, threads: usize) -> Vec<u8> {
    let plan = builder.finish().unwrap();
    let mut options = EncodeOptions::default();
    options.codec = codec;
    options.threads = NonZeroUsize::new(threads).unwrap();
    let (written, blob) = write_layer(&plan, &options, Vec::new()).unwrap();
    let mut rules = Rules::default();
    rules.deduplicated = plan.hardlinks() == Hardlinks::Auto;
    check_blob(&blob[..], &written.metadata, rules).unwrap();
    blob
}

fn options(hardlinks: Hardlinks) -> PlanOptions {
    let mut options = PlanOptions::default();
    options.hardlinks = hardlinks;
    options
}

#[cfg(unix)]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_tree_gives_the_same_bytes_however_it_is_given(tree in trees(40), seed in any::<u64>()) {
        let disks = [Disk::new(), Disk::new()];
        for disk in &disks {
            imgtest::tree::write(&tree, disk.root());
        }
        for hardlinks in [Hardlinks::Auto, Hardlinks::Off] {
            for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
                let mut whole = PlanBuilder::new(options(hardlinks));
                let root = imglayer::LayerPath::root();
                let keep = TreeOptions::with_symlinks(SymlinkPolicy::Keep);
                whole.tree(root, disks[0].root(), &keep).unwrap();
                let expected = layer(whole, codec, 1);
                for threads in [2, 3, 64] {
                    let mut parts = PlanBuilder::new(options(hardlinks));
                    add_shuffled(&mut parts, &disks[1], &tree, seed ^ threads as u64);
                    prop_assert!(layer(parts, codec, threads) == expected);
                }
            }
        }
    }

    #[test]
    fn a_layer_that_is_imported_comes_out_as_it_was(tree in trees(40)) {
        let disk = Disk::new();
        imgtest::tree::write(&tree, disk.root());
        let mut builder = PlanBuilder::new(PlanOptions::default());
        add_shuffled(&mut builder, &disk, &tree, 0);
        let (_, first) = write(builder);
        let spool = Disk::new();
        let mut options = PlanOptions::default();
        options.spool_directory = Some(spool.root().to_owned());
        let mut builder = PlanBuilder::new(options);
        builder.import_tar_stream("first", &first[..], &ImportOptions::default()).unwrap();
        prop_assert!(write(builder).1 == first);
    }

    #[test]
    fn the_tar_crate_reads_what_was_put_in(tree in trees(40)) {
        let disk = Disk::new();
        imgtest::tree::write(&tree, disk.root());
        let mut builder = PlanBuilder::new(options(Hardlinks::Off));
        add_shuffled(&mut builder, &disk, &tree, 0);
        let (_, layer) = write(builder);
        let mut archive = tar::Archive::new(&layer[..]);
        let mut read = Tree::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let node = match entry.header().entry_type() {
                tar::EntryType::Directory => Node::Directory,
                tar::EntryType::Symlink => {
                    let target = entry.link_name_bytes().unwrap().into_owned();
                    Node::Symlink { target: String::from_utf8(target).unwrap() }
                }
                _ => {
                    let is_executable = entry.header().mode().unwrap() == 0o755;
                    let mut content = Vec::new();
                    std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
                    Node::File { content, is_executable }
                }
            };
            read.insert(name.trim_end_matches('/').to_owned(), node);
        }
        prop_assert_eq!(read, tree);
    }
}

/// What every reader tells of every entry: some do not give contents out, and `bsdtar`, whose list
/// is in the form of `mtree`, sorts it and has no word for hard links.
fn comparable(oracle: Oracle, view: View) -> View {
    let mut entries = view?;
    for entry in &mut entries {
        entry.digest = None;
        if oracle == Oracle::Bsdtar && matches!(entry.kind, EntryKind::File | EntryKind::HardLink) {
            entry.kind = EntryKind::File;
            entry.size = 0;
            entry.link.clear();
        }
    }
    if oracle == Oracle::Bsdtar {
        entries.sort();
    }
    Ok(entries)
}

#[cfg(unix)]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn every_reader_of_the_field_lists_the_same_entries(tree in trees(60)) {
        let disk = Disk::new();
        imgtest::tree::write(&tree, disk.root());
        let mut builder = PlanBuilder::new(PlanOptions::default());
        add_shuffled(&mut builder, &disk, &tree, 0);
        let (_, layer) = write(builder);
        let expected = Oracle::TarCrate.list(&layer).unwrap();
        for oracle in Oracle::ALL {
            if let Some(view) = oracle.list(&layer) {
                let same = comparable(oracle, view) == comparable(oracle, expected.clone());
                prop_assert!(same, "{:?} lists other entries", oracle);
            }
        }
    }
}
