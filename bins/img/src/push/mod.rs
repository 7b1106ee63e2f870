//! What `img push`, `img build --push` and `img deploy` share: how images are pushed, and what is said about it.

mod destinations;
mod shown;

use imgpush::{
    Batch, ExistingTags, Image, Location, MountMode, Options, Report, VerifyExisting, dry_run,
};

pub(crate) use self::destinations::destinations;
pub(crate) use self::shown::{reference, summary, tell};
use crate::cli::value::Integer;
use crate::context::Context;
use crate::network::{Display, Network};
use crate::report::Failure;

/// How images are pushed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PushArguments {
    /// How many requests are in flight at once
    #[arg(short, long, value_name = "N", default_value = "8")]
    jobs: Integer,
    /// What is asked for below a manifest that the registry has
    #[arg(long, value_name = "WHAT", default_value = "children")]
    verify_existing: Verify,
    /// Whether layers are taken over from other repositories of the registry
    #[arg(long, value_name = "HOW", default_value = "auto")]
    mount: Mount,
    /// Whether tags that exist may get another digest
    #[arg(long, value_name = "HOW", default_value = "move")]
    existing_tags: Tags,
}

impl Default for PushArguments {
    fn default() -> Self {
        Self {
            jobs: Integer(8),
            verify_existing: Verify::Children,
            mount: Mount::Auto,
            existing_tags: Tags::Move,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Verify {
    /// Everything, layers too
    All,
    /// The manifests that an index leads to
    Children,
    /// Nothing: what has its digest is complete
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mount {
    /// Where it may work; otherwise they are sent
    Auto,
    /// Never
    Off,
    /// Where there is a place to take them from, and a refusal is an error
    Require,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Tags {
    /// No: that is an error
    Keep,
    /// Yes, unless the registry refuses
    Move,
}

impl PushArguments {
    /// Returns the options of the library.
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::default();
        options.jobs = usize::try_from(self.jobs.0).unwrap_or(1).max(1);
        options.verify_existing = match self.verify_existing {
            Verify::All => VerifyExisting::All,
            Verify::Children => VerifyExisting::Children,
            Verify::None => VerifyExisting::None,
        };
        options.mount = match self.mount {
            Mount::Auto => MountMode::Auto,
            Mount::Off => MountMode::Off,
            Mount::Require => MountMode::Require,
        };
        options.existing_tags = match self.existing_tags {
            Tags::Keep => ExistingTags::Keep,
            Tags::Move => ExistingTags::Move,
        };
        options
    }
}

/// What a person sees of a push.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ShowArguments {
    /// Prints what would be done, and does nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How progress is shown
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Display,
    /// Writes what happens as lines of JSON to standard output
    #[arg(long)]
    pub(crate) json: bool,
}

impl ShowArguments {
    /// Returns how progress is shown. A worker answers with references alone.
    pub(crate) fn display(&self, context: &Context) -> Display {
        if self.json {
            Display::Json
        } else if context.report.owns_stdout() {
            self.progress
        } else {
            Display::None
        }
    }
}

/// Pushes images, and shows how that goes on. The report says what came of each.
///
/// # Errors
///
/// Fails if standard output cannot be written.
pub(crate) fn push(
    context: &Context,
    network: &Network,
    images: Vec<Image>,
    options: &Options,
    display: Display,
) -> Result<Report, Failure> {
    network.watch_push(context, display, |progress| {
        let pushing = imgpush::push(network.client(), images, options, progress);
        Ok(network.run(pushing))
    })
}

/// Prints what pushes would do, of all groups of images.
///
/// # Errors
///
/// Fails if some of it is refused.
pub(crate) fn print_plans<'a>(
    context: &Context,
    network: &Network,
    groups: impl IntoIterator<Item = (Vec<Image>, &'a Options)>,
    as_json: bool,
) -> Result<(), Failure> {
    let mut refusals = 0;
    for (images, options) in groups {
        let plan = network.run(async {
            let batch = Batch::read(images).await;
            dry_run(network.client(), &batch, options).await
        });
        if as_json {
            let json = plan.to_json();
            let json = String::from_utf8_lossy(&json);
            context.report.print(format_args!("{json}\n"))?;
        } else {
            context.report.print(&plan)?;
        }
        refusals += plan.refusals().count();
    }
    match refusals {
        0 => Ok(()),
        1 => Err(Failure::new("this would be refused")),
        count => Err(Failure::new(format!("{count} things would be refused"))),
    }
}

/// Adds reports up.
pub(crate) fn merged(reports: impl IntoIterator<Item = Report>) -> Report {
    let mut reports = reports.into_iter();
    let mut all = reports.next().unwrap_or_default();
    for report in reports {
        all.images.extend(report.images);
        for (sum, part) in [
            (&mut all.skipped, report.skipped),
            (&mut all.mounted, report.mounted),
            (&mut all.sent, report.sent),
        ] {
            sum.blobs += part.blobs;
            sum.bytes += part.bytes;
        }
        all.written += report.written;
        all.unchanged += report.unchanged;
        for (name, bytes) in report.bytes_by_source {
            *all.bytes_by_source.entry(name).or_default() += bytes;
        }
        for (method, count) in report.requests {
            *all.requests.entry(method).or_default() += count;
        }
    }
    all
}

/// Fails if an image was not pushed, with its reason; says the reasons of several one by one before.
///
/// # Errors
///
/// See above.
pub(crate) fn check(context: &Context, report: &Report) -> Result<(), Failure> {
    let failed: Vec<_> = report.images.iter().filter(|it| !it.is_pushed()).collect();
    let failure = |image: &imgpush::ImageReport, error: &imgpush::Error| {
        let name = name(&image.destination, &image.tags);
        explained(error).in_front(name)
    };
    match failed.as_slice() {
        [] => Ok(()),
        [image] if image.errors.len() == 1 => Err(failure(image, &image.errors[0])),
        images => {
            for image in images {
                for error in &image.errors {
                    context.report.failure(&failure(image, error));
                }
            }
            let (failed, all) = (images.len(), report.images.len());
            let images = if all == 1 { "image" } else { "images" };
            Err(Failure::new(format!(
                "{failed} of {all} {images} not pushed"
            )))
        }
    }
}

/// Adds what a person can do about a blob that is nowhere.
fn explained(error: &imgpush::Error) -> Failure {
    let failure = Failure::from(error.clone());
    match error.kind() {
        imgpush::ErrorKind::NoSource { .. } => failure.hint(
            "an image that was pulled without its layers, or for some platforms, is not whole: \
             pull it whole, or name a repository of the registry that has the rest with --mount-from",
        ),
        _ => failure,
    }
}

/// Names an image as it was to be called.
fn name(to: &Location, tags: &[imgcore::Tag]) -> String {
    let tags: Vec<&str> = tags.iter().map(imgcore::Tag::as_str).collect();
    match tags.as_slice() {
        [] => to.to_string(),
        tags => format!("{to}:{}", tags.join(",")),
    }
}
