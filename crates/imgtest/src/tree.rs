//! Random directory trees, and the same trees on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

/// One thing in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests match on what they made")]
pub enum Node {
    /// A directory, perhaps an empty one.
    Directory,
    /// A regular file.
    File {
        /// The content.
        content: Vec<u8>,
        /// Whether its owner may execute it.
        is_executable: bool,
    },
    /// A symbolic link to anything.
    Symlink {
        /// The target as it stands in the link.
        target: String,
    },
}

/// A tree: what stands at which path, directories before what is in them.
///
/// Every directory of an entry has an entry itself.
pub type Tree = BTreeMap<String, Node>;

/// Makes trees of up to `size` leaves, with names that are hard to sort, to encode and to fit.
///
/// Contents come from a small set, so that some files are equal.
pub fn trees(size: usize) -> impl Strategy<Value = Tree> {
    let path = prop::collection::vec(names(), 1..5);
    prop::collection::vec((path, nodes()), 0..=size).prop_map(|leaves| {
        let mut tree = Tree::new();
        for (parts, node) in leaves {
            insert(&mut tree, &parts, node);
        }
        tree
    })
}

/// Makes file names that no file system of the test hosts refuses.
pub fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[ab]{1,2}",
        2 => "[a-c][-.+ !~][a-c0-9]{0,3}",
        1 => "(é|日本|ß|🦀)[a-b]{0,2}",
        1 => "[xy]{80,120}",
    ]
    // Trees are inputs of layers, where such names are whiteouts.
    .prop_filter("no whiteouts", |name| !name.starts_with(".wh."))
}

/// Makes what may stand at a path.
pub fn nodes() -> impl Strategy<Value = Node> {
    let content = prop_oneof![
        2 => Just(Vec::new()),
        3 => Just(b"the same".to_vec()),
        3 => prop::collection::vec(any::<u8>(), 1..1500),
        1 => (1_usize..200_000).prop_map(|size| vec![b'z'; size]),
    ];
    let file = (content, any::<bool>()).prop_map(|(content, is_executable)| Node::File {
        content,
        is_executable,
    });
    let target = prop_oneof![
        Just("a".to_owned()),
        Just("../b/c".to_owned()),
        "[xyé/]{1,150}"
    ];
    prop_oneof![
        6 => file,
        2 => Just(Node::Directory),
        1 => target.prop_map(|target| Node::Symlink { target }),
    ]
}

/// Adds a node, unless a part of its path is taken by something else.
fn insert(tree: &mut Tree, parts: &[String], node: Node) {
    let mut path = String::new();
    for (index, part) in parts.iter().enumerate() {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part);
        if index + 1 == parts.len() {
            break;
        }
        let here = tree.entry(path.clone()).or_insert(Node::Directory);
        if *here != Node::Directory {
            return;
        }
    }
    tree.entry(path).or_insert(node);
}

/// Writes the tree below an existing directory.
///
/// # Panics
///
/// When the file system refuses something.
pub fn write(tree: &Tree, root: &Path) {
    for (path, node) in tree {
        let path = root.join(path);
        let written = match node {
            Node::Directory => fs_err::create_dir_all(&path),
            Node::File {
                content,
                is_executable,
            } => fs_err::write(&path, content).and_then(|()| set_executable(&path, *is_executable)),
            Node::Symlink { target } => symlink(target, &path),
        };
        written.unwrap_or_else(|error| panic!("{error}"));
    }
}

#[cfg(unix)]
fn set_executable(path: &Path, is_executable: bool) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if is_executable { 0o755 } else { 0o644 };
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_executable(_path: &Path, _is_executable: bool) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &str, path: &Path) -> std::io::Result<()> {
    fs_err::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn symlink(_target: &str, path: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other(format!(
        "{}: no symbolic links on this host",
        path.display()
    )))
}

/// Returns the paths of a tree's regular files, as they are on disk below `root`.
pub fn files(tree: &Tree, root: &Path) -> Vec<PathBuf> {
    let files = tree
        .iter()
        .filter(|(_, node)| matches!(node, Node::File { .. }));
    files.map(|(path, _)| root.join(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn trees_are_written_as_they_are(tree in trees(12)) {
            let root = tempfile::tempdir().unwrap();
            write(&tree, root.path());
            for (path, node) in &tree {
                let on_disk = root.path().join(path);
                match node {
                    Node::Directory => prop_assert!(on_disk.is_dir()),
                    Node::File { content, .. } => prop_assert_eq!(&fs_err::read(&on_disk).unwrap(), content),
                    Node::Symlink { target } => {
                        let link = fs_err::read_link(&on_disk).unwrap();
                        prop_assert_eq!(link.to_str(), Some(target.as_str()));
                    }
                }
                let parent = path.rsplit_once('/').map(|(parent, _)| parent);
                prop_assert!(parent.is_none_or(|parent| tree[parent] == Node::Directory));
            }
        }
    }
}
