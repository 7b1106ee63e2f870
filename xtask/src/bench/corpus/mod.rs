//! The trees that layers are made of, from files of this machine.
//!
//! A corpus is chosen by the names of files, so that one machine always gives the same; its digest says whether two
//! machines have the same. What is missing on a small machine is generated.

mod generate;
mod search;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use fs_err as fs;
use sha2::{Digest as _, Sha256};

use super::text;
use crate::run::{Result, check, command};
pub(super) use generate::noise;
use search::Found;

const MIB: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Name {
    /// Large binaries, a tenth of it incompressible
    A,
    /// Small files, three tenths of them duplicates
    B,
    /// An application: scripts, data, libraries
    C,
}

impl Name {
    pub(crate) const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    pub(crate) fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
        }
    }
}

/// Files of some sizes, until there are enough of them or of their bytes.
struct Share {
    sizes: std::ops::RangeInclusive<u64>,
    files: usize,
    bytes: u64,
}

/// What a corpus is made of.
struct Recipe {
    /// Raised whenever the rest changes, so that trees of the old one are made again.
    version: u32,
    shares: &'static [Share],
    /// Files of noise, and how large each is.
    noise: (usize, u64),
    /// How many files are there a second time under another name.
    copies: usize,
}

fn recipe(name: Name) -> Recipe {
    match name {
        Name::A => Recipe {
            version: 1,
            shares: &[Share {
                sizes: 4 * MIB..=96 * MIB,
                files: usize::MAX,
                bytes: 922 * MIB,
            }],
            noise: (6, 17 * MIB),
            copies: 0,
        },
        Name::B => Recipe {
            version: 1,
            shares: &[Share {
                sizes: 1..=64 << 10,
                files: 55_000,
                bytes: 400 * MIB,
            }],
            noise: (0, 0),
            copies: 23_500,
        },
        Name::C => Recipe {
            version: 2,
            shares: &[
                Share {
                    sizes: 512 << 10..=16 * MIB,
                    files: usize::MAX,
                    bytes: 128 * MIB,
                },
                Share {
                    sizes: 1..=256 << 10,
                    files: 5_300,
                    bytes: 85 * MIB,
                },
            ],
            noise: (0, 0),
            copies: 160,
        },
    }
}

/// A tree that is there, with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Corpus {
    pub(crate) name: Name,
    /// The directory of everything about it; [`tree`](Self::tree) and others are in it.
    directory: PathBuf,
    pub(crate) facts: Facts,
}

/// What is printed of a corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files whose content an earlier file has.
    pub(crate) duplicates: u64,
    /// Over names and contents.
    pub(crate) digest: String,
}

impl Corpus {
    /// Takes the corpus from the directory of corpora, or makes it there.
    pub(crate) fn prepare(name: Name, directory: &Path) -> Result<Self> {
        let directory = directory.join(format!("corpus-{}", name.letter().to_ascii_lowercase()));
        let recipe = recipe(name);
        if let Some(facts) = Facts::read(&directory, recipe.version) {
            return Ok(Self {
                name,
                directory,
                facts,
            });
        }
        println!("making corpus {} in {}", name.letter(), directory.display());
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(text)?;
        }
        fs::create_dir_all(&directory).map_err(text)?;
        let mut tree = Tree::new(&directory)?;
        tree.fill(&recipe)?;
        let facts = tree.finish()?;
        // Last: a corpus without it is not finished.
        fs::write(directory.join("facts"), facts.to_text(recipe.version)).map_err(text)?;
        Ok(Self {
            name,
            directory,
            facts,
        })
    }

    /// The directory of the files.
    pub(crate) fn tree(&self) -> PathBuf {
        self.directory.join("tree")
    }

    /// The files as `--add-from-file` takes them.
    pub(crate) fn list(&self) -> PathBuf {
        self.directory.join("list")
    }

    /// The sources of the list.
    pub(crate) fn sources(&self) -> Result<Vec<PathBuf>> {
        let lines = fs::read_to_string(self.list()).map_err(text)?;
        let source = |line: &str| line.split_once("\0f").map(|(_, source)| source.into());
        Ok(lines.lines().filter_map(source).collect())
    }

    /// The tree as a plain tar, which is made when it is first asked for.
    pub(crate) fn tar(&self) -> Result<PathBuf> {
        let tar = self.directory.join("tree.tar");
        if !tar.exists() {
            let unfinished = self.directory.join("unfinished.tar");
            let (from, to) = (self.tree(), unfinished.display().to_string());
            let from = from.display().to_string();
            let owner = ["--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
            let mut arguments = vec!["--sort=name", "-cf", &to, "-C", &from];
            arguments.extend(owner);
            arguments.push(".");
            check(&mut command("tar", &arguments))?;
            fs::rename(unfinished, &tar).map_err(text)?;
        }
        Ok(tar)
    }
}

impl Facts {
    fn read(directory: &Path, version: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(directory.join("facts")).ok()?, version)
    }

    fn to_text(&self, version: u32) -> String {
        let Self {
            files,
            bytes,
            duplicates,
            digest,
        } = self;
        format!("{version} {files} {bytes} {duplicates} {digest}\n")
    }

    fn parse(text: &str, version: u32) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut number = || words.next()?.parse::<u64>().ok();
        if number()? != u64::from(version) {
            return None;
        }
        let (files, bytes, duplicates) = (number()?, number()?, number()?);
        let digest = words.next()?.to_owned();
        Some(Self {
            files,
            bytes,
            duplicates,
            digest,
        })
    }
}

/// A tree that is being filled.
struct Tree {
    directory: PathBuf,
    list: String,
    contents: HashSet<[u8; 32]>,
    /// Names with the digests of their contents.
    names: Vec<(String, [u8; 32])>,
    facts: Facts,
}

impl Tree {
    fn new(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory.join("tree")).map_err(text)?;
        Ok(Self {
            directory: directory.to_owned(),
            list: String::new(),
            contents: HashSet::new(),
            names: Vec::new(),
            facts: Facts::default(),
        })
    }

    fn fill(&mut self, recipe: &Recipe) -> Result<()> {
        let found = search::files()?;
        let mut number = 0;
        for share in recipe.shares {
            let (files, bytes) = self.take(share, &found)?;
            let (mut files, mut bytes) = (share.files - files, share.bytes.saturating_sub(bytes));
            // What this machine has too little of.
            while files > 0 && bytes > *share.sizes.start() {
                number += 1;
                let size = generate::size(number, &share.sizes).min(bytes);
                let content = generate::words(number, size);
                self.add(&format!("generated/{}/{number}", number / 100), &content)?;
                files -= 1;
                bytes -= size;
            }
        }
        let originals = self.names.len();
        for copy in 0..recipe.copies {
            // From the end, where the small ones are.
            let name = self.names[originals - 1 - copy % originals].0.clone();
            let content = fs::read(self.directory.join("tree").join(&name)).map_err(text)?;
            self.add(&format!("copies/{}/{name}", copy / originals), &content)?;
        }
        for number in 0..recipe.noise.0 {
            let content = noise(number as u64, recipe.noise.1);
            self.add(&format!("noise/{number}"), &content)?;
        }
        Ok(())
    }

    /// Copies files that were found, each content once. Returns how many, and their bytes.
    fn take(&mut self, share: &Share, found: &[Found]) -> Result<(usize, u64)> {
        let (mut files, mut bytes) = (0, 0);
        for file in found.iter().filter(|file| share.sizes.contains(&file.size)) {
            if files == share.files || bytes >= share.bytes {
                break;
            }
            // A file that cannot be read, or is another by now, is passed over.
            let Ok(content) = fs::read(&file.path) else {
                continue;
            };
            let is_new = !self.contents.contains(&digest(&content));
            if content.len() as u64 == file.size && is_new {
                self.add(&file.name, &content)?;
                files += 1;
                bytes += file.size;
            }
        }
        Ok((files, bytes))
    }

    fn add(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.directory.join("tree").join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(text)?;
        }
        fs::write(&path, content).map_err(text)?;
        let _ = writeln!(self.list, "{name}\0f{}", path.display());
        let digest = digest(content);
        self.facts.files += 1;
        self.facts.bytes += content.len() as u64;
        self.facts.duplicates += u64::from(!self.contents.insert(digest));
        self.names.push((name.to_owned(), digest));
        Ok(())
    }

    fn finish(mut self) -> Result<Facts> {
        fs::write(self.directory.join("list"), &self.list).map_err(text)?;
        self.names.sort();
        let mut hasher = Sha256::new();
        for (name, digest) in &self.names {
            hasher.update(name);
            hasher.update([0]);
            hasher.update(digest);
        }
        self.facts.digest = hex(&hasher.finalize());
        Ok(self.facts)
    }
}

fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_as_they_were_written() {
        let facts = Facts {
            files: 3,
            bytes: 70,
            duplicates: 1,
            digest: "ab".to_owned(),
        };
        assert_eq!(Facts::parse(&facts.to_text(7), 7), Some(facts.clone()));
        assert_eq!(Facts::parse(&facts.to_text(7), 8), None);
        assert_eq!(Facts::parse("", 7), None);
    }

    #[test]
    fn a_file_that_is_gone_is_passed_over_and_copies_are_counted() {
        const SHARES: &[Share] = &[Share {
            sizes: 10..=20,
            files: 4,
            bytes: 1000,
        }];
        let directory = tempfile::tempdir().unwrap();
        let mut tree = Tree::new(directory.path()).unwrap();
        let found = Found {
            path: directory.path().join("nowhere"),
            name: "nowhere".to_owned(),
            size: 12,
        };
        assert_eq!(tree.take(&SHARES[0], &[found]).unwrap(), (0, 0));
        tree.add("x/a", b"content").unwrap();
        tree.add("x/b", b"content").unwrap();
        let facts = tree.finish().unwrap();
        assert_eq!((facts.files, facts.bytes, facts.duplicates), (2, 14, 1));
        let list = fs::read_to_string(directory.path().join("list")).unwrap();
        let source = directory.path().join("tree/x/b");
        assert!(list.ends_with(&format!("x/b\0f{}\n", source.display())));
    }
}
