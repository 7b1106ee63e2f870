//! `img inspect`: what images say about themselves.

use std::fmt::{self, Write as _};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use fs_err as fs;
use imgcore::digest::HashingReader;
use imgcore::document::{Config, Raw};
use imgcore::json::{Object, Value};
use imgcore::{Descriptor, Platform};
use imglayer::estargz::{self, FOOTER_SIZE, TOC_DIGEST, TOC_NAME};
use imgtar::{Codec, DecodeLimits, Decoder, Limits, Reader};

use crate::cli::Run;
use crate::context::Context;
use crate::report::{Explain as _, Failure};
use crate::shown;
use crate::subject::{Image, Images, Subject};

/// Shows what images say: digests, platforms, configs, layers and their history
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A layout directory, an archive or a layer; PATH:NAME or PATH@DIGEST chooses one of several images
    #[arg(value_name = "IMAGE")]
    subject: String,
    /// Shows only the image for this platform, like linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Prints JSON: for each image its descriptor, and manifest and config as they are
    #[arg(long, conflicts_with_all = ["manifest", "config"])]
    json: bool,
    /// Prints the manifest of the one image, byte for byte
    #[arg(long)]
    manifest: bool,
    /// Prints the config of the one image, byte for byte
    #[arg(long, conflicts_with = "manifest")]
    config: bool,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let images = match Subject::open(context, &self.subject)? {
            Subject::Images(images) => images,
            Subject::Layer(path) => return context.report.print(describe_layer(&path)?),
        };
        if self.manifest || self.config {
            let image = images.only(self.platform.as_ref())?;
            let bytes = match &image.config {
                _ if self.manifest => image.manifest.bytes(),
                Some(config) => config.bytes(),
                None => {
                    let message =
                        format!("{} is no container image, and has no config", self.subject);
                    return Err(Failure::new(message).hint("--manifest prints what it has"));
                }
            };
            return context.report.print(String::from_utf8_lossy(bytes));
        }
        let (shown, missing) = match &self.platform {
            Some(platform) => (vec![images.only(Some(platform))?], Vec::new()),
            None => images.present()?,
        };
        if self.json {
            return context
                .report
                .print(String::from_utf8_lossy(&to_json(&shown)));
        }
        let mut text = describe_images(&images, &shown);
        describe_missing(&missing, &mut text);
        context.report.print(text)
    }
}

fn to_json(images: &[Image]) -> Vec<u8> {
    let image = |image: &Image| {
        let mut object = Object::new();
        object.set("descriptor", image.descriptor.to_json());
        object.set("manifest", image.manifest.object().clone());
        object.set(
            "config",
            image.config.as_ref().map(|config| config.object().clone()),
        );
        object
    };
    let mut document = Object::new();
    document.set("images", images.iter().map(image).collect::<Vec<_>>());
    let mut bytes = Value::from(document).to_indented();
    bytes.push(b'\n');
    bytes
}

fn describe_images(images: &Images, shown: &[Image]) -> String {
    let mut text = String::new();
    for root in &images.roots {
        let mut names = images.names_of(root);
        if names.is_empty() {
            names.push("(no name)");
        }
        let what = format!("{} {}", root.digest, root.media_type);
        for name in names {
            line(&mut text, 0, name, &what);
        }
    }
    for image in shown {
        text.push('\n');
        describe_image(image, &mut text);
    }
    text
}

/// Lists the images of indexes that are not where the indexes are.
fn describe_missing(missing: &[Descriptor], text: &mut String) {
    for entry in missing {
        let platform = entry.platform.as_ref().map(ToString::to_string);
        let what = format!("{} is not here", entry.digest);
        text.push('\n');
        line(text, 0, &platform.unwrap_or_default(), &what);
    }
}

fn describe_image(image: &Image, text: &mut String) {
    let platform = image
        .platform()
        .map(ToString::to_string)
        .unwrap_or_default();
    let artifact = image
        .manifest
        .artifact_type
        .as_ref()
        .map(ToString::to_string);
    let title = if image.config.is_some() {
        platform
    } else {
        artifact.unwrap_or("artifact".into())
    };
    let bytes: u64 = image.manifest.layers.iter().map(|layer| layer.size).sum();
    line(text, 0, &title, &image.descriptor.digest);
    line(text, 1, "manifest", &image.manifest.media_type);
    line(text, 1, "config", &image.manifest.config.digest);
    if let Some(config) = &image.config {
        describe_config(config, text);
    }
    for (key, value) in &image.manifest.annotations {
        line(text, 1, "annotation", &format!("{key}={value}"));
    }
    line(
        text,
        1,
        "layers",
        &format!("{}, {bytes} bytes", image.manifest.layers.len()),
    );
    let history = image.config.iter().flat_map(|config| config.history());
    let mut made = history.filter(|step| !step.empty_layer);
    for (number, layer) in image.manifest.layers.iter().enumerate() {
        let by = made
            .next()
            .and_then(|step| step.created_by.as_deref())
            .unwrap_or_default();
        let short = layer
            .media_type
            .as_str()
            .rsplit('.')
            .next()
            .unwrap_or_default();
        let form = if layer.annotations.contains_key(TOC_DIGEST) {
            " eStargz"
        } else {
            ""
        };
        line(
            text,
            2,
            &number.to_string(),
            &format!("{} {} {short}{form} {by}", layer.digest, layer.size),
        );
    }
}

fn describe_config(config: &Raw<Config>, text: &mut String) {
    let words = |list: &[String]| {
        let json = Value::from(list.iter().map(String::as_str).collect::<Vec<_>>()).to_compact();
        if list.is_empty() {
            String::new()
        } else {
            String::from_utf8_lossy(&json).into_owned()
        }
    };
    let mut property = |name: &str, value: &str| {
        if !value.is_empty() {
            line(text, 1, name, &value);
        }
    };
    property("created", config.created().unwrap_or_default());
    property("author", config.author().unwrap_or_default());
    property("user", config.user());
    property("working dir", config.working_dir());
    property("entrypoint", &words(config.entrypoint()));
    property("cmd", &words(config.command()));
    for variable in config.environment() {
        property("env", variable);
    }
    for (key, value) in config.labels() {
        property("label", &format!("{key}={value}"));
    }
    for port in config.exposed_ports() {
        property("port", port);
    }
    for volume in config.volumes() {
        property("volume", volume);
    }
    property("stop signal", config.stop_signal());
    if let Some(check) = health_check(config) {
        property("healthcheck", &check);
    }
}

/// The test of Docker's health check, as it stands there.
fn health_check(config: &Raw<Config>) -> Option<String> {
    let execution = config.object().get("config")?.as_object()?;
    let check = execution.get("Healthcheck")?.as_object()?;
    let test = check.get("Test")?.to_compact();
    Some(String::from_utf8_lossy(&test).into_owned())
}

/// Everything that the metadata of a layer would say.
fn describe_layer(path: &Path) -> Result<String, Failure> {
    let name = || path.display().to_string();
    let mut blob = HashingReader::new(BufReader::with_capacity(1 << 17, fs::File::open(path)?));
    let decoder = Decoder::new(&mut blob, DecodeLimits::default()).explain(name)?;
    let codec = decoder.codec();
    let mut tar = HashingReader::new(decoder);
    let mut limits = Limits::default();
    limits.missing_end = true;
    let mut reader = Reader::with_limits(&mut tar, limits);
    let mut entries = 0;
    let mut toc = None;
    while let Some(mut entry) = reader.next_entry().explain(name)? {
        entries += 1;
        toc = None;
        if entry.header().path == TOC_NAME.as_bytes() {
            let mut content = HashingReader::new(&mut entry);
            io::copy(&mut content, &mut io::sink()).explain(name)?;
            toc = Some(content.finish().0);
        }
    }
    let (diff_id, uncompressed_size, _) = tar.finish();
    let (digest, size, _) = blob.finish();
    let mut text = String::new();
    line(&mut text, 0, "layer", &digest);
    line(&mut text, 1, "diff id", &diff_id);
    line(&mut text, 1, "codec", &codec);
    line(&mut text, 1, "size", &size);
    line(&mut text, 1, "as tar", &uncompressed_size);
    line(&mut text, 1, "entries", &entries);
    if let Some(toc) = toc.filter(|_| codec == Codec::Gzip)
        && has_estargz_footer(path)?
    {
        line(&mut text, 1, "eStargz TOC", &toc);
    }
    Ok(text)
}

/// Whether readers of eStargz would find a table of contents by the end of a layer.
fn has_estargz_footer(path: &Path) -> Result<bool, Failure> {
    let mut file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(FOOTER_SIZE as u64)))?;
    file.read_to_end(&mut end)?;
    Ok(estargz::toc_offset(&end).is_some())
}

fn line(text: &mut String, depth: usize, name: &str, value: &dyn fmt::Display) {
    let start = text.len();
    // Writing to a string cannot fail.
    let (name, value) = (shown::line(name), value.to_string());
    let value = shown::line(&value);
    let _ = writeln!(text, "{:indent$}{name:<14} {value}", "", indent = 2 * depth);
    let end = text.trim_end().len().max(start);
    text.replace_range(end.., "\n");
}
