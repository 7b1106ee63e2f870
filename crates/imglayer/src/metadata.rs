//! What an entry says beside its name and content: mode, owner, time, further records.

use std::collections::BTreeMap;

use imgtar::Timestamp;

use crate::Error;
use crate::path::Quoted;

/// The PAX keyword of an extended attribute is this and its name.
pub(crate) const XATTR_PREFIX: &str = "SCHILY.xattr.";

/// PAX keywords that are said by a field, and those that would change what the content is.
const RESERVED_KEYWORDS: [&str; 9] = [
    "gid",
    "gname",
    "hdrcharset",
    "linkpath",
    "mtime",
    "path",
    "size",
    "uid",
    "uname",
];

/// The metadata of one entry, with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Metadata {
    /// Permission bits with setuid, setgid and sticky: `0..=0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Name of the owner, or empty.
    pub user_name: Vec<u8>,
    /// Name of the group, or empty.
    pub group_name: Vec<u8>,
    /// When the content last changed.
    pub mtime: Timestamp,
    /// Further PAX records; extended attributes are among them as `SCHILY.xattr.<name>`.
    pub pax: BTreeMap<String, Vec<u8>>,
}

impl Metadata {
    /// Makes metadata of a mode and what stands in a layer unless told otherwise: owner and group
    /// 0 without names, the epoch, no records.
    pub(crate) fn with_mode(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            user_name: Vec::new(),
            group_name: Vec::new(),
            mtime: Timestamp::EPOCH,
            pax: BTreeMap::new(),
        }
    }
}

/// Changes to the metadata of entries: what is `None` or empty leaves things as they are.
///
/// # Examples
///
/// ```
/// use imglayer::{LayerPath, MetadataPatch, PlanBuilder, PlanOptions};
///
/// let mut patch = MetadataPatch::default();
/// patch.mode = Some(0o640);
/// patch.uid = Some(33);
/// patch.xattrs.insert("user.origin".into(), b"example".to_vec());
///
/// let mut builder = PlanBuilder::new(PlanOptions::default());
/// builder.bytes(LayerPath::parse("srv/secret")?, "42")?;
/// builder.metadata(LayerPath::parse("srv/secret")?, patch)?;
/// let plan = builder.finish()?;
/// assert_eq!(plan.entries().next().map(|entry| entry.metadata().mode), Some(0o640));
/// # Ok::<(), imglayer::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataPatch {
    /// Permission bits with setuid, setgid and sticky: `0..=0o7777`.
    pub mode: Option<u32>,
    /// Numeric owner, up to `i64::MAX`.
    pub uid: Option<u64>,
    /// Numeric group, up to `i64::MAX`.
    pub gid: Option<u64>,
    /// Name of the owner.
    pub user_name: Option<Vec<u8>>,
    /// Name of the group.
    pub group_name: Option<Vec<u8>>,
    /// When the content last changed.
    pub mtime: Option<Timestamp>,
    /// PAX records by keyword. A record that is there already gets the new value.
    pub pax: BTreeMap<String, Vec<u8>>,
    /// Extended attributes by name (`security.capability`, `user.comment`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl MetadataPatch {
    /// Makes a patch that sets the mode, and leaves the rest.
    ///
    /// ```
    /// use imglayer::MetadataPatch;
    ///
    /// assert_eq!(MetadataPatch::with_mode(0o755).mode, Some(0o755));
    /// ```
    pub fn with_mode(mode: u32) -> Self {
        Self {
            mode: Some(mode),
            ..Self::default()
        }
    }

    /// Returns whether the patch changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses values that no entry can have; `what` names whose they are.
    pub(crate) fn check(&self, what: &dyn std::fmt::Display) -> Result<(), Error> {
        match self.fault() {
            Some(fault) => Err(Error::invalid(format!("metadata of {what}: {fault}"))),
            None => Ok(()),
        }
    }

    fn fault(&self) -> Option<String> {
        if let Some(mode) = self.mode.filter(|mode| *mode > 0o7777) {
            return Some(format!("mode {mode:o} has bits beyond 7777"));
        }
        for (name, id) in [("uid", self.uid), ("gid", self.gid)] {
            if let Some(id) = id.filter(|id| i64::try_from(*id).is_err()) {
                return Some(format!("{name} {id} is beyond {}", i64::MAX));
            }
        }
        for name in [&self.user_name, &self.group_name].into_iter().flatten() {
            if name.contains(&0) {
                return Some(format!("name {} holds a NUL byte", Quoted(name)));
            }
        }
        if let Some(mtime) = self.mtime.filter(|mtime| mtime.nanos >= 1_000_000_000) {
            return Some(format!(
                "{} nanoseconds are more than a second",
                mtime.nanos
            ));
        }
        self.pax
            .keys()
            .find_map(|keyword| keyword_fault(keyword))
            .or_else(|| self.xattrs.keys().find_map(|name| xattr_fault(name)))
    }

    /// Changes `metadata`.
    pub(crate) fn apply(&self, metadata: &mut Metadata) {
        if let Some(mode) = self.mode {
            metadata.mode = mode;
        }
        self.apply_but_mode(metadata);
    }

    /// Changes everything in `metadata` but the mode.
    pub(crate) fn apply_but_mode(&self, metadata: &mut Metadata) {
        metadata.uid = self.uid.unwrap_or(metadata.uid);
        metadata.gid = self.gid.unwrap_or(metadata.gid);
        metadata.mtime = self.mtime.unwrap_or(metadata.mtime);
        if let Some(name) = &self.user_name {
            metadata.user_name.clone_from(name);
        }
        if let Some(name) = &self.group_name {
            metadata.group_name.clone_from(name);
        }
        for (keyword, value) in &self.pax {
            metadata.pax.insert(keyword.clone(), value.clone());
        }
        for (name, value) in &self.xattrs {
            metadata
                .pax
                .insert(format!("{XATTR_PREFIX}{name}"), value.clone());
        }
    }
}

fn keyword_fault(keyword: &str) -> Option<String> {
    if keyword.is_empty() || keyword.contains(['=', '\0']) {
        return Some(format!(
            "PAX keyword {keyword:?} is empty or holds \"=\" or NUL"
        ));
    }
    if RESERVED_KEYWORDS.contains(&keyword) || keyword.starts_with("GNU.sparse.") {
        return Some(format!("PAX record {keyword:?} is not for callers to set"));
    }
    None
}

fn xattr_fault(name: &str) -> Option<String> {
    (name.is_empty() || name.contains(['=', '\0']))
        .then(|| format!("extended attribute {name:?} is empty or holds \"=\" or NUL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(change: impl FnOnce(&mut MetadataPatch)) -> String {
        let mut patch = MetadataPatch::default();
        change(&mut patch);
        patch.check(&"a/b").unwrap_err().to_string()
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        insta::assert_snapshot!(
            error(|patch| patch.mode = Some(0o10000)),
            @"metadata of a/b: mode 10000 has bits beyond 7777"
        );
        insta::assert_snapshot!(
            error(|patch| patch.gid = Some(u64::MAX)),
            @"metadata of a/b: gid 18446744073709551615 is beyond 9223372036854775807"
        );
        insta::assert_snapshot!(
            error(|patch| patch.user_name = Some(b"r\0t".to_vec())),
            @r#"metadata of a/b: name "r\0t" holds a NUL byte"#
        );
        let mtime = Timestamp {
            secs: 0,
            nanos: 1_000_000_000,
        };
        insta::assert_snapshot!(
            error(|patch| patch.mtime = Some(mtime)),
            @"metadata of a/b: 1000000000 nanoseconds are more than a second"
        );
        insta::assert_snapshot!(
            error(|patch| _ = patch.pax.insert("path".into(), b"x".to_vec())),
            @r#"metadata of a/b: PAX record "path" is not for callers to set"#
        );
        insta::assert_snapshot!(
            error(|patch| _ = patch.pax.insert("a=b".into(), b"x".to_vec())),
            @r#"metadata of a/b: PAX keyword "a=b" is empty or holds "=" or NUL"#
        );
        insta::assert_snapshot!(
            error(|patch| _ = patch.xattrs.insert(String::new(), b"x".to_vec())),
            @r#"metadata of a/b: extended attribute "" is empty or holds "=" or NUL"#
        );
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let mut metadata = Metadata::with_mode(0o644);
        let mut patch = MetadataPatch::default();
        assert!(patch.is_empty());
        patch.apply(&mut metadata);
        assert_eq!(metadata, Metadata::with_mode(0o644));

        patch.gid = Some(7);
        patch.xattrs.insert("user.a".into(), b"1".to_vec());
        patch.apply(&mut metadata);
        assert_eq!((metadata.mode, metadata.uid, metadata.gid), (0o644, 0, 7));
        assert_eq!(metadata.pax["SCHILY.xattr.user.a"], b"1");
    }
}
