//! Whether a request that failed is sent again, and after how long.
//!
//! Time and chance are arguments, so that the same history gives the same decision.

mod hint;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

pub use hint::{body_hint, retry_after};

/// How often and how patiently requests are repeated.
///
/// The wait doubles with each attempt from [`base_delay`](Self::base_delay) up to [`max_delay`](Self::max_delay); what
/// the server asks for goes before that, up to the same limit.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::retry::Policy;
///
/// let policy = Policy::default();
/// assert_eq!((policy.max_attempts, policy.max_delay.as_secs()), (6, 60));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// How often a request is sent at most, the first time included. Default 6; 0 counts as 1.
    pub max_attempts: u32,
    /// The wait after the first failure. Default 1 second.
    pub base_delay: Duration,
    /// The longest wait, whatever a server asks for. Default 60 seconds.
    pub max_delay: Duration,
    /// Which part of a wait is up to chance, from 0 to 1. Default 0.2.
    pub jitter: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            jitter: 0.2,
        }
    }
}

impl Policy {
    /// Never sends a request again.
    pub fn never() -> Self {
        Self {
            max_attempts: 1,
            ..Self::default()
        }
    }

    /// Returns the wait after the attempt of this number, counted from 1; `chance` is from 0 to 1.
    fn backoff(&self, attempt: u32, chance: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let delay = self
            .base_delay
            .saturating_mul(1 << doublings)
            .min(self.max_delay);
        // Shorter rather than longer, so that the limit stays one.
        delay.mul_f64(1.0 - self.share(chance))
    }

    /// Waits as long as the server wants, and a little more: all that were sent away together must not come back so.
    fn hinted(&self, hint: Duration, chance: f64) -> Duration {
        let more = hint.min(self.base_delay).mul_f64(self.share(chance));
        hint.saturating_add(more).min(self.max_delay)
    }

    fn share(&self, chance: f64) -> f64 {
        let share = self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        if share.is_nan() { 0.0 } else { share }
    }
}

/// What kind of request it is, as far as repeating it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The same request may be sent again: reading, deleting, writing a manifest, beginning an upload, asking for a
    /// token.
    Repeatable,
    /// The request moved bytes of an upload: after the wait, the upload's
    /// [`Machine`](super::upload::Machine) says what to send.
    Upload,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// There was an answer, and it was no success.
    Status {
        /// Its status.
        status: u16,
        /// Its header `Retry-After`.
        retry_after: Option<&'a str>,
        /// The beginning of its body: some registries say there how long to wait.
        body: &'a str,
    },
    /// There was no answer, or its body broke off.
    Broken(Failure),
}

/// Why there was no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// No connection: refused, reset, or closed before the answer.
    Connection,
    /// Nothing came for too long.
    Stalled,
    /// The body ended early.
    Truncated,
    /// Something that stays: a certificate that is not trusted, an address that is forbidden, a broken answer.
    Permanent,
}

/// What is done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Decision {
    /// The failure is what the caller gets.
    GiveUp,
    /// The request is sent again.
    Retry {
        /// After so long.
        after: Duration,
    },
}

/// Decides what is done about an attempt that failed.
///
/// `attempt` counts from 1 and is the number of the one that failed, `now` is the time that dates in `Retry-After` are
/// compared with, `chance` is any number from 0 to 1.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use imgregistry::protocol::retry::{decide, Class, Decision, Outcome, Policy};
///
/// let outcome = Outcome::Status { status: 429, retry_after: Some("7"), body: "" };
/// let decision = decide(&Policy::default(), Class::Repeatable, outcome, 1, SystemTime::UNIX_EPOCH, 0.0);
/// assert_eq!(decision, Decision::Retry { after: Duration::from_secs(7) });
/// ```
pub fn decide(
    policy: &Policy,
    class: Class,
    outcome: Outcome<'_>,
    attempt: u32,
    now: SystemTime,
    chance: f64,
) -> Decision {
    if attempt >= policy.max_attempts.max(1) || !may_pass(class, outcome) {
        return Decision::GiveUp;
    }
    let hint = match outcome {
        Outcome::Status {
            retry_after: header,
            body,
            ..
        } => header
            .and_then(|header| retry_after(header, now))
            .or_else(|| body_hint(body)),
        Outcome::Broken(_) => None,
    };
    // "At once" is no answer of a server that is in trouble: it gets the wait that it would get without a word.
    let after = match hint.filter(|hint| *hint > Duration::ZERO) {
        Some(hint) => policy.hinted(hint, chance),
        None => policy.backoff(attempt, chance),
    };
    Decision::Retry { after }
}

/// Returns whether the trouble may pass by waiting.
pub(super) fn may_pass(class: Class, outcome: Outcome<'_>) -> bool {
    match outcome {
        Outcome::Broken(failure) => failure != Failure::Permanent,
        Outcome::Status { status, .. } => match status {
            // 499 and 520 to 524 are what proxies say about the server behind them.
            408 | 425 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524 => true,
            // Sporadic on some registries; the upload asks then how far it is.
            416 => class == Class::Upload,
            _ => false,
        },
    }
}
