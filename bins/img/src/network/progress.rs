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
use super::notices::{Notice, Notices};
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
pub(super) enum Shown {
    /// Nothing more comes.
    End,
    Event(Event),
    Notice(Notice),
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
    watch_with(context, display, None, work)
}

/// Shows progress, and what a client says.
pub(super) fn watch_with<T>(
    context: &Context,
    display: Display,
    notices: Option<&Notices>,
    work: impl FnOnce(&Progress) -> Result<T, Failure>,
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
            notices.tell_to(Some(sender.clone()));
        }
        let progress = Progress::new(move |event| {
            // Without a receiver nobody wants to know.
            let _ = sender.send(Shown::Event(event));
        });
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

fn show(
    context: &Context,
    display: Display,
    has_colours: bool,
    all: mpsc::Receiver<Shown>,
) -> Result<(), Failure> {
    let all = all
        .into_iter()
        .take_while(|shown| !matches!(shown, Shown::End));
    match display {
        Display::Bar => Bars::new(has_colours).show(context, all),
        Display::Json => return json(context, all),
        Display::None => all.for_each(|shown| match shown {
            Shown::Event(event) => warn(context, &event),
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

/// Tells what a person should know even where nothing is shown: that a source did not help, and what is left out.
fn warn(context: &Context, event: &Event) {
    match event {
        Event::Failed {
            what,
            origin,
            reason,
        } => context.report.note(format_args!(
            "{what} is not to be had from {origin}: {reason}"
        )),
        Event::Skipped { digest, .. } => context.report.warn(format_args!(
            "foreign layer {digest} is left out: no registry has it (--follow-foreign-urls reads it from its own URLs)"
        )),
        _ => {}
    }
}

fn log(context: &Context, event: &Event) {
    match event {
        Event::Finished { digest, size, from } => {
            let size = indicatif::HumanBytes(*size);
            let from = match from {
                From::Cache => "the cache",
                From::Origin(name) => name,
                _ => return,
            };
            context
                .report
                .error_text(format_args!("{} {size} from {from}\n", short(digest)));
        }
        other => warn(context, other),
    }
}

/// Writes lines of JSON, but not one for each chunk.
fn json(context: &Context, all: impl Iterator<Item = Shown>) -> Result<(), Failure> {
    let mut told: HashMap<Digest, u64> = HashMap::new();
    for shown in all {
        if let Shown::Event(Event::Progress { digest, offset }) = &shown {
            let told = told.entry(*digest).or_default();
            if *offset < told.saturating_add(STEP) {
                continue;
            }
            *told = *offset;
        }
        let line = match &shown {
            Shown::Event(event) => Line::of(event),
            Shown::Notice(notice) => Some(Line::of_notice(notice)),
            Shown::End => None,
        };
        if let Some(line) = line {
            let line = serde_json::to_string(&line)?;
            context.report.print(format_args!("{line}\n"))?;
        }
    }
    Ok(())
}

/// A bar for each blob that is on its way.
struct Bars {
    all: MultiProgress,
    style: ProgressStyle,
    running: HashMap<Digest, ProgressBar>,
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

    fn show(mut self, context: &Context, all: impl Iterator<Item = Shown>) {
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

    fn update(&mut self, context: &Context, event: &Event) {
        match event {
            Event::Started { digest, size } if *size >= SMALLEST_BAR => {
                let bar = self.all.add(ProgressBar::new(*size));
                bar.set_style(self.style.clone());
                bar.set_prefix(short(digest));
                self.running.insert(*digest, bar);
            }
            Event::Progress { digest, offset } => {
                if let Some(bar) = self.running.get(digest) {
                    bar.set_position(*offset);
                }
            }
            Event::Finished { digest, from, .. } => {
                if let Some(bar) = self.running.remove(digest) {
                    bar.set_position(bar.length().unwrap_or_default());
                    if *from == From::Cache {
                        bar.set_message("from the cache");
                    }
                    bar.finish();
                }
            }
            Event::Skipped { digest, .. } => {
                if let Some(bar) = self.running.remove(digest) {
                    bar.finish_and_clear();
                }
                self.all.suspend(|| warn(context, event));
            }
            other => self.all.suspend(|| warn(context, other)),
        }
    }
}

/// As much of a digest as a person compares.
fn short(digest: &Digest) -> String {
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
