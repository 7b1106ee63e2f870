//! What extended headers say about the entry that follows them.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};
use crate::header::Timestamp;
use crate::pax::{self, Keyword, Record};

/// The sum of the extended headers in front of one entry.
#[derive(Debug, Default)]
pub(super) struct Extended {
    has_pax: bool,
    gnu_path: Option<Vec<u8>>,
    gnu_link: Option<Vec<u8>>,
    records: Records,
}

/// The records of a PAX header, by what they mean.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) user_name: Option<Vec<u8>>,
    pub(super) group_name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) other: BTreeMap<String, Vec<u8>>,
    has_charset: bool,
}

impl Extended {
    pub(super) fn is_empty(&self) -> bool {
        !self.has_pax && self.gnu_path.is_none() && self.gnu_link.is_none()
    }

    pub(super) fn path(&self) -> Option<&[u8]> {
        self.records.path.as_deref().or(self.gnu_path.as_deref())
    }

    pub(super) fn link(&self) -> Option<&[u8]> {
        self.records.link.as_deref().or(self.gnu_link.as_deref())
    }

    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// Adds one extended header by its type flag.
    pub(super) fn add(&mut self, flag: u8, bytes: &[u8]) -> Result<(), Error> {
        match flag {
            b'L' => set_gnu(&mut self.gnu_path, "name", bytes)?,
            b'K' => set_gnu(&mut self.gnu_link, "link name", bytes)?,
            b'g' => return self.check_global(bytes),
            _ => {
                if std::mem::replace(&mut self.has_pax, true) {
                    return Err(malformed(
                        "the PAX header follows another one of the same entry",
                    ));
                }
                for record in pax::parse(bytes) {
                    let record =
                        record.map_err(|problem| malformed(format!("the PAX header {problem}")))?;
                    self.records.add(&record)?;
                }
            }
        }
        let is_twice = self.records.path.is_some() && self.gnu_path.is_some()
            || self.records.link.is_some() && self.gnu_link.is_some();
        if is_twice {
            return Err(malformed(
                "a PAX record and a GNU long name set the same field",
            ));
        }
        Ok(())
    }

    /// Global records are dropped, so only those may pass that change nothing.
    fn check_global(&self, bytes: &[u8]) -> Result<(), Error> {
        if !self.is_empty() {
            return Err(malformed(
                "the global PAX header stands between an entry and its extended header",
            ));
        }
        for record in pax::parse(bytes) {
            let Record { key, .. } =
                record.map_err(|problem| malformed(format!("the global PAX header {problem}")))?;
            if Keyword::of(key) != Keyword::Other || key.starts_with("SCHILY.xattr.") {
                let text = format!("the global PAX header sets {key:?} for every entry");
                return Err(Error::new(ErrorKind::Unsupported, text));
            }
        }
        Ok(())
    }
}

fn set_gnu(field: &mut Option<Vec<u8>>, what: &str, bytes: &[u8]) -> Result<(), Error> {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    if bytes[end..].iter().any(|&byte| byte != 0) {
        return Err(malformed(format!("the GNU long {what} has a NUL in it")));
    }
    if end == 0 {
        return Err(malformed(format!("the GNU long {what} is empty")));
    }
    if field.replace(bytes[..end].to_vec()).is_some() {
        return Err(malformed(format!(
            "the GNU long {what} follows another one of the same entry"
        )));
    }
    Ok(())
}

impl Records {
    fn add(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let Record { key, value } = *record;
        let is_first = match Keyword::of(key) {
            Keyword::Charset => {
                if !matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") {
                    let text = format!("the PAX charset \"{}\"", value.escape_ascii());
                    return Err(Error::new(ErrorKind::Unsupported, text));
                }
                !std::mem::replace(&mut self.has_charset, true)
            }
            Keyword::Gid => set(&mut self.gid, number(key, value)?),
            Keyword::GroupName => set(&mut self.group_name, text(key, value)?),
            Keyword::Link => set(&mut self.link, text(key, value)?),
            Keyword::Mtime => {
                let time = pax::parse_time(value).ok_or_else(|| unusable(key, value))?;
                set(&mut self.mtime, time)
            }
            Keyword::Other => set_other(&mut self.other, key, value),
            Keyword::Path => set(&mut self.path, text(key, value)?),
            Keyword::Size => set(&mut self.size, number(key, value)?),
            Keyword::Sparse => {
                let text = format!("a sparse file ({key})");
                return Err(Error::new(ErrorKind::Unsupported, text));
            }
            Keyword::Uid => set(&mut self.uid, number(key, value)?),
            Keyword::UserName => set(&mut self.user_name, text(key, value)?),
        };
        if is_first {
            return Ok(());
        }
        Err(malformed(format!("the PAX header has {key:?} twice")))
    }
}

fn set<T>(field: &mut Option<T>, value: T) -> bool {
    field.replace(value).is_none()
}

fn set_other(other: &mut BTreeMap<String, Vec<u8>>, key: &str, value: &[u8]) -> bool {
    other.insert(key.to_owned(), value.to_vec()).is_none()
}

/// An empty value would delete the record; some readers keep the header's field, some clear it.
fn text(key: &str, value: &[u8]) -> Result<Vec<u8>, Error> {
    if value.is_empty() || value.contains(&0) {
        return Err(unusable(key, value));
    }
    Ok(value.to_vec())
}

fn number(key: &str, value: &[u8]) -> Result<u64, Error> {
    pax::parse_decimal(value)
        .filter(|&number| i64::try_from(number).is_ok())
        .ok_or_else(|| unusable(key, value))
}

fn unusable(key: &str, value: &[u8]) -> Error {
    malformed(format!(
        "the PAX record {key:?} has the value \"{}\"",
        value.escape_ascii()
    ))
}

fn malformed(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, text)
}
