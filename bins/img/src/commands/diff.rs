//! `img diff`: what two images or layers differ in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use imgcore::Platform;
use imgcore::json::{Object, Value};
use imglayer::filesystem::{Contents, Entry};

use super::ls::permissions;
use crate::cli::Run;
use crate::context::Context;
use crate::report::Failure;
use crate::shown;
use crate::subject::{Layers, Subject};

/// Compares the files and the configs of two images, or two layers; the exit code is 1 if they differ, and 2 after an error
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A layout directory, an archive or a layer; PATH:NAME or PATH@DIGEST chooses one of several images
    #[arg(value_name = "A")]
    old: String,
    /// What it is compared with
    #[arg(value_name = "B")]
    new: String,
    /// Which image of several, on both sides, like linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let text = self
            .compare(context)
            .map_err(|failure| failure.with_code(2))?;
        if text.is_empty() {
            return Ok(());
        }
        context.report.print(text)?;
        Err(Failure::silent())
    }
}

impl Arguments {
    fn compare(&self, context: &Context) -> Result<String, Failure> {
        let open = |text: &str| Subject::open(context, text)?.layers(self.platform.as_ref());
        let (old, new) = (open(&self.old)?, open(&self.new)?);
        let mut text = String::new();
        compare_documents(&old, &new, &mut text);
        compare_files(&old, &new, &mut text)?;
        Ok(text)
    }
}

/// A line for each path: `+` is only in the new one, `-` only in the old one, `~` in both and not the same.
fn compare_files(old: &Layers, new: &Layers, text: &mut String) -> Result<(), Failure> {
    let by_path = |layers: &Layers| -> Result<BTreeMap<Vec<u8>, Entry>, Failure> {
        let files = layers.files(Contents::Hash)?;
        Ok(files
            .entries()
            .map(|entry| (trimmed(&entry.header.path), entry))
            .collect())
    };
    let (old, mut new) = (by_path(old)?, by_path(new)?);
    let mut lines = BTreeMap::new();
    for (path, before) in old {
        let Some(after) = new.remove(&path) else {
            lines.insert(path, ('-', String::new()));
            continue;
        };
        let changes = changes(&before, &after);
        if !changes.is_empty() {
            lines.insert(path, ('~', format!(": {}", changes.join(", "))));
        }
    }
    lines.extend(new.into_keys().map(|path| (path, ('+', String::new()))));
    for (path, (sign, rest)) in lines {
        let _ = writeln!(text, "{sign} {}{rest}", shown::name(&path));
    }
    Ok(())
}

fn trimmed(path: &[u8]) -> Vec<u8> {
    path.strip_suffix(b"/").unwrap_or(path).to_vec()
}

/// Says in words what is not the same about two entries of one path.
fn changes(before: &Entry, after: &Entry) -> Vec<String> {
    let (old, new) = (&before.header, &after.header);
    if old.kind != new.kind {
        return vec![format!("{} became {}", old.kind, new.kind)];
    }
    let mut changes = Vec::new();
    let mut note = |differs: bool, text: &dyn Fn() -> String| {
        if differs {
            changes.push(text());
        }
    };
    note(before.content != after.content, &|| {
        format!("content ({} → {} bytes)", old.size, new.size)
    });
    note(old.mode != new.mode, &|| {
        format!("mode {} → {}", permissions(old.mode), permissions(new.mode))
    });
    note((old.uid, old.gid) != (new.uid, new.gid), &|| {
        format!("owner {}/{} → {}/{}", old.uid, old.gid, new.uid, new.gid)
    });
    note(
        (&old.user_name, &old.group_name) != (&new.user_name, &new.group_name),
        &|| {
            let (user, group) = (shown::name(&old.user_name), shown::name(&old.group_name));
            format!(
                "names {user}/{group} → {}/{}",
                shown::name(&new.user_name),
                shown::name(&new.group_name)
            )
        },
    );
    note(old.mtime != new.mtime, &|| {
        format!("mtime {} → {}", old.mtime.secs, new.mtime.secs)
    });
    note(old.link != new.link, &|| {
        format!(
            "target {} → {}",
            shown::name(&old.link),
            shown::name(&new.link)
        )
    });
    note(old.device != new.device, &|| {
        format!("device {:?} → {:?}", old.device, new.device)
    });
    note(old.pax != new.pax, &|| {
        "extended attributes or records".to_owned()
    });
    note(before.links != after.links, &|| {
        format!("names of the file {} → {}", before.links, after.links)
    });
    changes
}

/// Configs and annotations of two images; of layers there are none.
fn compare_documents(old: &Layers, new: &Layers, text: &mut String) {
    let (Layers::Image(old), Layers::Image(new)) = (old, new) else {
        return;
    };
    if let (Some(old), Some(new)) = (&old.config, &new.config) {
        compare_objects("config", old.object(), new.object(), text);
    }
    let annotations = |image: &crate::subject::Image| {
        image
            .manifest
            .object()
            .get("annotations")
            .and_then(Value::as_object)
            .unwrap_or_default()
    };
    compare_objects("annotations", &annotations(old), &annotations(new), text);
}

/// The members that differ, down to the innermost objects. Lists of layers say nothing that files do not.
fn compare_objects(place: &str, old: &Object, new: &Object, text: &mut String) {
    let keys = old.iter().chain(new.iter()).map(|(key, _)| key);
    for key in keys.collect::<BTreeSet<_>>() {
        let place = format!("{place}.{key}");
        if place == "config.rootfs" || place == "config.history" {
            continue;
        }
        let (before, after) = (old.get(key), new.get(key));
        let objects = (
            before.and_then(Value::as_object),
            after.and_then(Value::as_object),
        );
        if let (Some(before), Some(after)) = objects {
            compare_objects(&place, &before, &after, text);
            continue;
        }
        let shown = |value: Option<&Value>| {
            value.map(|value| {
                let json = value.to_compact();
                shown::line(&String::from_utf8_lossy(&json)).into_owned()
            })
        };
        let place = shown::line(&place);
        let _ = match (shown(before), shown(after)) {
            (Some(before), None) => writeln!(text, "- {place} {before}"),
            (None, Some(after)) => writeln!(text, "+ {place} {after}"),
            (Some(before), Some(after)) if before != after => {
                writeln!(text, "~ {place}: {before} → {after}")
            }
            _ => Ok(()),
        };
    }
}
