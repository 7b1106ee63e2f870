//! The lock file: which image the name of a base means. It lies beside the build file and belongs under version control.

use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::Digest;
use serde::{Deserialize, Serialize};

use super::file::{Base, BuildFile, plain_words};
use super::reason;
use crate::report::Failure;

/// What stands at the top of the file.
const HEADER: &str = "# Written by `img build`: which image the base of the build file means.\n\
                      # Keep it under version control; `img build --update` renews it.\n";

/// The version of the format.
const VERSION: u32 = 1;

/// What may become of the lock file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LockPolicy {
    /// It is followed, and a base that it does not know is added.
    #[default]
    Follow,
    /// It is followed and must not change.
    Locked,
    /// It is made new.
    Update,
}

/// The lock file of a build file.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    pin: Option<Pin>,
    policy: LockPolicy,
}

/// A lock file that must be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) content: Vec<u8>,
}

/// What a base means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    path: Option<PathBuf>,
    image: Option<String>,
    tag: Option<String>,
    digest: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    base: Pin,
}

impl Lock {
    /// Reads the lock file, if there is one.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read, or was not written by a program that this one understands.
    pub(crate) fn read(file: &BuildFile, policy: LockPolicy) -> Result<Self, Failure> {
        let path = file.beside("lock");
        let pin = match fs::read_to_string(&path) {
            Ok(text) => Some(parse(&path, &text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let message = format!("cannot read {}: {}", path.display(), reason(&error));
                return Err(Failure::new(message));
            }
        };
        Ok(Self { path, pin, policy })
    }

    /// Returns the digest that is to be taken for a base, if the file says one.
    pub(crate) fn pinned(&self, base: &Base) -> Option<Digest> {
        if self.policy == LockPolicy::Update {
            return None;
        }
        let pin = self.pin.as_ref()?;
        let is_same = pin.path == base.path && pin.image == image(base) && pin.tag == base.tag;
        // What is no digest was refused when the file was read.
        is_same.then(|| pin.digest.parse().ok())?
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the new content of the file; `None` if it stays as it is.
    ///
    /// # Errors
    ///
    /// Fails if it would change and must not.
    pub(crate) fn change(&self, base: &Base, digest: Digest) -> Result<Option<Change>, Failure> {
        let pin = Pin {
            path: base.path.clone(),
            image: image(base),
            tag: base.tag.clone(),
            digest: digest.to_string(),
        };
        if self.pin.as_ref() == Some(&pin) {
            return Ok(None);
        }
        self.check_may_change(base)?;
        let document = Document {
            version: VERSION,
            base: pin,
        };
        let text = toml::to_string(&document)?;
        Ok(Some(Change {
            path: self.path.clone(),
            content: format!("{HEADER}\n{text}").into_bytes(),
        }))
    }

    /// Fails if the file must not change.
    ///
    /// # Errors
    ///
    /// Fails with the base that the file would have to know.
    pub(crate) fn check_may_change(&self, base: &Base) -> Result<(), Failure> {
        if self.policy != LockPolicy::Locked {
            return Ok(());
        }
        let path = base.path.as_ref().map(|path| path.display().to_string());
        let name = path.or_else(|| image(base)).unwrap_or_default();
        let lock = self.path.display();
        let what = match self.pin {
            Some(_) => format!("{lock} does not know the base {name}"),
            None => format!("{lock} is missing for the base {name}"),
        };
        let message = format!("{what}, and --locked keeps it from being written");
        Err(Failure::new(message).hint("build once without --locked, and commit the file"))
    }
}

/// Returns the image of a registry that a base names, as it is written.
fn image(base: &Base) -> Option<String> {
    base.image.as_ref().map(|image| image.0.to_string())
}

fn parse(path: &Path, text: &str) -> Result<Pin, Failure> {
    let failure = |why: &str| {
        let message = format!("{} is no lock file of img: {why}", path.display());
        Failure::new(message).hint("remove it, and build without --locked")
    };
    let document: Document =
        toml::from_str(text).map_err(|error| failure(&plain_words(error.message())))?;
    if document.version != VERSION {
        return Err(failure(&format!("its version is {}", document.version)));
    }
    if document.base.digest.parse::<Digest>().is_err() {
        return Err(failure(&format!("`{}` is no digest", document.base.digest)));
    }
    Ok(document.base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(path: &str, tag: Option<&str>) -> Base {
        Base {
            path: Some(path.into()),
            tag: tag.map(str::to_owned),
            digest: None,
            image: None,
        }
    }

    fn lock(text: Option<&str>, policy: LockPolicy) -> Lock {
        let path = PathBuf::from("img.lock");
        let pin = text.map(|text| parse(&path, text).unwrap());
        Lock { path, pin, policy }
    }

    fn text(change: &Result<Option<Change>, Failure>) -> String {
        let change = change.as_ref().unwrap().as_ref().unwrap();
        String::from_utf8(change.content.clone()).unwrap()
    }

    #[test]
    fn a_pin_is_written_once_and_followed() {
        let digest = Digest::sha256_of(b"image");
        let base = base("dir/base", Some("v1"));
        let fresh = lock(None, LockPolicy::Follow);
        assert_eq!(fresh.pinned(&base), None);
        let text = text(&fresh.change(&base, digest));
        insta::assert_snapshot!(text, @r#"
        # Written by `img build`: which image the base of the build file means.
        # Keep it under version control; `img build --update` renews it.

        version = 1

        [base]
        path = "dir/base"
        tag = "v1"
        digest = "sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
        "#);
        let known = lock(Some(&text), LockPolicy::Follow);
        assert_eq!(known.pinned(&base), Some(digest));
        assert_eq!(known.change(&base, digest).unwrap(), None);
        let locked = lock(Some(&text), LockPolicy::Locked);
        assert_eq!(locked.change(&base, digest).unwrap(), None);
        let update = lock(Some(&text), LockPolicy::Update);
        assert_eq!(update.pinned(&base), None);
    }

    #[test]
    fn another_name_or_place_is_not_pinned() {
        let digest = Digest::sha256_of(b"image");
        let fresh = lock(None, LockPolicy::Follow);
        let text = text(&fresh.change(&base("base", None), digest));
        let locked = lock(Some(&text), LockPolicy::Locked);
        for other in [base("other", None), base("base", Some("v1"))] {
            assert_eq!(locked.pinned(&other), None);
            let error = locked.change(&other, digest).unwrap_err().to_string();
            assert!(error.contains("--locked"), "{error}");
        }
    }

    #[test]
    fn an_image_on_a_registry_is_pinned_as_it_is_written() {
        let digest = Digest::sha256_of(b"image");
        let on_registry = |image: &str| {
            let mut base = base("", None);
            base.path = None;
            base.image = Some(super::super::file::Text(image.parse().unwrap()));
            base
        };
        let fresh = lock(None, LockPolicy::Follow);
        let text = text(&fresh.change(&on_registry("debian:12"), digest));
        let body = text.split_once("[base]").unwrap().1;
        insta::assert_snapshot!(body, @r#"

        image = "debian:12"
        digest = "sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
        "#);
        let locked = lock(Some(&text), LockPolicy::Locked);
        assert_eq!(locked.pinned(&on_registry("debian:12")), Some(digest));
        assert_eq!(locked.pinned(&on_registry("debian:13")), None);
        assert_eq!(locked.pinned(&base("debian:12", None)), None);
        let error = locked.check_may_change(&on_registry("debian:13"));
        insta::assert_snapshot!(error.unwrap_err(), @r"
        img: img.lock does not know the base debian:13, and --locked keeps it from being written
        hint: build once without --locked, and commit the file
        ");
    }

    #[test]
    fn what_is_no_lock_file_is_refused() {
        let check = |text: &str| parse(Path::new("img.lock"), text).unwrap_err().to_string();
        insta::assert_snapshot!(check("version = 1"), @r"
        img: img.lock is no lock file of img: missing key `base`
        hint: remove it, and build without --locked
        ");
        insta::assert_snapshot!(check("version = 2\n[base]\npath = \"a\"\ndigest = \"b\""), @r"
        img: img.lock is no lock file of img: its version is 2
        hint: remove it, and build without --locked
        ");
        insta::assert_snapshot!(check("version = 1\n[base]\npath = \"a\"\ndigest = \"b\""), @r"
        img: img.lock is no lock file of img: `b` is no digest
        hint: remove it, and build without --locked
        ");
        insta::assert_snapshot!(check("version = 1\n[base]\npath = \"a\"\ndigest = \"b\"\nx = 1"), @r"
        img: img.lock is no lock file of img: unknown key `x`, expected one of `path`, `image`, `tag`, `digest`
        hint: remove it, and build without --locked
        ");
    }
}
