//! `img hash`: the digest of a file, or the metadata of a blob that is to be a layer.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::ValueEnum;
use fs_err as fs;
use imgcore::digest::HashingReader;
use imgcore::{Algorithm, DiffId, Digest, Hasher, LayerMetadata, MediaType};
use imgtar::{Codec, DecodeLimits, Decoder};

use super::{description, encoding};
use crate::cli::Run;
use crate::cli::value::KeyAndValue;
use crate::context::Context;
use crate::output;
use crate::report::{Explain as _, Failure};
use crate::subject;

/// Writes the digest of a file, or its metadata as a layer
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The hash algorithm
    #[arg(long, value_name = "ALGORITHM", default_value = "sha256")]
    digest: HashName,
    /// How the digest is written; `sri` is `sha256-<base64>`
    #[arg(long, value_name = "FORM", default_value = "raw")]
    encoding: Encoding,
    /// Layer metadata: what the image's history says of the layer
    #[arg(long, value_name = "TEXT")]
    history: Option<String>,
    /// Layer metadata: the media type; by default the one of a layer with this compression
    #[arg(
        long,
        value_name = "TYPE",
        default_value = "",
        hide_default_value = true
    )]
    media_type: String,
    /// Layer metadata: `digest`, `diff_id` or `diff_id_annotation:NAME`; by default the first two
    #[arg(long, value_name = "MODE")]
    digest_mode: Vec<DigestMode>,
    /// Layer metadata: an annotation
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<KeyAndValue>,
    /// The file to hash
    input: PathBuf,
    /// Where the digest goes; `-` is standard output
    output: PathBuf,
    /// Further words are ignored
    #[arg(hide = true)]
    ignored: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HashName {
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encoding {
    Hex,
    LayerMetadata,
    OciDigest,
    Raw,
    Sri,
}

/// What of a layer is put into its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DigestMode {
    DiffId,
    DiffIdAnnotation(String),
    /// The digest of the blob, which is there in any case.
    Digest,
}

impl std::str::FromStr for DigestMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("diff_id_annotation:")) {
            ("diff_id", _) => Ok(Self::DiffId),
            ("digest", _) => Ok(Self::Digest),
            (_, Some(name)) if !name.is_empty() => Ok(Self::DiffIdAnnotation(name.to_owned())),
            _ => Err("neither digest, diff_id nor diff_id_annotation:NAME".to_owned()),
        }
    }
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        if let Some(first) = self.ignored.first() {
            context
                .report
                .warn(format_args!("`{}` is ignored", first.display()));
        }
        let bytes = match self.encoding {
            Encoding::LayerMetadata => self.layer_metadata(context)?,
            encoding => encode(encoding, &self.digest(context)?),
        };
        output::write(context, &self.output, &bytes)
    }
}

impl Arguments {
    /// The digest of the file's bytes, or the one that the build vouches for.
    fn digest(&self, context: &Context) -> Result<Digest, Failure> {
        let known = context.input_digest(&self.input);
        if let Some(known) = known.filter(|_| self.digest == HashName::Sha256) {
            return Ok(format!("sha256:{known}").parse()?);
        }
        let mut file = fs::File::open(context.path(&self.input))?;
        let algorithm = match self.digest {
            HashName::Sha256 => Algorithm::Sha256,
            HashName::Sha512 => Algorithm::Sha512,
        };
        Ok(hash(&mut file, algorithm)?.finish())
    }

    fn layer_metadata(&self, context: &Context) -> Result<Vec<u8>, Failure> {
        if self.digest != HashName::Sha256 {
            return Err(Failure::new(
                "--encoding layer-metadata: only --digest sha256 is possible",
            )
            .hint("leave --digest out"));
        }
        let modes = self.modes();
        let wants_diff_id = modes.iter().any(|mode| *mode != DigestMode::Digest);
        let blob = if wants_diff_id {
            Blob::read(&self.input, &context.path(&self.input))?
        } else {
            Blob {
                digest: self.digest(context)?,
                size: fs::metadata(context.path(&self.input))?.len(),
                tar: None,
            }
        };
        let diff_id = blob.tar.map(|(diff_id, _)| diff_id);
        let media_type = match (&*self.media_type, blob.tar) {
            ("", Some((_, codec))) => encoding::media_type_of(codec),
            (text, _) => MediaType::from(text),
        };
        let has_diff_id = modes.contains(&DigestMode::DiffId);
        let mut metadata = LayerMetadata::new(
            diff_id.filter(|_| has_diff_id),
            media_type,
            blob.digest,
            blob.size,
        );
        metadata.annotations = self.annotations(diff_id)?;
        metadata.history = description::history(self.history.as_deref());
        Ok(metadata.to_json_bytes())
    }

    fn modes(&self) -> Vec<DigestMode> {
        if self.digest_mode.is_empty() {
            return vec![DigestMode::Digest, DigestMode::DiffId];
        }
        self.digest_mode.clone()
    }

    fn annotations(&self, diff_id: Option<DiffId>) -> Result<BTreeMap<String, String>, Failure> {
        let mut annotations = BTreeMap::new();
        for flag in &self.annotation {
            if flag.key.is_empty() {
                let message = format!("--annotation `={}`: the key is empty", flag.value);
                return Err(Failure::new(message).hint("write --annotation KEY=VALUE"));
            }
            annotations.insert(flag.key.clone(), flag.value.clone());
        }
        for mode in &self.digest_mode {
            if let (DigestMode::DiffIdAnnotation(name), Some(diff_id)) = (mode, diff_id) {
                annotations.insert(name.clone(), diff_id.to_string());
            }
        }
        description::derive_from_diff_id(&mut annotations, diff_id);
        Ok(annotations)
    }
}

/// What is known of a blob.
struct Blob {
    digest: Digest,
    size: u64,
    /// What is in it, if that was asked for.
    tar: Option<(DiffId, Codec)>,
}

impl Blob {
    /// Reads a file once, for the digests of its bytes and of what they decompress to.
    fn read(name: &Path, path: &Path) -> Result<Self, Failure> {
        let what = || format!("layer {}", name.display());
        let mut blob = HashingReader::new(fs::File::open(path)?);
        let mut decoder = Decoder::new(&mut blob, DecodeLimits::default()).explain(what)?;
        let codec = decoder.codec();
        if codec == Codec::None && !subject::is_layer(path) {
            let message = format!("{} is no tar, plain or compressed", what());
            return Err(Failure::new(message)
                .hint("any file will do without a diff_id: --digest-mode digest"));
        }
        let tar = hash(&mut decoder, Algorithm::Sha256).explain(what)?;
        drop(decoder);
        io::copy(&mut blob, &mut io::sink())?;
        let (digest, size, _) = blob.finish();
        let diff_id = DiffId::from_hasher(tar);
        Ok(Self {
            digest,
            size,
            tar: Some((diff_id, codec)),
        })
    }
}

fn hash(reader: &mut dyn Read, algorithm: Algorithm) -> io::Result<Hasher> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn encode(encoding: Encoding, digest: &Digest) -> Vec<u8> {
    match encoding {
        Encoding::Hex => digest.hex().into_bytes(),
        Encoding::Raw => digest.as_bytes().to_vec(),
        Encoding::Sri => {
            let base64 = BASE64_STANDARD.encode(digest.as_bytes());
            format!("{}-{base64}", digest.algorithm().name()).into_bytes()
        }
        Encoding::OciDigest | Encoding::LayerMetadata => digest.to_string().into_bytes(),
    }
}
