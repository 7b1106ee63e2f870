//! What a person sees while blobs are on their way: bars on a terminal, lines elsewhere, or JSON for programs.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::mpsc;

use clap::ValueEnum;
use imgcore::Digest;
use imgpull::{Event, From, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::events::Line;
use super::is_on;
use super::notices::{Listener, Notice, Notices};
use crate::context::Context;
use crate::credentials;
use crate::report::Failure;

/// Smaller blobs are there before anybody could read their bar.
const SMALLEST_BAR: u64 = 256 * 1024;
/// So many bytes pass between two lines of JSON about one blob.
const STEP: u64 = 8 * 1024 * 1024;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Display {
    /// Bars on a terminal, lines elsewhere
    #[default]
    Auto,
    /// Bars
    Bar,
    /// A line for each blob
    Log,
    /// Nothing
    None,
    /// Lines of JSON on standard output
    #[value(skip)]
    Json,
}

/// What comes to be shown.
#[derive(Debug)]
pub(super) enum Shown<E> {
    /// Nothing more comes.
    End,
    Event(E),
    Notice(Notice),
}

/// An event that can be shown in each of the ways.
pub(super) trait ShownEvent: Send + 'static {
    /// What a person should know even where nothing is shown.
    fn warn(&self, context: &Context);

    /// The line for a reader of logs; `None` where there is none.
    fn log(&self) -> Option<String>;

    /// The line of JSON; `None` for an event that this program does not know.
    fn json(&self) -> Option<serde_json::Result<String>>;

    /// What it says about a blob that is on its way.
    fn transfer(&self) -> Option<Transfer>;
}

/// A blob on its way. The keys tell several ways apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// So many of its bytes are there.
    At(String, u64),
    /// It is not coming any more.
    Dropped(String),
    /// It is there, with a word about how that came.
    Ended(String, &'static str),
    Started {
        key: String,
        digest: Digest,
        size: u64,
    },
}

/// Runs something that tells its progress, and shows that. For work with a client there is
/// [`Network::watch`](super::Network::watch), which also shows what that says.
///
/// # Errors
///
/// Those of `work`, and that standard output cannot be written.
pub(crate) fn watch<T>(
    context: &Context,
    display: Display,
    work: impl FnOnce(&Progress) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let make = |tell: Tell<Event>| Progress::new(tell);
    watch_with(context, display, None, make, work)
}

/// Runs a load, and shows its progress.
///
/// # Errors
///
/// As [`watch`].
pub(crate) fn watch_load<T>(
    context: &Context,
    display: Display,
    work: impl FnOnce(&imgload::Progress) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let make = |tell: Tell<imgload::Event>| imgload::Progress::new(tell);
    watch_with(context, display, None, make, work)
}

/// Takes the events of some work.
pub(super) type Tell<E> = Box<dyn Fn(E) + Send + Sync>;

/// Shows progress, and what a client says.
pub(super) fn watch_with<E: ShownEvent, P, T>(
    context: &Context,
    display: Display,
    notices: Option<&Notices>,
    make: impl FnOnce(Tell<E>) -> P,
    work: impl FnOnce(&P) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let variables = credentials::environment();
    let is_set = |name| variables.text(name).is_some_and(is_on);
    let display = choose(
        display,
        variables.text("IMG_PROGRESS"),
        is_set("NO_PROGRESS"),
        std::io::stderr().is_terminal() && !is_set("NO_INTERACTIVE"),
    )?;
    let has_colours = variables.value("NO_COLOR").is_none();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let shown = scope.spawn(move || show(context, display, has_colours, receiver));
        let end = sender.clone();
        if let Some(notices) = notices {
            let sender = sender.clone();
            notices.tell_to(Some(Listener::new(move |notice| {
                // Without a receiver nobody wants to know.
                let _ = sender.send(Shown::Notice(notice));
            })));
        }
        let progress = make(Box::new(move |event| {
            let _ = sender.send(Shown::Event(event));
        }));
        let done = work(&progress);
        if let Some(notices) = notices {
            notices.tell_to(None);
        }
        // Some part of what the work made may keep its side of the channel.
        let _ = end.send(Shown::End);
        let shown = shown.join().unwrap_or(Ok(()));
        // Why the work failed says more than why nobody could read about it.
        done.and_then(|value| shown.map(|()| value))
    })
}

/// Decides by flag, variables and terminal, in this order.
fn choose(
    flag: Display,
    variable: Option<&str>,
    is_off: bool,
    is_terminal: bool,
) -> Result<Display, Failure> {
    if flag != Display::Auto {
        return Ok(flag);
    }
    let wanted = match variable {
        None => Display::Auto,
        Some(text) => Display::from_str(text, true).map_err(|_| {
            Failure::new(format!("IMG_PROGRESS is `{text}`"))
                .hint("set it to auto, bar, log or none")
        })?,
    };
    Ok(match wanted {
        _ if is_off => Display::None,
        Display::Auto if is_terminal => Display::Bar,
        Display::Auto => Display::Log,
        other => other,
    })
}

fn show<E: ShownEvent>(
    context: &Context,
    display: Display,
    has_colours: bool,
    all: mpsc::Receiver<Shown<E>>,
) -> Result<(), Failure> {
    let all = all
        .into_iter()
        .take_while(|shown| !matches!(shown, Shown::End));
    match display {
        Display::Bar => Bars::new(has_colours).show(context, all),
        Display::Json => return json(context, all),
        Display::None => all.for_each(|shown| match shown {
            Shown::Event(event) => event.warn(context),
            Shown::Notice(notice) => notice.tell(&context.report, false),
            Shown::End => {}
        }),
        Display::Auto | Display::Log => all.for_each(|shown| match shown {
            Shown::Event(event) => log(context, &event),
            Shown::Notice(notice) => notice.tell(&context.report, true),
            Shown::End => {}
        }),
    }
    Ok(())
}

fn log<E: ShownEvent>(context: &Context, event: &E) {
    if let Some(line) = event.log() {
        context.report.error_text(format_args!("{line}\n"));
    }
    event.warn(context);
}

/// Writes lines of JSON, but not one for each chunk.
fn json<E: ShownEvent>(
    context: &Context,
    all: impl Iterator<Item = Shown<E>>,
) -> Result<(), Failure> {
    let mut told: HashMap<String, u64> = HashMap::new();
    for shown in all {
        if let Shown::Event(event) = &shown
            && let Some(Transfer::At(key, offset)) = event.transfer()
        {
            let told = told.entry(key).or_default();
            // What goes back is sent again.
            if offset >= *told && offset < told.saturating_add(STEP) {
                continue;
            }
            *told = offset;
        }
        let line = match &shown {
            Shown::Event(event) => event.json(),
            Shown::Notice(notice) => Some(serde_json::to_string(&Line::of_notice(notice))),
            Shown::End => None,
        };
        if let Some(line) = line {
            context.report.print(format_args!("{}\n", line?))?;
        }
    }
    Ok(())
}

/// A bar for each blob that is on its way.
struct Bars {
    all: MultiProgress,
    style: ProgressStyle,
    running: HashMap<String, ProgressBar>,
}

impl Bars {
    fn new(has_colours: bool) -> Self {
        let bar = if has_colours {
            "{bar:30.cyan/dim}"
        } else {
            "{bar:30}"
        };
        let template = format!("{{prefix}} {bar} {{bytes:>10}} of {{total_bytes:<10}} {{msg}}");
        let style = ProgressStyle::with_template(&template);
        Self {
            all: MultiProgress::new(),
            style: style.unwrap_or_else(|_| ProgressStyle::default_bar()),
            running: HashMap::new(),
        }
    }

    fn show<E: ShownEvent>(mut self, context: &Context, all: impl Iterator<Item = Shown<E>>) {
        for shown in all {
            match shown {
                Shown::Event(event) => self.update(context, &event),
                Shown::Notice(notice) => {
                    self.all.suspend(|| notice.tell(&context.report, true));
                }
                Shown::End => {}
            }
        }
    }

    fn update<E: ShownEvent>(&mut self, context: &Context, event: &E) {
        match event.transfer() {
            Some(Transfer::Started { key, digest, size }) if size >= SMALLEST_BAR => {
                let bar = self.all.add(ProgressBar::new(size));
                bar.set_style(self.style.clone());
                bar.set_prefix(short(&digest));
                self.running.insert(key, bar);
            }
            Some(Transfer::Started { .. }) => {}
            Some(Transfer::At(key, offset)) => {
                if let Some(bar) = self.running.get(&key) {
                    bar.set_position(offset);
                }
            }
            Some(Transfer::Ended(key, how)) => {
                if let Some(bar) = self.running.remove(&key) {
                    bar.set_position(bar.length().unwrap_or_default());
                    bar.set_message(how);
                    bar.finish();
                }
            }
            Some(Transfer::Dropped(key)) => {
                if let Some(bar) = self.running.remove(&key) {
                    bar.finish_and_clear();
                }
                self.all.suspend(|| event.warn(context));
            }
            None => self.all.suspend(|| event.warn(context)),
        }
    }
}

impl ShownEvent for Event {
    fn warn(&self, context: &Context) {
        match self {
            Self::Failed {
                what,
                origin,
                reason,
            } => context.report.note(format_args!(
                "{what} is not to be had from {origin}: {reason}"
            )),
            Self::Skipped { digest, .. } => context.report.warn(format_args!(
                "foreign layer {digest} is left out: no registry has it (--follow-foreign-urls reads it from its own URLs)"
            )),
            _ => {}
        }
    }

    fn log(&self) -> Option<String> {
        let Self::Finished { digest, size, from } = self else {
            return None;
        };
        let from = match from {
            From::Cache => "the cache",
            From::Origin(name) => name,
            _ => return None,
        };
        let size = indicatif::HumanBytes(*size);
        Some(format!("{} {size} from {from}", short(digest)))
    }

    fn json(&self) -> Option<serde_json::Result<String>> {
        Line::of(self).map(|line| serde_json::to_string(&line))
    }

    fn transfer(&self) -> Option<Transfer> {
        Some(match self {
            Self::Started { digest, size } => Transfer::Started {
                key: digest.to_string(),
                digest: *digest,
                size: *size,
            },
            Self::Progress { digest, offset } => Transfer::At(digest.to_string(), *offset),
            Self::Finished { digest, from, .. } => {
                let is_cached = *from == From::Cache;
                let how = if is_cached { "from the cache" } else { "" };
                Transfer::Ended(digest.to_string(), how)
            }
            Self::Skipped { digest, .. } => Transfer::Dropped(digest.to_string()),
            _ => return None,
        })
    }
}

/// As much of a digest as a person compares.
pub(super) fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_variables_and_those_before_the_terminal() {
        let check = |flag, variable, is_off, is_terminal, expected| {
            let chosen = choose(flag, variable, is_off, is_terminal).unwrap();
            assert_eq!(
                chosen, expected,
                "{flag:?} {variable:?} {is_off} {is_terminal}"
            );
        };
        check(Display::Auto, None, false, true, Display::Bar);
        check(Display::Auto, None, false, false, Display::Log);
        check(Display::Auto, None, true, true, Display::None);
        check(Display::Auto, Some("auto"), false, true, Display::Bar);
        check(Display::Auto, Some("log"), false, true, Display::Log);
        check(Display::Auto, Some("bar"), true, true, Display::None);
        check(Display::Bar, Some("none"), true, false, Display::Bar);
        check(Display::Json, None, true, true, Display::Json);
        let failure = choose(Display::Auto, Some("loud"), false, true).unwrap_err();
        insta::assert_snapshot!(failure, @r"
        img: IMG_PROGRESS is `loud`
        hint: set it to auto, bar, log or none
        ");
    }

    #[test]
    fn events_are_lines_of_json() {
        let digest = Digest::sha256_of(b"hello");
        let check = |event: &Event| serde_json::to_string(&Line::of(event).unwrap()).unwrap();
        let finished = Event::Finished {
            digest,
            size: 5,
            from: From::Origin("app@registry.example".into()),
        };
        insta::assert_snapshot!(check(&finished), @r#"{"event":"finished","digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5,"from":"registry","origin":"app@registry.example"}"#);
        let finished = Event::Finished {
            digest,
            size: 5,
            from: From::Cache,
        };
        insta::assert_snapshot!(check(&finished), @r#"{"event":"finished","digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5,"from":"cache"}"#);
        let failed = Event::Failed {
            what: "latest".into(),
            origin: "app@registry.example".into(),
            reason: "connection refused".into(),
        };
        insta::assert_snapshot!(check(&failed), @r#"{"event":"failed","what":"latest","origin":"app@registry.example","reason":"connection refused"}"#);
        let started = Event::Started { digest, size: 5 };
        insta::assert_snapshot!(check(&started), @r#"{"event":"started","digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5}"#);
    }
}
