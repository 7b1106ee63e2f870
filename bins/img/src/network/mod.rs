//! Talking to registries: the flags that all commands for it share, and the client that they make.
//!
//! Only commands that need the network come here: a runtime and TLS cost time that a build's thousand small steps do
//! not have.

mod arguments;
mod events;
mod load_events;
mod notices;
mod progress;
mod push_events;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use imgauth::Environment;
use imgcore::{RegistryHost, Repository};
use imgpull::{Cache, Origin, Progress};
use imgregistry::protocol::retry::Policy;
use imgregistry::{Client, Security};
use tokio::runtime::Runtime;

pub(crate) use self::arguments::NetworkArguments;
use self::notices::Notices;
pub(crate) use self::progress::{Display, watch, watch_load};
use crate::context::Context;
use crate::credentials;
use crate::report::{Explain as _, Failure};

/// How many bytes the cache may have unless told otherwise, as in the Go tool of `rules_img`.
const CACHE_LIMIT: u64 = 10 << 30;

/// A client on a runtime of its own.
#[derive(Debug)]
pub(crate) struct Network {
    runtime: Runtime,
    client: Client,
    notices: Arc<Notices>,
    pub(crate) cache: Option<Cache>,
    /// How many bytes the cache may have; `None` for as many as there are.
    cache_limit: Option<u64>,
}

/// What a client is for: there may be a gateway for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Pull,
    /// What is pushed may be read from other registries, by the same way.
    Push,
}

impl Network {
    /// Makes a client that pulls. `hosts` are the registries that the command names, for which `--insecure` stands.
    ///
    /// # Errors
    ///
    /// Fails for settings that cannot be used.
    pub(crate) fn open(
        context: &Context,
        arguments: &NetworkArguments,
        hosts: &[RegistryHost],
    ) -> Result<Self, Failure> {
        Self::open_for(Direction::Pull, context, arguments, hosts)
    }

    /// Makes a client, as [`open`](Self::open) does.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub(crate) fn open_for(
        direction: Direction,
        context: &Context,
        arguments: &NetworkArguments,
        hosts: &[RegistryHost],
    ) -> Result<Self, Failure> {
        let environment = credentials::environment();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers())
            .enable_all()
            .build()
            .explain(|| "cannot start the threads for network and disk")?;
        let guard = runtime.enter();
        let mut builder = arguments.builder(context, &environment, direction)?;
        let is_insecure =
            context.is_insecure() || environment.text("IMG_INSECURE").is_some_and(is_on);
        if is_insecure {
            for host in hosts {
                builder = builder.security(host.clone(), Security::Insecure);
            }
        }
        let notices = Arc::new(Notices::new(context.report.clone()));
        let client = builder
            .retry_policy(policy(&environment)?)
            .observer(Arc::clone(&notices) as _)
            .build()?;
        drop(guard);
        let cache = arguments.cache(context, &environment);
        Ok(Self {
            cache_limit: cache_limit(&environment, cache.as_ref())?,
            cache,
            runtime,
            client,
            notices,
        })
    }

    /// Runs something that tells its progress, and shows that and what the client says: that it waits, and what
    /// registries warn of.
    ///
    /// # Errors
    ///
    /// Those of `work`, and that standard output cannot be written.
    pub(crate) fn watch<T>(
        &self,
        context: &Context,
        display: Display,
        work: impl FnOnce(&Progress) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let make = |tell: progress::Tell<imgpull::Event>| Progress::new(tell);
        progress::watch_with(context, display, Some(&self.notices), make, work)
    }

    /// Runs a push, and shows its progress and what the client says.
    ///
    /// # Errors
    ///
    /// As [`watch`](Self::watch).
    pub(crate) fn watch_push<T>(
        &self,
        context: &Context,
        display: Display,
        work: impl FnOnce(&imgpush::Progress) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let make = |tell: progress::Tell<imgpush::Event>| imgpush::Progress::new(tell);
        progress::watch_with(context, display, Some(&self.notices), make, work)
    }

    /// Runs something that needs the network.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Lets this thread read from registries by itself, until the guard is dropped.
    pub(crate) fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Returns the client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Removes from the cache what was used longest ago, if this command made it more than there may be. That it cannot
    /// be done harms nothing that was fetched.
    pub(crate) fn trim_cache(&self, context: &Context) {
        let (Some(cache), Some(limit)) = (&self.cache, self.cache_limit) else {
            return;
        };
        if !cache.has_grown() {
            return;
        }
        match cache.trim(limit) {
            Ok(trimmed) if trimmed.blobs == 0 => {}
            Ok(trimmed) => context.report.note(format_args!(
                "{} blobs with {} were removed from the cache {}",
                trimmed.blobs,
                indicatif::HumanBytes(trimmed.freed),
                cache.root().display()
            )),
            Err(error) => context.report.note(format_args!("{error}")),
        }
    }

    /// Names a repository as a place to pull from.
    ///
    /// # Errors
    ///
    /// Fails for a host that no URL can name.
    pub(crate) fn origin(
        &self,
        host: &RegistryHost,
        repository: &Repository,
    ) -> Result<Origin, Failure> {
        Ok(self.client.repository(host, repository)?.into())
    }
}

/// Two at least: while one hashes, another receives.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 16))
}

/// Reads how patient the client is.
fn policy(environment: &Environment) -> Result<Policy, Failure> {
    let mut policy = Policy::default();
    if let Some(attempts) = number(environment, "IMG_REGISTRY_RETRY_MAX_ATTEMPTS")? {
        policy.max_attempts = u32::try_from(attempts.max(1)).unwrap_or(u32::MAX);
    }
    if let Some(delay) = duration(environment, "IMG_REGISTRY_RETRY_BASE_DELAY")? {
        policy.base_delay = delay;
    }
    if let Some(delay) = duration(environment, "IMG_REGISTRY_RETRY_MAX_DELAY")? {
        policy.max_delay = delay;
    }
    Ok(policy)
}

/// Reads how many bytes the cache may have. A disk cache of Bazel has a limit of its own, and others' things in it: unless
/// told otherwise, nothing is removed there.
fn cache_limit(environment: &Environment, cache: Option<&Cache>) -> Result<Option<u64>, Failure> {
    const NAME: &str = "IMG_CAS_CACHE_MAX_SIZE";
    match environment.text(NAME) {
        None if cache.is_some_and(Cache::is_shared_with_bazel) => Ok(None),
        None => Ok(Some(CACHE_LIMIT)),
        Some(text) => match parse_size(text.trim()) {
            Some(0) => Ok(None),
            Some(size) => Ok(Some(size)),
            None => Err(Failure::new(format!("{NAME} is `{text}`"))
                .hint("set it to a size like 20GiB or 500MiB, or to 0 for no limit")),
        },
    }
}

/// Reads a number of bytes: `1000`, `500MiB`, `20GiB`.
fn parse_size(text: &str) -> Option<u64> {
    let end = text.find(|it: char| !it.is_ascii_digit());
    let (count, unit) = text.split_at(end.unwrap_or(text.len()));
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "kib" => 10,
        "mib" => 20,
        "gib" => 30,
        "tib" => 40,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn number(environment: &Environment, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = environment.text(name) else {
        return Ok(None);
    };
    let parsed = text.trim().parse();
    parsed
        .map(Some)
        .map_err(|_| Failure::new(format!("{name} is `{text}`")).hint("set it to a number"))
}

/// Reads a time as Go writes it: `500ms`, `2s`, `1m30s`, `1.5s`.
fn duration(environment: &Environment, name: &str) -> Result<Option<Duration>, Failure> {
    let Some(text) = environment.text(name) else {
        return Ok(None);
    };
    parse_duration(text.trim()).map(Some).ok_or_else(|| {
        Failure::new(format!("{name} is `{text}`")).hint("set it to a time like 500ms, 2s or 1m30s")
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let count: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|it: char| it.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        rest = &rest[end..];
        total = total.checked_add(Duration::try_from_secs_f64(count * unit).ok()?)?;
    }
    (!text.is_empty()).then_some(total)
}

/// Reads a variable that turns something on.
fn is_on(text: &str) -> bool {
    !matches!(
        text.trim().to_ascii_lowercase().as_str(),
        "" | "0" | "f" | "false" | "no" | "off"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_has_a_limit_unless_it_is_bazels() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        let limit = |text: Option<&str>| {
            let variables = text.map(|text| ("IMG_CAS_CACHE_MAX_SIZE", text));
            cache_limit(&variables.into_iter().collect(), Some(&cache))
        };
        for (text, expected) in [
            (None, Some(10 << 30)),
            (Some(""), Some(10 << 30)),
            (Some("0"), None),
            (Some("1000"), Some(1000)),
            (Some("5B"), Some(5)),
            (Some(" 500MiB "), Some(500 << 20)),
            (Some("20 gib"), Some(20 << 30)),
            (Some("3TiB"), Some(3 << 40)),
        ] {
            assert_eq!(limit(text).unwrap(), expected, "{text:?}");
        }
        for text in ["GiB", "-1", "1.5GiB", "10GB", "99999999999TiB", "1 0"] {
            limit(Some(text)).unwrap_err();
        }
        insta::assert_snapshot!(limit(Some("much")).unwrap_err(), @r"
        img: IMG_CAS_CACHE_MAX_SIZE is `much`
        hint: set it to a size like 20GiB or 500MiB, or to 0 for no limit
        ");
        fs_err::create_dir(directory.path().join("ac")).unwrap();
        assert_eq!(limit(None).unwrap(), None);
        assert_eq!(limit(Some("1000")).unwrap(), Some(1000));
    }

    #[test]
    fn times_are_read_as_go_writes_them() {
        let check = |text: &str, expected: Option<u64>| {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(parse_duration(text), expected, "{text}");
        };
        check("500ms", Some(500));
        check("2s", Some(2000));
        check("1m30s", Some(90_000));
        check("1.5s", Some(1500));
        check("", None);
        check("5", None);
        check("s", None);
        check("1d", None);
        check("1s1", None);
        check("1..5s", None);
    }
}
