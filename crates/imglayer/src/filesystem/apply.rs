//! Layers applied on top of each other.

use std::collections::{BTreeMap, HashSet};

use imgtar::{EntryKind, Header};

use super::{Entry, read::name};
use crate::mtree::Told;
use crate::{Error, ErrorKind};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// How many symbolic links a path may lead through, as Linux has it.
const MAX_LINKS: usize = 40;
/// How long a path may be, in bytes, as Linux has it.
const MAX_PATH: usize = 4096;
/// How many components a path may have. Every one may be a directory that no layer mentions, and takes memory.
const MAX_DEPTH: usize = 256;
/// How many components are looked at to find one directory, those of links included.
const MAX_STEPS: usize = 4096;

/// The files of an image, from the lowest layer to the last one applied.
///
/// # Examples
///
/// ```
/// use imglayer::filesystem::{Entry, FileSystem};
/// use imgtar::Header;
///
/// let mut files = FileSystem::default();
/// files.apply(vec![Entry::new(Header::file("etc/motd", 0)), Entry::new(Header::file("etc/hosts", 0))])?;
/// files.apply(vec![Entry::new(Header::file("etc/.wh.motd", 0))])?;
/// let names: Vec<_> = files.entries().map(|entry| entry.header.path).collect();
/// assert_eq!(names, [&b"etc/"[..], b"etc/hosts"]);
/// # Ok::<(), imglayer::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FileSystem {
    /// What each name refers to, by [`Key`].
    names: BTreeMap<Key, Name>,
    /// The files that names refer to. A file that lost its last name stays here, unseen.
    files: Vec<Entry>,
    layers: usize,
    /// What the layer that is applied has hidden already, and whether that was below the key alone. It is looked at
    /// once: whoever repeats a whiteout must not make the work grow with the square of the layer.
    hidden: HashSet<(Key, Below)>,
}

/// What a whiteout hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Below {
    /// A name and everything below it.
    AndItself,
    /// Everything below a directory.
    Only,
}

/// A path whose `/` became NUL, which no name contains: so a directory sorts right before its children.
type Key = Vec<u8>;

#[derive(Clone, Copy, Debug)]
struct Name {
    file: usize,
    /// The layer that gave the name, which that layer's own whiteouts do not hide.
    layer: usize,
}

impl FileSystem {
    /// Puts a layer on top.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] when an entry's path leaves the root, leads through a loop of symbolic links, or has more
    /// than 4096 bytes or 256 components; or when a hard link names nothing.
    pub fn apply(&mut self, layer: Vec<Entry>) -> Result<(), Error> {
        self.layers += 1;
        self.hidden.clear();
        for entry in layer {
            self.apply_entry(entry, self.layers)?;
        }
        Ok(())
    }

    /// Returns every name with what it refers to, sorted by path, a directory before its children.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let mut links = vec![0; self.files.len()];
        for name in self.names.values() {
            links[name.file] += 1;
        }
        self.names.iter().map(move |(key, name)| {
            let mut entry = self.files[name.file].clone();
            entry.header.path = path_of(key, entry.header.kind);
            // Texts do not tell which names are of one file, but how many there are.
            entry.links = match entry.told {
                Some(_) => entry.links.max(links[name.file]),
                None => links[name.file],
            };
            entry
        })
    }

    fn apply_entry(&mut self, entry: Entry, layer: usize) -> Result<(), Error> {
        let path = name(&entry.header.path);
        if path.split(|&byte| byte == b'/').any(|part| part == b"..") {
            return Err(malformed(&entry.header.path, "leaves the root"));
        }
        check_length(&path, &entry.header.path)?;
        let (parent, base) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&[][..], &path[..]),
        };
        if base.is_empty() {
            // The root itself: always there.
            return Ok(());
        }
        let parent = self.resolve(parent, &entry.header.path)?;
        if base == OPAQUE {
            self.hide(&parent, Below::Only, layer);
        } else if let Some(hidden) = base.strip_prefix(WHITEOUT) {
            self.hide(&child(&parent, hidden), Below::AndItself, layer);
        } else {
            self.make_parents(&parent, layer);
            let key = child(&parent, base);
            self.put(key, entry, layer)?;
        }
        Ok(())
    }

    /// Follows the symbolic links in a directory's path, as an engine does inside the root.
    fn resolve(&self, path: &[u8], shown: &[u8]) -> Result<Key, Error> {
        let mut pending: Vec<Vec<u8>> = split(path).rev().collect();
        let mut key = Key::new();
        let (mut links, mut steps) = (0, 0);
        while let Some(part) = pending.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                return Err(malformed(shown, "leads through too many directories"));
            }
            if part == b".." {
                key.truncate(key.iter().rposition(|&byte| byte == 0).unwrap_or(0));
                continue;
            }
            let next = child(&key, &part);
            let header = self
                .names
                .get(&next)
                .map(|name| &self.files[name.file].header);
            match header {
                Some(header) if header.kind == EntryKind::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(malformed(shown, "leads through a loop of symbolic links"));
                    }
                    check_length(&header.link, shown)?;
                    if header.link.first() == Some(&b'/') {
                        key.clear();
                    }
                    pending.extend(split(&header.link).rev());
                }
                _ => key = next,
            }
        }
        check_length(&key, shown)?;
        Ok(key)
    }

    fn make_parents(&mut self, parent: &Key, layer: usize) {
        if parent.is_empty() {
            return;
        }
        let ends = parent
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == 0)
            .map(|(end, _)| end);
        for end in ends.chain([parent.len()]).collect::<Vec<_>>() {
            let key = &parent[..end];
            let is_directory = self
                .names
                .get(key)
                .is_some_and(|name| self.files[name.file].header.kind == EntryKind::Directory);
            if !is_directory {
                self.remove(key);
                let path = path_of(key, EntryKind::Directory);
                let mut entry = Entry::new(Header::directory(path));
                entry.told = Some(Told::KIND);
                let file = self.add_file(entry);
                self.names.insert(key.to_vec(), Name { file, layer });
            }
        }
    }

    fn put(&mut self, key: Key, entry: Entry, layer: usize) -> Result<(), Error> {
        let file = if entry.header.kind == EntryKind::HardLink {
            let shown = entry.header.path.clone();
            let target = name(&entry.header.link);
            let cut = target.iter().rposition(|&byte| byte == b'/');
            let (parent, base) = cut.map_or((&[][..], &target[..]), |slash| {
                (&target[..slash], &target[slash + 1..])
            });
            let target = child(&self.resolve(parent, &shown)?, base);
            self.names
                .get(&target)
                .ok_or_else(|| malformed(&shown, "is a hard link to nothing"))?
                .file
        } else {
            self.add_file(entry)
        };
        let both_directories = |files: &[Entry], old: usize| {
            [old, file]
                .iter()
                .all(|&index| files[index].header.kind == EntryKind::Directory)
        };
        match self.names.get(&key) {
            Some(old) if both_directories(&self.files, old.file) => {}
            Some(_) => self.remove(&key),
            None => {}
        }
        self.names.insert(key, Name { file, layer });
        Ok(())
    }

    fn add_file(&mut self, entry: Entry) -> usize {
        self.files.push(entry);
        self.files.len() - 1
    }

    /// Removes a name and everything below it.
    fn remove(&mut self, key: &[u8]) {
        self.names.remove(key);
        for below in self.keys_below(key) {
            self.names.remove(&below);
        }
    }

    /// Hides what is below a name, and the name itself if that is asked for, as far as lower layers gave it.
    fn hide(&mut self, key: &Key, below: Below, layer: usize) {
        if !self.hidden.insert((key.clone(), below)) {
            return;
        }
        let mut keys = match below {
            Below::AndItself => vec![key.clone()],
            Below::Only => Vec::new(),
        };
        keys.extend(self.keys_below(key));
        self.hide_all(&keys, layer);
    }

    /// Hides what lower layers gave, of sorted keys; a directory stays for what a new name needs of it.
    fn hide_all(&mut self, keys: &[Key], layer: usize) {
        // Backwards, children come before their directory, and the last one kept is the nearest.
        let mut kept: &[u8] = &[];
        for key in keys.iter().rev() {
            let has_children = kept
                .strip_prefix(&key[..])
                .is_some_and(|rest| rest.first() == Some(&0));
            let is_lower = self.names.get(key).is_some_and(|name| name.layer < layer);
            if is_lower && !has_children {
                self.names.remove(key);
            } else {
                kept = key;
            }
        }
    }

    fn keys_below(&self, key: &[u8]) -> Vec<Key> {
        let prefix = if key.is_empty() {
            Key::new()
        } else {
            child(key, b"")
        };
        let names = self.names.range(prefix.clone()..).map(|(key, _)| key);
        names
            .take_while(|key| key.starts_with(&prefix))
            .cloned()
            .collect()
    }
}

/// Refuses paths, and keys made of them, that no Linux takes and that would fill the memory with directories.
fn check_length(path: &[u8], shown: &[u8]) -> Result<(), Error> {
    if path.len() > MAX_PATH {
        let start = &shown[..shown.len().min(64)];
        let text = format!("leads to a path of more than {MAX_PATH} bytes");
        return Err(malformed(start, &text));
    }
    let components = path.split(|byte| matches!(byte, b'/' | 0)).count();
    if components > MAX_DEPTH {
        let start = &shown[..shown.len().min(64)];
        let text = format!("leads to a path of more than {MAX_DEPTH} components");
        return Err(malformed(start, &text));
    }
    Ok(())
}

fn split(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
}

fn child(parent: &[u8], base: &[u8]) -> Key {
    let mut key = parent.to_vec();
    if !key.is_empty() {
        key.push(0);
    }
    key.extend_from_slice(base);
    key
}

fn path_of(key: &[u8], kind: EntryKind) -> Vec<u8> {
    let mut path: Vec<u8> = key
        .iter()
        .map(|&byte| if byte == 0 { b'/' } else { byte })
        .collect();
    if kind == EntryKind::Directory {
        path.push(b'/');
    }
    path
}

fn malformed(path: &[u8], what: &str) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("entry `{}` {what}", String::from_utf8_lossy(path)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies layers of `path`, `path/`, `path -> symlink` and `path = hard link`, and lists the names.
    fn check(layers: &[&[&str]], expected: &[&str]) {
        let mut files = FileSystem::default();
        for layer in layers {
            files
                .apply(layer.iter().map(|text| entry(text)).collect())
                .unwrap();
        }
        let names: Vec<String> = files
            .entries()
            .map(|entry| String::from_utf8(entry.header.path).unwrap())
            .collect();
        assert_eq!(names, expected, "{layers:?}");
    }

    fn entry(text: &str) -> Entry {
        Entry::new(if let Some((path, target)) = text.split_once(" -> ") {
            Header::symlink(path, target)
        } else if let Some((path, target)) = text.split_once(" = ") {
            Header::hard_link(path, target)
        } else if text.ends_with('/') {
            Header::directory(text)
        } else {
            Header::file(text, 1)
        })
    }

    #[test]
    fn later_layers_add_replace_and_hide() {
        check(&[&["a/b"]], &["a/", "a/b"]);
        check(&[&["./a", "/b"]], &["a", "b"]);
        check(&[&["a/b", "a/c"], &["a/.wh.b"]], &["a/", "a/c"]);
        check(&[&["a/b", "a/c"], &[".wh.a"]], &[]);
        check(
            &[&["a/b", "a/c"], &["a/.wh..wh..opq", "a/d"]],
            &["a/", "a/d"],
        );
        check(&[&["a/b"], &["a"]], &["a"]);
        check(&[&["a"], &["a/b"]], &["a/", "a/b"]);
        check(&[&["a/", "a/b"], &["a/"]], &["a/", "a/b"]);
        check(&[&["a.b", "a/c", "a-b"]], &["a/", "a/c", "a-b", "a.b"]);
    }

    #[test]
    fn whiteouts_spare_what_their_own_layer_has() {
        check(
            &[&["a/b", "a/x/y"], &["a/n", "a/.wh..wh..opq"]],
            &["a/", "a/n"],
        );
        check(
            &[&["a/b/c"], &["a/b/new", ".wh.a"]],
            &["a/", "a/b/", "a/b/new"],
        );
        check(&[&["a"], &["a", ".wh.a"]], &["a"]);
        check(&[&[], &[".wh.nothing"]], &[]);
    }

    #[test]
    fn parents_that_are_links_lead_to_their_target() {
        check(
            &[&["usr/lib/", "lib -> usr/lib"], &["lib/x"]],
            &["lib", "usr/", "usr/lib/", "usr/lib/x"],
        );
        check(
            &[&["usr/lib/x", "lib -> /usr/lib"], &["lib/.wh.x"]],
            &["lib", "usr/", "usr/lib/"],
        );
        check(
            &[&["a/b -> ../../../c"], &["a/b/x"]],
            &["a/", "a/b", "c/", "c/x"],
        );
        check(&[&["lib -> usr/lib"], &["lib/"]], &["lib/"]);
    }

    #[test]
    fn names_of_one_file_are_counted() {
        let mut files = FileSystem::default();
        files
            .apply(vec![entry("a"), entry("b = a"), entry("c = b")])
            .unwrap();
        assert!(
            files
                .entries()
                .all(|entry| entry.links == 3 && entry.header.kind == EntryKind::File)
        );
        files.apply(vec![entry(".wh.a")]).unwrap();
        assert!(
            files
                .entries()
                .all(|entry| entry.links == 2 && entry.header.size == 1)
        );
    }

    #[test]
    fn hard_links_name_files_of_lower_layers_and_symlinks_too() {
        let mut files = FileSystem::default();
        files.apply(vec![entry("a"), entry("l -> a")]).unwrap();
        files.apply(vec![entry("b = a"), entry("m = l")]).unwrap();
        let seen: Vec<_> = files
            .entries()
            .map(|entry| (entry.header.kind, entry.links))
            .collect();
        let (file, link) = ((EntryKind::File, 2), (EntryKind::Symlink, 2));
        assert_eq!(seen, [file, file, link, link]);
    }

    #[test]
    fn hostile_paths_are_refused() {
        let check = |layer: &[&str], expected: &str| {
            let layer = layer.iter().map(|text| entry(text)).collect();
            let error = FileSystem::default().apply(layer).unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::Malformed, expected)
            );
        };
        check(&["a/../../b"], "entry `a/../../b` leaves the root");
        check(
            &["a -> a", "a/b"],
            "entry `a/b` leads through a loop of symbolic links",
        );
        check(&["a = b"], "entry `a` is a hard link to nothing");
        check(
            &["n/".repeat(257).as_str()],
            &format!(
                "entry `{}` leads to a path of more than 256 components",
                "n/".repeat(32)
            ),
        );
        check(
            &["n".repeat(4097).as_str()],
            &format!(
                "entry `{}` leads to a path of more than 4096 bytes",
                "n".repeat(64)
            ),
        );
        let deep = format!("a -> {}", "n/".repeat(200));
        check(
            &[&deep, &format!("a/{}x", "m/".repeat(57))],
            &format!(
                "entry `a/{}` leads to a path of more than 256 components",
                "m/".repeat(31)
            ),
        );
        let winding = format!("a -> {}", "x/../".repeat(100));
        check(
            &[&winding, "b -> a/a/a/a", "c -> b/b/b/b/b/b", "c/x"],
            "entry `c/x` leads through too many directories",
        );
    }

    #[test]
    fn repeated_whiteouts_do_not_look_again() {
        const MANY: usize = 20_000;
        let mut files = FileSystem::default();
        files.apply(vec![entry("d/lower")]).unwrap();
        let names = (0..MANY).map(|number| entry(&format!("d/{number}")));
        let opaque = (0..MANY).map(|_| entry("d/.wh..wh..opq"));
        let whiteouts = (0..MANY).map(|_| entry(".wh.d"));
        files
            .apply(names.chain(opaque).chain(whiteouts).collect())
            .unwrap();
        assert_eq!(files.entries().count(), MANY + 1);
        // What a layer has hidden is no matter for the next one.
        files.apply(vec![entry("d/.wh..wh..opq")]).unwrap();
        assert_eq!(files.entries().count(), 1);
    }
}
