//! What the names of an archive must be to each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use imgcore::Digest;
use imgtar::{EntryKind, Header, Timestamp};

use super::Rules;

/// The entries so far.
#[derive(Debug)]
pub(super) struct Names {
    rules: Rules,
    entries: HashMap<Vec<u8>, Known>,
    /// Every directory that some entry stands in.
    implied: HashSet<Vec<u8>>,
    contents: HashMap<(Attributes, u64, Digest), Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Known {
    kind: EntryKind,
    attributes: Attributes,
}

/// What a hard link shares with its target: everything that a file has once, whatever its names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Attributes {
    mode: u32,
    uid: u64,
    gid: u64,
    user_name: Vec<u8>,
    group_name: Vec<u8>,
    mtime: Timestamp,
    pax: BTreeMap<String, Vec<u8>>,
}

impl Names {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            entries: HashMap::new(),
            implied: HashSet::new(),
            contents: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, header: &Header, digest: Digest, report: &mut dyn FnMut(String)) {
        check_form(header, report);
        let path = header
            .path
            .strip_suffix(b"/")
            .unwrap_or(&header.path)
            .to_vec();
        let known = Known {
            kind: header.kind,
            attributes: Attributes::of(header),
        };
        if self.entries.contains_key(&path) {
            report("appears twice".into());
        }
        if self.implied.contains(&path) {
            report(match header.kind {
                EntryKind::Directory => "stands after its children".into(),
                kind => format!("is a {kind} and has children"),
            });
        }
        self.check_ancestors(&path, report);
        if header.kind == EntryKind::HardLink {
            self.check_link(header, &known, report);
        }
        if header.kind == EntryKind::File && header.size > 0 && self.rules.deduplicated {
            let key = (known.attributes.clone(), header.size, digest);
            if let Some(first) = self.contents.insert(key, path.clone()) {
                report(format!("is the same as \"{}\"", first.escape_ascii()));
            }
        }
        self.entries.insert(path, known);
    }

    fn check_ancestors(&mut self, path: &[u8], report: &mut dyn FnMut(String)) {
        for slash in (0..path.len()).rev().filter(|&index| path[index] == b'/') {
            let ancestor = &path[..slash];
            match self.entries.get(ancestor) {
                Some(known) if known.kind != EntryKind::Directory => {
                    report(format!(
                        "stands in \"{}\", a {}",
                        ancestor.escape_ascii(),
                        known.kind
                    ));
                }
                None if self.rules.parents => {
                    report(format!(
                        "stands in \"{}\", which has no entry",
                        ancestor.escape_ascii()
                    ));
                }
                _ => {}
            }
            if !self.implied.insert(ancestor.to_vec()) {
                break;
            }
        }
    }

    fn check_link(&self, header: &Header, link: &Known, report: &mut dyn FnMut(String)) {
        let target = header.link.escape_ascii();
        match self.entries.get(&header.link) {
            None => report(format!("links to \"{target}\", which is not there yet")),
            Some(known) if known.kind != EntryKind::File => {
                report(format!("links to \"{target}\", a {}", known.kind));
            }
            Some(known) if known.attributes != link.attributes => {
                report(format!("links to \"{target}\", which has other attributes"));
            }
            Some(_) => {}
        }
    }
}

impl Attributes {
    fn of(header: &Header) -> Self {
        Self {
            mode: header.mode,
            uid: header.uid,
            gid: header.gid,
            user_name: header.user_name.clone(),
            group_name: header.group_name.clone(),
            mtime: header.mtime,
            pax: header.pax.clone(),
        }
    }
}

fn check_form(header: &Header, report: &mut dyn FnMut(String)) {
    let path = header.path.strip_suffix(b"/").unwrap_or(&header.path);
    if header.kind == EntryKind::Directory && path.len() == header.path.len() {
        report("is a directory without a trailing slash".into());
    }
    if path.starts_with(b"/") {
        report("is absolute".into());
    }
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" => report("has an empty component".into()),
            b"." | b".." => report(format!("has the component \"{}\"", part.escape_ascii())),
            _ => {}
        }
    }
}
