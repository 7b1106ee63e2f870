//! `img layer`: files, trees, links and tars become one layer.

mod destinations;
mod inputs;
mod later_flags;
mod metadata;
mod param_file;
mod place_files;
mod time;

use std::path::PathBuf;

use clap::ValueEnum;
use imgcore::MediaType;
use imglayer::{
    Hardlinks, ImportOptions, LayerPath, ModePolicy, Plan, PlanBuilder, PlanOptions, TreeHandling,
};

use super::description;
use super::encoding::{self, EncodingFlags};
use crate::cli::Run;
use crate::cli::value::{KeyAndValue, NameAndFile};
use crate::context::Context;
use crate::output::{Outputs, Pending};
use crate::report::{Explain as _, Failure};
use crate::sys;

use destinations::{Contested, Input};
use inputs::Inputs;
use later_flags::LaterFlags;
use param_file::Lines;

const INPUTS: &str = "What goes into the layer";
const METADATA: &str = "What its metadata says";
const ENTRIES: &str = "How it is stored";

/// Makes a layer of files, directories, links, runfiles and tars
///
/// Of inputs with the same path the last one is taken, in the order imported tars, files and executables with their
/// runfiles, symlinks, empty files. But several files or executables with the same path make it a directory, in which each has
/// its own name.
///
/// Files and directories get mode 0755, owner 0:0 and the time 0 unless metadata says otherwise; links in a directory
/// that stay in it or lead nowhere are kept, others are followed.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Add a file or directory; a symlink is followed
    #[arg(long, value_name = "PATH=FILE", help_heading = INPUTS)]
    add: Vec<NameAndFile>,
    /// Add what the lines of a file say: `path␀<f|d|l>source`
    #[arg(long, value_name = "FILE", help_heading = INPUTS)]
    add_from_file: Vec<PathBuf>,
    /// Add what a file says that knows where to: `mode␀dest␀anchor␀skip`, then sources
    #[arg(long, value_name = "FILE", help_heading = INPUTS)]
    place_files: Vec<PathBuf>,
    /// Add the entries of a tar, plain or compressed
    #[arg(long, value_name = "FILE", help_heading = INPUTS)]
    import_tar: Vec<PathBuf>,
    /// Add an executable; `--runfiles` with the same FILE adds its runfiles
    #[arg(long, value_name = "PATH=FILE", help_heading = INPUTS)]
    executable: Vec<NameAndFile>,
    /// Add the runfiles of the executable whose file has this name, as the lines of a file say
    #[arg(long, value_name = "EXECUTABLE=FILE", help_heading = INPUTS)]
    runfiles: Vec<NameAndFile>,
    /// Add a symlink
    #[arg(long, value_name = "PATH=TARGET", help_heading = INPUTS)]
    symlink: Vec<NameAndFile>,
    /// Add symlinks, as the lines of a file say: `path␀target`
    #[arg(long, value_name = "FILE", help_heading = INPUTS)]
    symlinks_from_file: Vec<PathBuf>,
    /// Add symlinks `source/name` to `target/name`: lines `source␀target␀name`
    #[arg(long, value_name = "FILE", help_heading = INPUTS)]
    symlink_pairs_from_file: Vec<PathBuf>,
    /// Add files of size 0, one path a line
    #[arg(long, value_name = "FILE", help_heading = INPUTS)]
    empty_files_from_file: Vec<PathBuf>,
    /// gzip, zstd or none; by default what the output's name ends in, or gzip
    #[arg(long, default_value = "", hide_default_value = true, help_heading = encoding::COMPRESSION)]
    format: String,
    /// The media type in the metadata, if it is another than the format's
    #[arg(long, value_name = "TYPE", help_heading = METADATA)]
    media_type: Option<String>,
    #[command(flatten)]
    encoding: EncodingFlags,
    /// Annotate the layer
    #[arg(long, value_name = "KEY=VALUE", help_heading = METADATA)]
    annotation: Vec<KeyAndValue>,
    /// Annotate the layer with what a file says, as lines or JSON
    #[arg(long, value_name = "FILE", help_heading = METADATA)]
    annotations_file: Option<PathBuf>,
    /// Write the layer's metadata: digests, size, media type, annotations, history
    #[arg(long, value_name = "FILE", help_heading = METADATA)]
    metadata: Option<PathBuf>,
    /// Metadata for everything: an object of mode, uid, gid, uname, gname, mtime, `pax_records`
    #[arg(long, value_name = "JSON", help_heading = ENTRIES)]
    default_metadata: Option<String>,
    /// Metadata for one path; a path that is not in the layer is an error
    #[arg(long, value_name = "PATH=JSON", help_heading = ENTRIES)]
    file_metadata: Vec<KeyAndValue>,
    /// What the image's history says of the layer
    #[arg(long, value_name = "TEXT", help_heading = METADATA)]
    history: Option<String>,
    /// Give every directory on the way to an entry an entry of its own
    #[arg(long, help_heading = ENTRIES)]
    create_parent_directories: bool,
    /// `full`, or `deduplicate_symlink`: equal trees become symlinks to the first
    #[arg(long, value_name = "HOW", default_value = "full", help_heading = ENTRIES)]
    layer_tree_artifact_handling: Trees,
    /// `auto`: equal files become hard links; `off`: they do not
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = ENTRIES)]
    hardlinks: Links,
    #[command(flatten)]
    later: LaterFlags,
    /// Where the layer goes; `-` is standard output
    #[arg(help_heading = None::<&'static str>)]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Links {
    Auto,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Trees {
    DeduplicateSymlink,
    Full,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        self.later.refuse_or_warn(context)?;
        let codec = match &*self.format {
            "" => encoding::codec_of_path(&self.output),
            name => encoding::codec("--format", name)?,
        };
        // What eStargz cannot be is told of with its own words first.
        let mut format = self.encoding.format(context, codec)?;
        let encode_options = self.encoding.options(context, codec)?;
        encoding::warn_of_name(context, &self.output, codec);
        let plan = self.plan(context)?;
        for warning in plan.warnings() {
            context.report.warn(warning);
        }
        self.encoding.prioritize(&mut format, &plan)?;
        let output = Pending::create(context, &self.output)?;
        let (written, output) = imglayer::write_layer_as(&plan, &format, &encode_options, output)?;
        self.encoding.warn_of_list(context, &written);
        let mut outputs = Outputs::default();
        outputs.add(output);
        let metadata = self.layer_metadata(context, written.metadata)?;
        outputs.add_bytes_if(context, self.metadata.as_deref(), &metadata)?;
        self.later.add_content_manifest(context, &mut outputs)?;
        outputs.commit(context)
    }
}

impl Arguments {
    fn plan(&self, context: &Context) -> Result<Plan, Failure> {
        let mut builder = PlanBuilder::new(self.plan_options(context)?);
        let mut import = ImportOptions::default();
        // A tar that is imported may be a layer, and then its whiteouts are meant.
        import.whiteouts = true;
        for tar in &self.import_tar {
            builder.import_tar(context.path(tar), &import)?;
        }
        let contested = Contested::find(|visit| {
            let mut visit_input = |input: Input| {
                visit(&input.path);
                Ok(())
            };
            self.each_input(context, &mut visit_input)?;
            self.executables().try_for_each(visit_input)
        })?;
        let mut inputs = Inputs::new(&mut builder, context);
        self.each_input(context, &mut |input| inputs.add(contested.settle(input)))?;
        inputs.flush()?;
        for executable in self.executables() {
            self.add_executable(&mut builder, context, contested.settle(executable))?;
        }
        self.warn_of_unused_runfiles(context);
        self.add_links_and_empty_files(&mut builder, context)?;
        for flag in &self.file_metadata {
            let path = LayerPath::parse(&flag.key).explain(|| "--file-metadata")?;
            let what = format!("--file-metadata {path}");
            builder.metadata(path, metadata::parse(&what, &flag.value)?)?;
        }
        Ok(builder.finish()?)
    }

    fn plan_options(&self, context: &Context) -> Result<PlanOptions, Failure> {
        let mut options = PlanOptions::default();
        options.create_parents = self.create_parent_directories;
        if let Some(json) = self.default_metadata.as_ref().filter(|it| !it.is_empty()) {
            options.default_metadata = metadata::parse("--default-metadata", json)?;
        }
        options.hardlinks = match self.hardlinks {
            Links::Auto => Hardlinks::Auto,
            Links::Off => Hardlinks::Off,
        };
        // A build marks its inputs executable or not depending on where an action runs.
        options.modes = ModePolicy::Fixed(0o755);
        options.spool_directory = Some(encoding::spool_directory(&context.path(&self.output)));
        options.trees = match self.layer_tree_artifact_handling {
            Trees::DeduplicateSymlink => TreeHandling::DeduplicateBySymlink,
            Trees::Full => TreeHandling::Full,
        };
        Ok(options)
    }

    /// Reads the inputs that are no executables, in their order, one at a time.
    fn each_input(
        &self,
        context: &Context,
        visit: &mut dyn FnMut(Input) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.add
            .iter()
            .map(Input::of_flag)
            .try_for_each(&mut *visit)?;
        for file in &self.add_from_file {
            let mut lines = Lines::open_to_read_again(context, "--add-from-file", file)?;
            let mut line = Vec::new();
            while lines.next(&mut line)? {
                visit(Input::of_line(lines.source(&line)?))?;
            }
        }
        for file in &self.place_files {
            place_files::read(context, file)?
                .into_iter()
                .try_for_each(&mut *visit)?;
        }
        Ok(())
    }

    fn executables(&self) -> impl Iterator<Item = Input> {
        self.executable.iter().map(Input::of_flag)
    }

    fn add_executable(
        &self,
        builder: &mut PlanBuilder,
        context: &Context,
        executable: Input,
    ) -> Result<(), Failure> {
        let host = executable.source.clone();
        let directory = [&*executable.path, b".runfiles/"].concat();
        let mut inputs = Inputs::new(builder, context);
        inputs.add(executable)?;
        if let Some(runfiles) = self.runfiles.iter().find(|flag| *flag.name == *host) {
            // An executable that is not there is told of before what is wrong with its runfiles.
            inputs.flush()?;
            for line in param_file::read_sources(context, "--runfiles", &runfiles.file)? {
                let path = [&*directory, &*line.path].concat();
                let path = destinations::clean(&path);
                inputs.add(Input {
                    path,
                    ..Input::of_line(line)
                })?;
            }
        }
        inputs.flush()
    }

    /// Says which runfiles belong to no executable: most likely one path is written in two ways.
    fn warn_of_unused_runfiles(&self, context: &Context) {
        for flag in &self.runfiles {
            if !self.executable.iter().any(|it| *it.file == *flag.name) {
                let name = flag.name.display();
                context.report.warn(format_args!(
                    "--runfiles {name}: ignored, there is no --executable PATH={name}"
                ));
            }
        }
    }

    fn add_links_and_empty_files(
        &self,
        builder: &mut PlanBuilder,
        context: &Context,
    ) -> Result<(), Failure> {
        for link in &self.symlink {
            let path =
                LayerPath::parse_rooted(sys::bytes_of(&link.name)).explain(|| "--symlink")?;
            builder.symlink(path, sys::bytes_of(link.file.as_os_str()))?;
        }
        for file in &self.symlinks_from_file {
            for (path, target) in param_file::read_symlinks(context, file)? {
                builder.symlink(path, target)?;
            }
        }
        for file in &self.symlink_pairs_from_file {
            for (path, target) in param_file::read_symlink_pairs(context, file)? {
                builder.symlink(path, target)?;
            }
        }
        for file in &self.empty_files_from_file {
            for path in param_file::read_paths(context, file)? {
                builder.empty_file(path)?;
            }
        }
        Ok(())
    }

    fn layer_metadata(
        &self,
        context: &Context,
        mut metadata: imgcore::LayerMetadata,
    ) -> Result<Vec<u8>, Failure> {
        let file = self.annotations_file.as_deref();
        // What the layer's form says of itself stands over what the caller says.
        let mut annotations = description::annotations(context, file, &self.annotation)?;
        annotations.append(&mut metadata.annotations);
        metadata.annotations = annotations;
        description::derive_from_diff_id(&mut metadata.annotations, metadata.diff_id);
        metadata.history = description::history(self.history.as_deref());
        if let Some(media_type) = self.media_type.as_deref().filter(|text| !text.is_empty()) {
            metadata.media_type = MediaType::from(media_type);
        }
        Ok(metadata.to_json_bytes())
    }
}
