//! Writing plans and showing what other readers find in them.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use imglayer::{
    Codec, EncodeOptions, Error, Hardlinks, LayerPath, Plan, PlanBuilder, PlanOptions, Written,
    write_layer,
};
use imgtest::layer::{Rules, check_blob};
use tempfile::TempDir;

pub(crate) fn path(text: &str) -> LayerPath {
    LayerPath::parse(text).unwrap()
}

pub(crate) fn builder() -> PlanBuilder {
    PlanBuilder::new(PlanOptions::default())
}

/// A builder whose options are the default ones but for what `change` does to them.
pub(crate) fn builder_with(change: impl FnOnce(&mut PlanOptions)) -> PlanBuilder {
    let mut options = PlanOptions::default();
    change(&mut options);
    PlanBuilder::new(options)
}

/// Finishes a builder and writes its plan as a plain tar archive.
pub(crate) fn write(builder: PlanBuilder) -> (Written, Vec<u8>) {
    write_plan(&builder.finish().unwrap())
}

pub(crate) fn write_plan(plan: &Plan) -> (Written, Vec<u8>) {
    let mut options = EncodeOptions::default();
    options.codec = Codec::None;
    let (written, layer) = write_layer(plan, &options, Vec::new()).unwrap();
    let mut rules = Rules::default();
    rules.deduplicated = plan.hardlinks() == Hardlinks::Auto;
    check_blob(&layer[..], &written.metadata, rules).unwrap();
    (written, layer)
}

/// Returns why a plan cannot be written.
pub(crate) fn failure(plan: &Plan) -> Error {
    let mut options = EncodeOptions::default();
    options.codec = Codec::None;
    write_layer(plan, &options, std::io::sink()).err().unwrap()
}

/// Finishes a builder, writes its plan and lists the entries as the `tar` crate reads them.
pub(crate) fn list(builder: PlanBuilder) -> String {
    list_layer(&write(builder).1)
}

/// Lists one entry a line: kind, mode, owner and time unless they are 0, name, content or target.
pub(crate) fn list_layer(layer: &[u8]) -> String {
    let mut text = String::new();
    let mut archive = tar::Archive::new(layer);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let kind = match header.entry_type() {
            tar::EntryType::Directory => 'd',
            tar::EntryType::Fifo => 'p',
            tar::EntryType::Link => 'h',
            tar::EntryType::Regular => 'f',
            tar::EntryType::Symlink => 'l',
            other => panic!("unexpected {other:?}"),
        };
        write!(text, "{kind} {:o}", header.mode().unwrap()).unwrap();
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        if owner != (0, 0) {
            write!(text, " {}:{}", owner.0, owner.1).unwrap();
        }
        let names = [header.username_bytes(), header.groupname_bytes()]
            .map(|name| String::from_utf8_lossy(name.unwrap_or_default()).into_owned());
        if names.iter().any(|name| !name.is_empty()) {
            write!(text, " {}", names.join(":")).unwrap();
        }
        if header.mtime().unwrap() != 0 {
            write!(text, " @{}", header.mtime().unwrap()).unwrap();
        }
        write!(text, " {}", short(&entry.path_bytes())).unwrap();
        if let Some(target) = entry.link_name_bytes() {
            write!(text, " -> {}", short(&target)).unwrap();
        } else if content.len() > 40 {
            write!(text, " ({} bytes)", content.len()).unwrap();
        } else if kind == 'f' {
            write!(text, " {:?}", String::from_utf8_lossy(&content)).unwrap();
        }
        for extension in entry.pax_extensions().unwrap().into_iter().flatten() {
            let extension = extension.unwrap();
            let keyword = extension.key().unwrap();
            if !["path", "linkpath", "size", "mtime"].contains(&keyword) {
                write!(
                    text,
                    " {keyword}={}",
                    extension.value_bytes().escape_ascii()
                )
                .unwrap();
            }
        }
        text.push('\n');
    }
    text
}

/// Shows a name; of a long one its start and its length.
fn short(name: &[u8]) -> String {
    match name.len() {
        0..=60 => name.escape_ascii().to_string(),
        length => format!("{}... ({length} bytes)", name[..10].escape_ascii()),
    }
}

/// A directory that is filled by a test and goes away with it.
pub(crate) struct Disk(TempDir);

impl Disk {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Makes a directory with these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let disk = Self::new();
        for (name, content) in files {
            disk.write(name, content);
        }
        disk
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, content).unwrap();
        path
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(&path).unwrap();
        path
    }

    #[cfg(unix)]
    pub(crate) fn symlink(&self, name: &str, target: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::os::unix::fs::symlink(target, &path).unwrap();
        path
    }

    #[cfg(unix)]
    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let permissions = std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(self.path(name), permissions).unwrap();
    }
}
