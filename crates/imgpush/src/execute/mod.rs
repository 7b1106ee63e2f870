//! Carrying out a plan: no more requests at once than there are jobs, each step after those that it needs.

mod artificial;
mod blobs;
mod graph;
mod manifests;
mod referrers;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use imgregistry::{Client, Remote, TagOrDigest};
use tokio::sync::Mutex;

use self::graph::{Graph, Phase, Turn};
use self::watch::Requests;
use crate::report::{Effect, cause};
use crate::supply::Tally;
use crate::{
    Action, Batch, Error, Event, Image, Location, Options, Plan, Progress, Report, Step, plan,
    survey,
};

/// Pushes images: reads their documents, asks the registries what they have, decides, and does what is to be done.
///
/// What fails does not stop the rest, unless the rest needs it: the report has an outcome for each image. A push that
/// failed can simply be run again: what arrived is not sent again.
///
/// # Examples
///
/// ```no_run
/// use std::sync::Arc;
/// use imgpush::{Image, Location, Options, Progress, Sources, push};
/// use imgstore::{OciLayout, Selector};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let layout = OciLayout::open("app")?;
/// let root = layout.index()?.select(&Selector::Only)?.remove(0);
/// let to = Location::new("registry.example".parse()?, "team/app".parse()?);
/// let mut image = Image::new(root, to, Sources::of("app", Arc::new(layout)));
/// image.tags.push("v1".parse()?);
///
/// let client = imgregistry::Client::builder().build()?;
/// let report = push(&client, [image], &Options::default(), &Progress::default()).await;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// Dropping the future ends the requests in flight. What arrived stays; no tag points to an image that is not whole.
pub async fn push(
    client: &Client,
    images: impl IntoIterator<Item = Image>,
    options: &Options,
    progress: &Progress,
) -> Report {
    let batch = Batch::read(images).await;
    // Those of the survey and those of the execution are counted in one place.
    let requests = Arc::new(Requests::default());
    let scoped = client.scoped(options.jobs, Arc::clone(&requests) as _);
    let holdings = survey(&scoped, &batch, options).await;
    let plan = plan(&batch, &holdings, options);
    carry_out(client, &requests, &batch, &plan, options, progress).await
}

/// Carries out a plan that was made of this batch with these options.
///
/// # Cancel safety
///
/// That of [`push`].
pub async fn execute(
    client: &Client,
    batch: &Batch,
    plan: &Plan,
    options: &Options,
    progress: &Progress,
) -> Report {
    let requests = Arc::new(Requests::default());
    carry_out(client, &requests, batch, plan, options, progress).await
}

/// Carries out a plan, and adds its requests to those that were counted before.
async fn carry_out(
    client: &Client,
    requests: &Arc<Requests>,
    batch: &Batch,
    plan: &Plan,
    options: &Options,
    progress: &Progress,
) -> Report {
    let jobs = options.jobs.max(1);
    let scoped = || client.scoped(jobs, Arc::clone(requests) as _);
    let executor = Executor {
        remotes: remotes(&scoped(), plan),
        // A ceiling of its own for what is read: a blob on its way between two registries takes a request to each, and
        // must not wait for a place that another such blob holds.
        reading: scoped(),
        tally: Arc::default(),
        listing: Mutex::default(),
        batch,
        plan,
        options,
        progress,
    };
    executor.announce();
    let effects = executor.run(jobs).await;
    let mut report = Report::new(batch, plan, &effects);
    report.bytes_by_source = executor.tally.by_source();
    report.requests = requests.by_method();
    report
}

/// The repository of each location, or why it has none.
type Remotes = HashMap<Arc<Location>, Result<Remote, Error>>;

fn remotes(client: &Client, plan: &Plan) -> Remotes {
    let mut remotes = Remotes::new();
    for step in plan.steps() {
        if !remotes.contains_key(&step.to) {
            let to = &step.to;
            let remote = client.repository(&to.registry, &to.repository);
            let remote = remote
                .map(|remote| remote.without_mirrors())
                .map_err(|error| Error::registry(format!("{to} cannot be reached"), error));
            remotes.insert(Arc::clone(to), remote);
        }
    }
    remotes
}

/// What the steps share.
struct Executor<'a> {
    remotes: Remotes,
    reading: Client,
    tally: Arc<Tally>,
    /// Held by whoever adds to a list of referrers.
    listing: Mutex<()>,
    batch: &'a Batch,
    plan: &'a Plan,
    options: &'a Options,
    progress: &'a Progress,
}

/// Returns how many requests a turn may take. What takes more than there are jobs goes alone.
fn room(jobs: usize, in_flight: usize) -> usize {
    if in_flight == 0 {
        usize::MAX
    } else {
        jobs - in_flight
    }
}

/// How a turn of a step ended.
enum Outcome {
    /// The step is done, or failed.
    Ended(Effect),
    /// The blob is not there; it takes so many requests at once to bring it.
    Missing(usize),
}

impl Executor<'_> {
    fn announce(&self) {
        let steps = self.plan.steps();
        let blobs = || {
            steps.iter().filter_map(|step| match &step.action {
                Action::Blob(blob) if !step.is_on_demand => Some(&blob.blob),
                _ => None,
            })
        };
        let manifests = steps.iter();
        let manifests = manifests.filter(|step| matches!(step.action, Action::Manifest(_)));
        self.progress.tell(Event::Planned {
            blobs: blobs().count(),
            manifests: manifests.count(),
            bytes: blobs().map(|blob| blob.size).sum(),
        });
    }

    /// Takes all steps; returns what came of each. Those that were never taken have no effect.
    async fn run(&self, jobs: usize) -> Vec<Option<Effect>> {
        let mut graph = Graph::new(self.plan);
        let mut effects: Vec<Option<Effect>> = Vec::new();
        effects.resize_with(self.plan.steps().len(), || None);
        let mut running = FuturesUnordered::new();
        let mut in_flight = 0;
        loop {
            while let Some(turn) = graph.next(room(jobs, in_flight)) {
                let weight = turn.phase.weight().min(jobs);
                in_flight += weight;
                let home = self.home(&graph, &effects, turn);
                running.push(async move { (turn, weight, self.take(turn, home).await) });
            }
            let Some((turn, weight, outcome)) = running.next().await else {
                return effects;
            };
            in_flight -= weight;
            match outcome {
                Outcome::Missing(weight) => self.go_on(&mut graph, turn.step, weight),
                Outcome::Ended(effect) => {
                    self.tell_failure(turn.step, &effect);
                    graph.end(turn.step, !effect.is_failed());
                    effects[turn.step] = Some(effect);
                }
            }
        }
    }

    /// Makes a blob that is missing come to its repository: when the repository has it that it is mounted from.
    fn go_on(&self, graph: &mut Graph, step: usize, weight: usize) {
        let phase = Phase::Missing(weight);
        let turn = Turn { step, phase };
        match self.mounted_after(step) {
            Some(after) => graph.park(turn, after),
            None => graph.again(turn),
        }
    }

    /// Returns the step that brings a blob to where it is mounted from.
    fn mounted_after(&self, step: usize) -> Option<usize> {
        match &self.plan.steps()[step].action {
            Action::Blob(blob) => blob.mount.as_ref()?.after,
            _ => None,
        }
    }

    /// Returns why a blob cannot be mounted from where it is sent first, if that failed.
    fn home(
        &self,
        graph: &Graph,
        effects: &[Option<Effect>],
        turn: Turn,
    ) -> Result<(), Option<Error>> {
        match self.mounted_after(turn.step) {
            Some(after) if turn.phase != Phase::Start && !graph.is_done(after) => {
                Err(cause(self.plan, effects, after))
            }
            _ => Ok(()),
        }
    }

    async fn take(&self, turn: Turn, home: Result<(), Option<Error>>) -> Outcome {
        let step = &self.plan.steps()[turn.step];
        let remote = match &self.remotes[&step.to] {
            Ok(remote) => remote,
            Err(error) => return Outcome::Ended(Effect::Failed(error.clone())),
        };
        let taken = match (&step.action, turn.phase) {
            (Action::Blob(blob), Phase::Start) => return self.look(step, blob, remote).await,
            (Action::Blob(blob), Phase::Missing(_)) => self.bring(step, blob, remote, home).await,
            (Action::Manifest(manifest), _) => self.write(step, manifest, remote).await,
            (Action::Artificial(artificial), _) => artificial::write(artificial, remote).await,
        };
        Outcome::Ended(taken.unwrap_or_else(Effect::Failed))
    }

    fn tell_failure(&self, step: usize, effect: &Effect) {
        let Effect::Failed(error) = effect else {
            return;
        };
        let step: &Step = &self.plan.steps()[step];
        let what = match &step.action {
            Action::Artificial(it) => it.blob.digest.to_string(),
            Action::Blob(it) => it.blob.digest.to_string(),
            Action::Manifest(it) => match &it.at {
                TagOrDigest::Tag(tag) => tag.to_string(),
                TagOrDigest::Digest(digest) => digest.to_string(),
            },
        };
        self.progress.tell(Event::Failed {
            what,
            to: Arc::clone(&step.to),
            reason: imgstore::with_causes(error),
        });
    }
}
