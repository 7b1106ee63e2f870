//! The JSON of `--default-metadata` and `--file-metadata`.

use imgcore::json::{Fields, Limits, Strictness, Value};
use imglayer::MetadataPatch;

use super::time;
use crate::report::{Explain as _, Failure};

/// Reads an object with `mode` (octal text), `uid`, `gid`, `uname`, `gname`, `mtime` (RFC 3339) and
/// `pax_records`; other members are ignored, as the Go tool does.
///
/// # Errors
///
/// Fails if the text is no such object; `what` says where it came from.
pub(super) fn parse(what: &str, json: &str) -> Result<MetadataPatch, Failure> {
    let value = Value::parse(json.as_bytes(), &Limits::default()).explain(|| what)?;
    let mut fields = Fields::of(&value, what)?;
    let mut patch = MetadataPatch::default();
    if let Some(mode) = fields.optional_string("mode")? {
        let octal = mode.bytes().all(|byte| byte.is_ascii_digit());
        let value = u32::from_str_radix(&mode, 8).ok().filter(|_| octal);
        patch.mode =
            Some(value.ok_or_else(|| fields.error("mode", "is not octal, like \"0644\""))?);
    }
    for (name, id) in [("uid", &mut patch.uid), ("gid", &mut patch.gid)] {
        if fields.optional(name).is_some() {
            *id = Some(fields.unsigned(name)?);
        }
    }
    patch.user_name = fields.optional_string("uname")?.map(String::into_bytes);
    patch.group_name = fields.optional_string("gname")?.map(String::into_bytes);
    if let Some(mtime) = fields.optional_string("mtime")? {
        let value = time::parse(&mtime);
        patch.mtime = Some(value.ok_or_else(|| {
            fields.error("mtime", "is not RFC 3339, like \"2031-05-06T07:08:09Z\"")
        })?);
    }
    let records = fields.string_map("pax_records")?;
    patch.pax = records
        .into_iter()
        .map(|(key, value)| (key, value.into_bytes()))
        .collect();
    fields.finish(Strictness::Lenient)?;
    Ok(patch)
}
