//! The images that are pulled and pushed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::super::corpus::{Corpus, Name, noise};
use super::super::text;
use super::Setting;
use crate::run::{Result, check, command};

/// An image whose layers are not compressed.
pub(super) struct Image {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    content: Content,
}

enum Content {
    /// Layers with a file of noise each, which nobody could send in fewer bytes.
    Noise { layers: u64, size: u64 },
    /// One layer with all files of a corpus.
    Corpus(Name),
}

pub(super) const NOISE: Image = Image {
    name: "one",
    title: "1 layer of 1 GiB",
    content: Content::Noise {
        layers: 1,
        size: 1 << 30,
    },
};

pub(super) const MANY: Image = Image {
    name: "many",
    title: "200 layers of 5 MiB",
    content: Content::Noise {
        layers: 200,
        size: 5 << 20,
    },
};

pub(super) const CORPUS: Image = Image {
    name: "corpus",
    title: "1 layer with corpus A",
    content: Content::Corpus(Name::A),
};

impl Image {
    /// Returns the image's layout, which is made unless it is there.
    pub(super) fn layout(&self, setting: &Setting<'_>) -> Result<PathBuf> {
        let directory = setting.directory.join(format!("image-{}", self.name));
        let layout = directory.join("layout");
        if !layout.join("index.json").exists() {
            fs::create_dir_all(&directory).map_err(text)?;
            self.make(setting, &directory)?;
        }
        Ok(layout)
    }

    /// Writes a build file, and builds it.
    fn make(&self, setting: &Setting<'_>, directory: &Path) -> Result<()> {
        let mut build = "platforms = [\"linux/amd64\"]\ncompression = \"none\"\n".to_owned();
        let mut add = |from: &str, to: &str| {
            let _ = writeln!(
                build,
                "[[layer]]\ncopy = [{{ from = \"{from}\", to = \"{to}\" }}]"
            );
        };
        match self.content {
            Content::Noise { layers, size } => {
                for number in 0..layers {
                    write_noise(&directory.join(number.to_string()), number, size)?;
                    add(&number.to_string(), &format!("/{number}"));
                }
            }
            Content::Corpus(name) => {
                let corpus = Corpus::prepare(name, setting.directory)?;
                add(&corpus.tree().display().to_string(), "/corpus");
            }
        }
        build.push_str("[output]\nlayout = \"layout\"\n");
        let file = directory.join("img.toml");
        fs::write(&file, build).map_err(text)?;
        let (img, file) = (setting.img.to_string_lossy(), file.to_string_lossy());
        check(&mut command(&img, &["build", &file]))
    }
}

/// A piece at a time: the file may be larger than anyone wants to hold.
fn write_noise(path: &Path, seed: u64, size: u64) -> Result<()> {
    use std::io::Write as _;

    const PIECE: u64 = 1 << 20;
    let mut file = fs::File::create(path).map_err(text)?;
    for piece in 0..size.div_ceil(PIECE) {
        let bytes = noise((seed << 32) | piece, PIECE.min(size - piece * PIECE));
        file.write_all(&bytes).map_err(text)?;
    }
    Ok(())
}
