//! Reading a build file.

mod form;
#[cfg(test)]
mod published;
mod schema;
#[cfg(test)]
mod tests;
mod value;

use std::ops::Range;
use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::Platform;
use toml::Spanned;

use super::reason;
use crate::context::Context;
use crate::report::Failure;

pub(crate) use schema::{Base, Build, Compression, Config, Copy, Healthcheck, Layer, Level};
pub(crate) use value::{ImagePath, Owner, Text};

/// A build file that was read: what it says, and where it says it.
#[derive(Debug)]
pub(crate) struct BuildFile {
    /// The path as it was written on the command line.
    shown: PathBuf,
    /// Where the paths in the file start.
    directory: PathBuf,
    text: String,
    pub(crate) build: Build,
}

impl BuildFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or if it says something that is not in `docs/build-file.md`.
    pub(crate) fn read(context: &Context, path: &Path) -> Result<Self, Failure> {
        let found = context.path(path);
        let text = fs::read_to_string(&found).map_err(|error| {
            let hint = "docs/build-file.md has a file to start from";
            let reason = reason(&error);
            Failure::new(format!("cannot read {}: {reason}", path.display())).hint(hint)
        })?;
        let directory = match found.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self::parse(path, directory, text)
    }

    fn parse(shown: &Path, directory: PathBuf, text: String) -> Result<Self, Failure> {
        let build = toml::from_str(&text).map_err(|error| in_file(shown, &text, &error))?;
        let file = Self {
            shown: shown.to_owned(),
            directory,
            text,
            build,
        };
        file.check()?;
        Ok(file)
    }

    /// Finds the file that a path in the build file names.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return self.directory.clone();
        }
        if self.directory == Path::new(".") {
            return path.to_owned();
        }
        self.directory.join(path)
    }

    /// Returns the path of a file beside the build file that has its name and another extension.
    pub(crate) fn beside(&self, extension: &str) -> PathBuf {
        let name = self.shown.file_stem().unwrap_or_default();
        self.path(Path::new(name).with_extension(extension))
    }

    /// Returns the paths that a build writes.
    pub(crate) fn outputs(&self) -> Vec<PathBuf> {
        let output = self.build.output.get_ref();
        let outputs = [&output.layout, &output.oci_archive, &output.docker_archive];
        outputs
            .into_iter()
            .flatten()
            .map(|path| self.path(path))
            .collect()
    }

    /// Checks that there is something to write where nothing is pushed.
    ///
    /// # Errors
    ///
    /// Fails if the file is only to be pushed.
    pub(crate) fn check_writes(&self) -> Result<(), Failure> {
        if !self.outputs().is_empty() {
            return Ok(());
        }
        let failure = self.at(self.build.output.span(), "[output] has a `push` alone");
        Err(failure.hint("build with --push, or write `layout` with a path"))
    }

    /// Leaves only these of the file's platforms; all of them if there are none.
    ///
    /// # Errors
    ///
    /// Fails for a platform that the file does not have.
    pub(crate) fn restrict_platforms(&mut self, wanted: &[Platform]) -> Result<(), Failure> {
        let platforms = &mut self.build.platforms;
        for wanted in wanted {
            if !platforms.iter().any(|it| it.0.accepts(wanted)) {
                let shown = self.shown.display();
                let known: Vec<_> = platforms.iter().map(|it| it.0.to_string()).collect();
                let hint = format!("the file's platforms are {}", known.join(", "));
                return Err(Failure::new(format!("{shown} has no platform {wanted}")).hint(hint));
            }
        }
        platforms
            .retain(|it| wanted.is_empty() || wanted.iter().any(|wanted| it.0.accepts(wanted)));
        Ok(())
    }

    /// Makes a failure that names a place in the file.
    pub(crate) fn at(&self, span: Range<usize>, message: impl std::fmt::Display) -> Failure {
        Failure::new(self.say(span, message))
    }

    /// Makes a failure that is about the file as a whole.
    fn anywhere(&self, message: impl std::fmt::Display) -> Failure {
        Failure::new(format!("{}: {message}", self.shown.display()))
    }

    /// Puts a place in the file in front of a message.
    pub(crate) fn say(&self, span: Range<usize>, message: impl std::fmt::Display) -> String {
        format!("{}: {message}", place(&self.shown, &self.text, span))
    }

    /// Checks what types cannot say.
    fn check(&self) -> Result<(), Failure> {
        let build = &self.build;
        if let Some(value) = &build.push {
            let message = "`push` belongs below [output]";
            let hint = "write push = [\"registry.example/team/app\"] there";
            return Err(self.at(value.span(), message).hint(hint));
        }
        if let Some(value) = &build.load {
            let message = "`load` is not built yet";
            let hint = "write the image to a layout or archive with [output]";
            return Err(self.at(value.span(), message).hint(hint));
        }
        self.check_name()?;
        self.check_platforms()?;
        for name in build.config.env.keys() {
            if name.get_ref().is_empty() || name.get_ref().contains('=') {
                let message = format!("`{}` cannot be the name of a variable", name.get_ref());
                let hint = "write env = { NAME = \"value\" }";
                return Err(self.at(name.span(), message).hint(hint));
            }
        }
        if let Some(base) = &build.base {
            self.check_base(base.span(), base.get_ref())?;
        }
        for layer in &build.layers {
            self.check_layer(layer.get_ref())?;
        }
        self.check_output()
    }

    fn check_name(&self) -> Result<(), Failure> {
        match &self.build.name {
            Some(name) if name.0.digest().is_some() => {
                Err(self.anywhere("`name` has a digest, which only the finished image has"))
            }
            None if !self.build.tags.is_empty() => {
                Err(self.anywhere("`tags` are tags of a name: write `name` too"))
            }
            _ => Ok(()),
        }
    }

    fn check_platforms(&self) -> Result<(), Failure> {
        let platforms = &self.build.platforms;
        if platforms.is_empty() {
            let failure = self.anywhere("`platforms` is empty");
            return Err(failure.hint("write platforms = [\"linux/amd64\"]"));
        }
        for (position, platform) in platforms.iter().enumerate() {
            if platforms[..position]
                .iter()
                .any(|it| it.0.accepts(&platform.0))
            {
                let message = format!("the platform {} is there twice", platform.0);
                return Err(self.anywhere(message));
            }
        }
        Ok(())
    }

    fn check_base(&self, span: Range<usize>, base: &Base) -> Result<(), Failure> {
        match (&base.path, &base.image) {
            (Some(_), Some(_)) => {
                let message = "[base] has a `path` and an `image`: only one can be the base";
                return Err(self.at(span, message));
            }
            (None, Some(_)) if base.tag.is_some() || base.digest.is_some() => {
                let message = "`tag` and `digest` belong to a `path`";
                let hint = "write them in `image`: image = \"debian:12\", or debian@sha256:…";
                return Err(self.at(span, message).hint(hint));
            }
            (None, None) => {
                let message = "[base] needs the `path` of an OCI layout or archive, or an `image`";
                return Err(self.at(span, message));
            }
            _ => {}
        }
        if base.tag.is_some() && base.digest.is_some() {
            return Err(self.at(
                span,
                "[base] has a `tag` and a `digest`: only one can choose",
            ));
        }
        Ok(())
    }

    fn check_layer(&self, layer: &Layer) -> Result<(), Failure> {
        self.check_subset(&layer.platforms)?;
        for path in &layer.remove {
            let text = path.get_ref().0.as_str();
            if text.contains(['*', '?']) || (text.contains('{') && text.contains(',')) {
                let message = format!("`remove` takes paths and no patterns, and /{text} is one");
                return Err(self.at(path.span(), message));
            }
        }
        layer
            .copy
            .iter()
            .try_for_each(|copy| self.check_copy(copy.span(), copy.get_ref()))
    }

    /// Refuses a platform that the image is not built for, which is a slip of the pen.
    fn check_subset(&self, platforms: &[Spanned<Text<Platform>>]) -> Result<(), Failure> {
        for platform in platforms {
            let wanted = &platform.get_ref().0;
            let mut all = self.build.platforms.iter();
            if !all.any(|it| wanted.accepts(&it.0)) {
                let message = format!("{wanted} is not one of `platforms`, which are");
                let message = format!("{message} {}", self.platforms());
                return Err(self.at(platform.span(), message));
            }
        }
        Ok(())
    }

    fn platforms(&self) -> String {
        let platforms = self.build.platforms.iter();
        let platforms: Vec<_> = platforms.map(|it| it.0.to_string()).collect();
        platforms.join(", ")
    }

    fn check_copy(&self, span: Range<usize>, copy: &Copy) -> Result<(), Failure> {
        match (&copy.from, &copy.content) {
            (Some(_), Some(_)) => {
                return Err(self.at(span, "a copy has `from` and `content`: only one can be"));
            }
            (None, None) => return Err(self.at(span, "a copy needs `from` or `content`")),
            (None, Some(_)) if copy.to.0.is_directory() => {
                let message = format!(
                    "`content` needs a file's path, and {} is a directory",
                    copy.to.0
                );
                return Err(self.at(span, message));
            }
            _ => {}
        }
        if copy.content.is_some() && !(copy.exclude.is_empty() && copy.directory_mode.is_none()) {
            return Err(self.at(span, "`exclude` and `directory_mode` need `from`"));
        }
        if let Some(name) = copy.from.as_deref().and_then(unknown_placeholder) {
            let message = format!("`{{{name}}}` stands for nothing");
            let hint = "`{os}`, `{arch}` and `{variant}` are the platform's; `{a,b}` is one of two";
            return Err(self.at(span, message).hint(hint));
        }
        self.check_subset(&copy.platforms)
    }

    fn check_output(&self) -> Result<(), Failure> {
        let (span, output) = (self.build.output.span(), self.build.output.get_ref());
        let outputs = [&output.layout, &output.oci_archive, &output.docker_archive];
        if outputs.iter().all(|output| output.is_none()) && output.push.is_empty() {
            let message = "[output] names nothing to write";
            let hint = "write `layout`, `oci_archive` or `docker_archive` with a path, or `push` with a name";
            return Err(self.at(span, message).hint(hint));
        }
        if let Some(name) = output.push.iter().find(|name| name.0.digest().is_some()) {
            let message = format!(
                "`push` has {}, with a digest, which only the finished image has",
                name.0
            );
            return Err(self.at(span, message));
        }
        for (position, path) in outputs.iter().enumerate() {
            if path.is_some() && outputs[..position].contains(path) {
                return Err(self.at(span, "[output] names one path twice"));
            }
        }
        let platforms = &self.build.platforms;
        if let Some(wanted) = &output.docker_platform
            && !platforms
                .iter()
                .any(|platform| platform.0.accepts(&wanted.0))
        {
            let message = format!("`docker_platform` {} is not one of `platforms`", wanted.0);
            return Err(self.at(span, message));
        }
        Ok(())
    }
}

/// Finds a word in braces that is no part of the platform. As a pattern it would mean itself, which nobody writes.
fn unknown_placeholder(from: &str) -> Option<&str> {
    let words = from.split('{').skip(1);
    words
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .find(|word| {
            let is_word = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-');
            !matches!(*word, "os" | "arch" | "variant") && word.chars().all(is_word)
        })
}

/// Calls things as the documentation does, in one line.
pub(super) fn plain_words(message: &str) -> String {
    message
        .trim()
        .replace('\n', ", ")
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key")
        .replace("duplicate field", "duplicate key")
        .replace("unknown variant", "unknown value")
}

/// Says in one line what the parser said in several, in the words of this program.
fn in_file(shown: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let message = plain_words(error.message());
    let Some(span) = error.span() else {
        return Failure::new(format!("{}: {message}", shown.display()));
    };
    let place = place(shown, text, span.clone());
    let is_about_type = ["invalid type", "invalid value", "wanted "]
        .iter()
        .any(|start| message.starts_with(start));
    match is_about_type
        .then(|| form::wrong_type(text, span))
        .flatten()
    {
        None => Failure::new(format!("{place}: {message}")),
        Some(wrong) => {
            let failure = Failure::new(format!("{place}: {}", wrong.message));
            failure.hint(format!("write {}", wrong.form))
        }
    }
}

/// Names a place: `img.toml:3:7`, counted in characters from one.
fn place(shown: &Path, text: &str, span: Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start_of_line = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[start_of_line..].chars().count() + 1;
    format!("{}:{line}:{column}", shown.display())
}
