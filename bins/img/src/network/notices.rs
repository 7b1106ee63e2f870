//! What the client says on its way that is about no blob: that it waits, and what a registry wants a person to know.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use imgregistry::{Event, Observer};

use crate::report::Report;

/// Shorter waits are over before anybody wonders.
const SHORTEST_TOLD: Duration = Duration::from_secs(1);

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    MirrorFailed {
        host: String,
        reason: String,
    },
    Waiting {
        host: String,
        /// The attempt that failed, from 1.
        attempt: u32,
        pause: Duration,
        reason: String,
        /// Whether a person does not know yet that this host is waited for.
        is_news: bool,
    },
    Warning {
        host: String,
        text: String,
    },
}

impl Notice {
    /// Tells a person. Waits are told by those who show progress, and else only by `--verbose`.
    pub(super) fn tell(&self, report: &Report, shows_progress: bool) {
        match self {
            Self::MirrorFailed { reason, .. } => report.note(format_args!("no help: {reason}")),
            Self::Waiting { is_news: false, .. } => {}
            Self::Waiting { pause, reason, .. } => {
                let seconds = pause.as_secs_f64().round();
                let line = format!("{reason}; trying again in {seconds} s");
                if shows_progress {
                    report.error_text(format_args!("img: {line}\n"));
                } else {
                    report.note(line);
                }
            }
            Self::Warning { host, text } => report.warn(format_args!("{host} says: {text}")),
        }
    }
}

/// Whoever shows progress.
pub(super) struct Listener(Box<dyn Fn(Notice) + Send>);

impl Listener {
    pub(super) fn new(tell: impl Fn(Notice) + Send + 'static) -> Self {
        Self(Box::new(tell))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Hears of the client, and tells whoever shows progress; a person, where nobody does.
#[derive(Debug)]
pub(super) struct Notices {
    report: Report,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    listener: Option<Listener>,
    /// A mirror fails in the same way for each blob.
    failed_mirrors: HashSet<(String, String)>,
    /// Registries repeat a warning with every answer.
    warnings: HashSet<(String, String)>,
    /// Until when each host is waited for, as a person knows.
    waits: HashMap<String, Instant>,
}

impl Notices {
    pub(super) fn new(report: Report) -> Self {
        Self {
            report,
            state: Mutex::default(),
        }
    }

    /// Tells `listener` from now on; `None` tells a person again.
    pub(super) fn tell_to(&self, listener: Option<Listener>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.listener = listener;
    }
}

impl State {
    fn notice(&mut self, event: &Event, now: Instant) -> Option<Notice> {
        match event {
            Event::MirrorFailed { host, reason, .. } => {
                let failure = (host.clone(), reason.clone());
                self.failed_mirrors
                    .insert(failure)
                    .then(|| Notice::MirrorFailed {
                        host: host.clone(),
                        reason: reason.clone(),
                    })
            }
            Event::Waiting {
                host,
                attempt,
                pause,
                reason,
                ..
            } => Some(Notice::Waiting {
                is_news: self.is_news(host, *pause, now),
                host: host.clone(),
                attempt: *attempt,
                pause: *pause,
                reason: reason.clone(),
            }),
            Event::Warning { host, text, .. } => {
                let warning = (host.clone(), text.clone());
                self.warnings.insert(warning).then(|| Notice::Warning {
                    host: host.clone(),
                    text: text.clone(),
                })
            }
            // The keychain itself tells of credentials, and requests and bytes are for nobody to read.
            _ => None,
        }
    }

    /// Ten transfers that wait for one host until the same moment are one wait for a person.
    fn is_news(&mut self, host: &str, pause: Duration, now: Instant) -> bool {
        let Some(end) = now.checked_add(pause) else {
            return true;
        };
        let known = self.waits.get(host);
        if pause < SHORTEST_TOLD || known.is_some_and(|known| end < *known + SHORTEST_TOLD) {
            return false;
        }
        self.waits.insert(host.to_owned(), end);
        true
    }
}

impl Observer for Notices {
    fn observe(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(notice) = state.notice(event, Instant::now()) else {
            return;
        };
        match &state.listener {
            Some(listener) => (listener.0)(notice),
            None => notice.tell(&self.report, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_once_for_all_who_wait() {
        let mut state = State::default();
        let start = Instant::now();
        let mut check = |host: &str, after: u64, pause: u64, expected: bool| {
            let now = start + Duration::from_millis(after);
            let is_news = state.is_news(host, Duration::from_millis(pause), now);
            assert_eq!(is_news, expected, "{host} after {after} for {pause}");
        };
        check("one", 0, 500, false);
        check("one", 0, 60_000, true);
        check("one", 10, 60_000, false);
        check("one", 10, 2_000, false);
        check("two", 10, 60_000, true);
        check("one", 60_000, 30_000, true);
    }

    #[test]
    fn a_person_reads_why_and_how_long() {
        let told = |notice: Notice, shows_progress| {
            let report = Report::captured();
            notice.tell(&report, shows_progress);
            report.into_captured()
        };
        let waiting = |is_news| Notice::Waiting {
            host: "r.example:443".into(),
            attempt: 1,
            pause: Duration::from_secs(60),
            reason: "status 429".into(),
            is_news,
        };
        assert_eq!(
            told(waiting(true), true),
            "img: status 429; trying again in 60 s\n"
        );
        assert_eq!(told(waiting(true), false), "");
        assert_eq!(told(waiting(false), true), "");
        let warning = Notice::Warning {
            host: "r.example:443".into(),
            text: "this tag goes away\u{1b}[2J".into(),
        };
        insta::assert_snapshot!(told(warning, false), @r"img: warning: r.example:443 says: this tag goes away\x1b[2J");
    }
}
