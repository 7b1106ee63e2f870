//! Signatures, made by programs of others.
//!
//! A program is called as `PROGRAM sign-oci-artifact ARGUMENTS…`. It gets the descriptor of what is to be signed as JSON on
//! its standard input, and writes a tar of an OCI layout to its standard output: artifacts whose subject is what was
//! signed. They are pushed beside it. Programs run before anything is sent: what cannot be signed is not pushed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use fs_err as fs;
use imgcore::deploy::{self, Operation, Sign, SignTarget};
use imgcore::json::{Fields, Limits, Strictness, Value};
use imgcore::{Descriptor, Digest, Document, LayerMetadata};
use imgstore::archive::Image;
use imgstore::{blocking, walk};
use tempfile::{Builder, NamedTempFile};

use super::request::{Request, Step};
use super::runfiles::Runfiles;
use crate::context::Context;
use crate::credentials;
use crate::leftovers::{self, Watched};
use crate::report::{Explain as _, Failure};

/// No setting that people write is as long.
const MAX_SETTING: u64 = 1024 * 1024;

/// Who signs, and what.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Signatures")]
pub(crate) struct SignArguments {
    /// A file that says how images are signed; manifests name it by its digest
    #[arg(long = "sign_setting_file", alias = "sign-setting-file", value_name = "FILE", action = clap::ArgAction::Append)]
    setting_files: Vec<PathBuf>,
    /// The file for images whose manifest names none
    #[arg(
        long = "default_sign_setting",
        alias = "default-sign-setting",
        value_name = "FILE"
    )]
    default_setting: Option<PathBuf>,
    /// Signs every image that is pushed, whether or not its manifest says so
    #[arg(long = "sign_force", alias = "sign-force")]
    force: bool,
    /// What is signed instead of what the manifests say: roots, `child_manifests`, referrers or all, separated by commas
    #[arg(long = "sign_targets", alias = "sign-targets", value_name = "TARGET", value_delimiter = ',', action = clap::ArgAction::Append)]
    targets: Vec<SignTarget>,
}

/// An artifact that signs something.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) root: Descriptor,
    pub(crate) store: Arc<Image>,
    /// The archive, for as long as it is read.
    _file: Arc<(NamedTempFile, Watched)>,
}

/// The setting files, by the digests of their bytes.
#[derive(Debug)]
pub(crate) struct Signers {
    arguments: SignArguments,
    by_digest: BTreeMap<Digest, Signer>,
    default: Option<Digest>,
    /// What was made in this run, by setting and target: a program does not know in which repository that is.
    made: BTreeMap<(Digest, Digest), Vec<Signature>>,
}

/// A program that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signer {
    program: PathBuf,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
}

impl SignArguments {
    /// Returns the place of the first operation that is to be signed.
    pub(crate) fn first_wish(&self, request: &Request) -> Option<usize> {
        let mut pushes = request.pushes();
        let wish = pushes.find(|step| self.wish(&step.operation).is_some());
        wish.map(|step| step.place)
    }

    /// Returns how an operation is to be signed. What only gives a tag to what another one pushes is signed with that.
    fn wish(&self, operation: &Operation) -> Option<Sign> {
        let is_forced = self.force && operation.command == deploy::Command::Push;
        let forced = is_forced.then(Sign::default);
        operation.sign.clone().or(forced)
    }
}

impl Signers {
    /// Reads the setting files.
    ///
    /// # Errors
    ///
    /// Fails if one cannot be read or used.
    pub(crate) fn read(
        context: &Context,
        arguments: &SignArguments,
        request: &Request,
    ) -> Result<Self, Failure> {
        let mut signers = Self {
            arguments: arguments.clone(),
            by_digest: BTreeMap::new(),
            default: request
                .settings
                .default_sign_setting
                .as_ref()
                .map(|it| it.digest),
            made: BTreeMap::new(),
        };
        for file in &arguments.setting_files {
            signers.add(context, file)?;
        }
        if let Some(file) = &arguments.default_setting {
            signers.default = Some(signers.add(context, file)?);
        }
        Ok(signers)
    }

    fn add(&mut self, context: &Context, file: &PathBuf) -> Result<Digest, Failure> {
        let mut bytes = Vec::new();
        let opened = fs::File::open(context.path(file))?;
        opened.take(MAX_SETTING).read_to_end(&mut bytes)?;
        let signer = Signer::parse(&bytes, context)
            .map_err(|failure| failure.in_front(format_args!("sign setting {}", file.display())))?;
        let digest = Digest::sha256_of(&bytes);
        self.by_digest.insert(digest, signer);
        Ok(digest)
    }

    /// Signs what an operation pushes, as it says.
    ///
    /// # Errors
    ///
    /// Fails if there is no setting, or the program fails, unless the operation takes that as it comes.
    pub(crate) fn sign(
        &mut self,
        context: &Context,
        step: &Step,
    ) -> Result<Vec<Signature>, Failure> {
        let operation = &step.operation;
        let Some(wish) = self.arguments.wish(operation) else {
            return Ok(Vec::new());
        };
        let signed = self.sign_all(context, &wish, operation);
        let signed =
            signed.map_err(|failure| failure.in_front(format_args!("operation {}", step.place)));
        match signed {
            Err(failure) if wish.best_effort => {
                context
                    .report
                    .warn(format_args!("pushed without a signature: {failure}"));
                Ok(Vec::new())
            }
            other => other,
        }
    }

    fn sign_all(
        &mut self,
        context: &Context,
        wish: &Sign,
        operation: &Operation,
    ) -> Result<Vec<Signature>, Failure> {
        let targets = self.targets(wish, operation);
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let (setting, signer) = self.signer(wish)?;
        let mut signatures = Vec::new();
        for target in targets {
            let made = match self.made.entry((setting, target.digest)) {
                Entry::Occupied(made) => made.into_mut(),
                Entry::Vacant(place) => place.insert(signer.sign(context, &target)?),
            };
            signatures.extend(made.iter().cloned());
        }
        Ok(signatures)
    }

    fn signer(&self, wish: &Sign) -> Result<(Digest, Signer), Failure> {
        let named = wish.setting.as_ref().map(|it| it.digest).or(self.default);
        let Some(digest) = named else {
            return Err(Failure::new("nothing says how it is signed")
                .hint("name a file with --default_sign_setting"));
        };
        let signer = self.by_digest.get(&digest).ok_or_else(|| {
            Failure::new(format!("the sign setting {digest} is not there"))
                .hint("name its file with --sign_setting_file")
        })?;
        Ok((digest, signer.clone()))
    }

    /// Lists what is signed of an operation, each once.
    fn targets(&self, wish: &Sign, operation: &Operation) -> Vec<Descriptor> {
        let targets = if self.arguments.targets.is_empty() {
            &wish.targets
        } else {
            &self.arguments.targets
        };
        let has = |wanted| {
            let mut targets = targets.iter();
            targets.any(|it| *it == wanted || *it == SignTarget::All)
        };
        let takes_root = if operation.referrer {
            // A build says nothing more of a referrer that is to be signed than that it is.
            has(SignTarget::Referrers) || targets.is_empty()
        } else {
            has(SignTarget::Roots) || targets.is_empty()
        };
        let mut signed: Vec<&LayerMetadata> = Vec::new();
        if takes_root {
            signed.push(&operation.root);
        }
        if has(SignTarget::ChildManifests) && !operation.referrer {
            let children = operation.manifests.iter().map(|it| &it.descriptor);
            signed.extend(children.filter(|it| it.digest != operation.root.digest));
        }
        let signed = signed.into_iter();
        signed
            .map(|it| Descriptor::new(it.media_type.clone(), it.digest, it.size))
            .collect()
    }
}

impl Signer {
    fn parse(bytes: &[u8], context: &Context) -> Result<Self, Failure> {
        let value = Value::parse(bytes, &Limits::default())?;
        let mut fields = Fields::of(&value, "sign setting")?;
        let version = fields.optional("schema_version");
        let mode = fields.string("mode")?;
        let tool = fields.string("tool")?;
        let signer = Self {
            program: find_program(&mode, &tool, context)?,
            arguments: fields.strings("args")?,
            variables: fields.string_map("env")?,
        };
        fields.finish(Strictness::Lenient)?;
        let is_known =
            |it: Value| it.as_u64() == Some(1) || it.as_str().is_some_and(|it| it == "1");
        if version.is_some_and(|it| !is_known(it)) {
            return Err(Failure::new(
                "schema_version is none that is known, which is 1",
            ));
        }
        Ok(signer)
    }

    fn sign(&self, context: &Context, target: &Descriptor) -> Result<Vec<Signature>, Failure> {
        let file = self.run(context, target)?;
        let open = || -> Result<Vec<Signature>, Failure> {
            let store = Arc::new(Image::open(file.0.path())?);
            let file = Arc::new(file);
            let mut signatures = Vec::new();
            for root in store.index().descriptors() {
                let document = blocking::block_on(walk::document(&store, root))?;
                check_subject(&document, target)?;
                signatures.push(Signature {
                    root: document.descriptor(),
                    store: Arc::clone(&store),
                    _file: Arc::clone(&file),
                });
            }
            Ok(signatures)
        };
        let signatures = open().map_err(|failure| failure.in_front(self.output_of(target)))?;
        if signatures.is_empty() {
            let message = format!("{}: there is no artifact in it", self.output_of(target));
            return Err(Failure::new(message));
        }
        Ok(signatures)
    }

    fn output_of(&self, target: &Descriptor) -> String {
        let program = self.program.display();
        format!("what {program} wrote for {}", target.digest)
    }

    /// Runs the program, and keeps what it writes in a file.
    fn run(
        &self,
        context: &Context,
        target: &Descriptor,
    ) -> Result<(NamedTempFile, Watched), Failure> {
        let what = || format!("signing {} with {}", target.digest, self.program.display());
        let file = Builder::new().prefix(".img-").tempfile().explain(what)?;
        let watched = leftovers::watch(file.path());
        let mut child = Command::new(&self.program)
            .arg("sign-oci-artifact")
            .args(&self.arguments)
            .envs(&self.variables)
            .stdin(Stdio::piped())
            .stdout(file.reopen().explain(what)?)
            .stderr(Stdio::piped())
            .spawn()
            .explain(what)?;
        let descriptor = target.to_json().to_compact();
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read may have ended: its exit status says more.
            let _ = stdin.write_all(&descriptor);
        }
        let output = child.wait_with_output().explain(what)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let message = format!("{} ended with {}", what(), output.status);
            return Err(match said.trim() {
                "" => Failure::new(message),
                said => Failure::new(message).because(said.to_owned()),
            });
        }
        if !said.is_empty() {
            context.report.error_text(said);
        }
        Ok((file, watched))
    }
}

/// Finds the program: a runfile, or one that the system finds by its name.
fn find_program(mode: &str, tool: &str, context: &Context) -> Result<PathBuf, Failure> {
    match mode {
        "command" if tool.contains('/') => Ok(context.path(tool)),
        "command" => Ok(PathBuf::from(tool)),
        "rlocation" => {
            let program = std::env::args_os().next().map(PathBuf::from);
            let runfiles = Runfiles::find(&credentials::environment(), program.as_deref());
            runfiles.path(tool).ok_or_else(|| {
                Failure::new(format!("the program {tool} is not among the runfiles"))
                    .hint("run it with `bazel run`, or set RUNFILES_DIR")
            })
        }
        _ => Err(Failure::new(format!(
            "mode is `{mode}`, and known are `rlocation` and `command`"
        ))),
    }
}

fn check_subject(document: &Document, target: &Descriptor) -> Result<(), Failure> {
    let subject = match document {
        Document::Index(index) => index.subject.as_ref(),
        Document::Manifest(manifest) => manifest.subject.as_ref(),
    };
    let digest = document.descriptor().digest;
    match subject {
        Some(subject) if subject.digest == target.digest => Ok(()),
        Some(subject) => Err(Failure::new(format!(
            "the artifact {digest} is about {}",
            subject.digest
        ))),
        None => Err(Failure::new(format!(
            "the artifact {digest} has no subject"
        ))),
    }
}
