//! `img ls`: the files of an image or a layer.

use std::fmt::Write as _;

use imgcore::Platform;
use imglayer::filesystem::{Contents, Entry};
use imgtar::EntryKind;

use crate::cli::Run;
use crate::context::Context;
use crate::report::Failure;
use crate::shown;
use crate::subject::Subject;

/// Lists the files of an image, as a container would see them, or the entries of a layer
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A layout directory, an archive or a layer; PATH:NAME or PATH@DIGEST chooses one of several images
    #[arg(value_name = "IMAGE")]
    subject: String,
    /// Which image of several, like linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Lists the entries of one layer, counted from 0, the lowest; whiteouts are shown
    #[arg(long, value_name = "N")]
    layer: Option<usize>,
    /// Prints paths alone
    #[arg(long)]
    names: bool,
    /// Adds the SHA-256 of every file's content
    #[arg(long)]
    hash: bool,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let contents = if self.hash {
            Contents::Hash
        } else {
            Contents::Skip
        };
        let subject = Subject::open(context, &self.subject)?;
        let is_layer = matches!(subject, Subject::Layer(_));
        let layers = subject.layers(self.platform.as_ref())?;
        let entries: Vec<Entry> = match self.layer {
            Some(number) => one_layer(layers.entries(contents)?, number)?,
            None if is_layer => layers.entries(contents)?.concat(),
            None => layers.files(contents)?.entries().collect(),
        };
        let mut text = String::new();
        for entry in &entries {
            if self.names {
                text.push_str(&shown::name(&entry.header.path));
            } else {
                describe(entry, self.hash, &mut text);
            }
            text.push('\n');
        }
        context.report.print(text)
    }
}

fn one_layer(mut layers: Vec<Vec<Entry>>, number: usize) -> Result<Vec<Entry>, Failure> {
    let count = layers.len();
    if number >= count {
        let message = format!(
            "--layer {number}: the number of layers is {count}, and they are counted from 0"
        );
        return Err(Failure::new(message));
    }
    Ok(layers.swap_remove(number))
}

/// One line in the manner of `tar -tv`.
fn describe(entry: &Entry, with_hash: bool, text: &mut String) {
    let header = &entry.header;
    let owner = owner(&header.user_name, header.uid) + "/" + &owner(&header.group_name, header.gid);
    let size = if header.kind.is_device() {
        format!("{},{}", header.device.0, header.device.1)
    } else {
        header.size.to_string()
    };
    let path = shown::name(&header.path);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{}{} {owner:<8} {size:>12}",
        letter(header.kind),
        permissions(header.mode)
    );
    if with_hash {
        let hash = entry.content.map(|digest| digest.hex()).unwrap_or_default();
        let _ = write!(text, " {hash:<64}");
    }
    let _ = write!(text, " {path}");
    let link = shown::name(&header.link);
    let _ = match header.kind {
        EntryKind::Symlink => write!(text, " -> {link}"),
        EntryKind::HardLink => write!(text, " link to {link}"),
        _ => Ok(()),
    };
}

fn owner(name: &[u8], number: u64) -> String {
    if name.is_empty() {
        number.to_string()
    } else {
        shown::name(name)
    }
}

fn letter(kind: EntryKind) -> char {
    match kind {
        EntryKind::BlockDevice => 'b',
        EntryKind::CharDevice => 'c',
        EntryKind::Directory => 'd',
        EntryKind::Fifo => 'p',
        EntryKind::File => '-',
        EntryKind::HardLink => 'h',
        EntryKind::Symlink => 'l',
    }
}

/// `rwxr-sr-t`, as `ls` has it.
pub(super) fn permissions(mode: u32) -> String {
    let mut text: Vec<u8> = (0..9)
        .map(|bit| {
            if mode & (0o400 >> bit) == 0 {
                b'-'
            } else {
                b"rwx"[bit % 3]
            }
        })
        .collect();
    for (special, place, letter) in [(0o4000, 2, b's'), (0o2000, 5, b's'), (0o1000, 8, b't')] {
        if mode & special != 0 {
            text[place] = if text[place] == b'x' {
                letter
            } else {
                letter.to_ascii_uppercase()
            };
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::permissions;

    #[test]
    fn permissions_read_as_in_ls() {
        let check = |mode, expected: &str| assert_eq!(permissions(mode), expected);
        check(0o755, "rwxr-xr-x");
        check(0o1777, "rwxrwxrwt");
        check(0o4644, "rwSr--r--");
        check(0o2750, "rwxr-s---");
        check(0, "---------");
    }
}
