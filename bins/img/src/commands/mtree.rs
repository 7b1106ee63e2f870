//! `img mtree`: what is in layers, as text.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use fs_err as fs;
use imglayer::filesystem::{Contents, Entry, FileSystem, entries_of};
use imglayer::mtree::{self, Keywords};

use crate::cli::{Run, later};
use crate::context::Context;
use crate::output::{Outputs, Pending};
use crate::report::{Explain as _, Failure};

/// Lists layers, or the file system that they make, as an mtree text
#[derive(Debug, clap::Args)]
#[command(override_usage = "img mtree [OPTIONS] --output <FILE> {--tar <FILE>|--mtree <FILE>}…")]
struct Flags {
    /// A layer, plain or compressed; at least one input is needed, and their order counts
    #[arg(long, value_name = "FILE")]
    tar: Vec<PathBuf>,
    /// Not yet: a compact layer
    #[arg(long, value_name = "FILE")]
    cstream: Vec<PathBuf>,
    /// An mtree text of a layer
    #[arg(long, value_name = "FILE")]
    mtree: Vec<PathBuf>,
    /// Where the text goes, which must be said; `-` is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What stands in front of each path
    #[arg(long, value_name = "TEXT", default_value = "./")]
    path_prefix: String,
    /// The properties to tell: type,size,mode,uid,uname,gid,gname,sha256,time,link,nlink,xattr [default: all but xattr]
    #[arg(long, value_name = "LIST")]
    options: Option<String>,
    /// Whether the entries of the layers are listed, or the file system that they make
    #[arg(long, value_name = "LAYOUT", default_value = "tar")]
    layout: Layout,
}

/// How layers become a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// The entries of every layer, as they stand there.
    Tar,
    /// The files after every layer was applied to the ones before.
    #[value(name = "oci_layer_filesystem_applied_changeset", alias = "changeset")]
    Changeset,
}

#[derive(Debug)]
pub(crate) struct Arguments {
    flags: Flags,
    /// All inputs in the order of the command line.
    inputs: Vec<Input>,
}

#[derive(Debug)]
enum Input {
    Mtree(PathBuf),
    Tar(PathBuf),
}

impl Args for Arguments {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for Arguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = Flags::from_arg_matches(matches)?;
        let placed = |name: &str, files: &[PathBuf], input: fn(PathBuf) -> Input| {
            let places = matches.indices_of(name).into_iter().flatten();
            places
                .zip(files.iter().cloned().map(input))
                .collect::<Vec<_>>()
        };
        let mut inputs = placed("tar", &flags.tar, Input::Tar);
        inputs.extend(placed("mtree", &flags.mtree, Input::Mtree));
        inputs.sort_by_key(|(place, _)| *place);
        let inputs = inputs.into_iter().map(|(_, input)| input).collect();
        Ok(Self { flags, inputs })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        later::refuse(
            !self.flags.cstream.is_empty(),
            "--cstream",
            "compact layers are",
        )?;
        let Some(output) = &self.flags.output else {
            return Err(Failure::new("--output is missing").hint("`--output -` is standard output"));
        };
        if self.inputs.is_empty() {
            return Err(Failure::new("there is nothing to list").hint("give --tar or --mtree"));
        }
        let keywords = keywords(self.flags.options.as_deref())?;
        let mut layers = Vec::new();
        for input in &self.inputs {
            layers.push(read(context, input, &keywords)?);
        }
        let entries = arrange(layers, self.flags.layout)?;
        let mut pending = Pending::create(context, output)?;
        let mut text = Vec::new();
        mtree::write(&entries, &self.flags.path_prefix, &keywords, &mut text)?;
        pending.write_all(&text)?;
        let mut outputs = Outputs::default();
        outputs.add(pending);
        outputs.commit(context)
    }
}

/// Reads a list of keywords; without one, all but extended attributes.
pub(crate) fn keywords(list: Option<&str>) -> Result<Keywords, Failure> {
    list.map_or_else(|| Ok(Keywords::default()), |list| Ok(list.parse()?))
}

/// Reads the entries of a layer.
///
/// # Errors
///
/// Fails if the file cannot be read or is no layer.
pub(crate) fn read_layer(path: &Path, keywords: &Keywords) -> Result<Vec<Entry>, Failure> {
    let contents = if keywords.needs_contents() {
        Contents::Hash
    } else {
        Contents::Skip
    };
    let file = std::io::BufReader::with_capacity(1 << 17, fs::File::open(path)?);
    entries_of(file, contents).explain(|| path.display().to_string())
}

/// Lists layers one after the other, or what they make together.
pub(crate) fn arrange(layers: Vec<Vec<Entry>>, layout: Layout) -> Result<Vec<Entry>, Failure> {
    match layout {
        Layout::Tar => Ok(layers.concat()),
        Layout::Changeset => {
            let mut files = FileSystem::default();
            for layer in layers {
                files.apply(layer)?;
            }
            Ok(files.entries().collect())
        }
    }
}

fn read(context: &Context, input: &Input, keywords: &Keywords) -> Result<Vec<Entry>, Failure> {
    match input {
        Input::Tar(path) => read_layer(&context.path(path), keywords),
        Input::Mtree(path) => {
            let path = context.path(path);
            mtree::parse(&fs::read(&path)?).explain(|| path.display().to_string())
        }
    }
}
