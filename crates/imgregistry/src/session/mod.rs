//! What the client knows of one host: how it is reached, and what it wants to see first.

mod auth;
mod credentials;
mod token;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use imgcore::{RegistryHost, Repository};
use url::Url;

use self::auth::Auth;
use crate::client::{Gateway, Inner, Security};
use crate::error::{Error, Operation, Place, Result};
use crate::exchange::{Answer, Call, Exchange, Failure, PRIVATE_HOST, lasting, private_host};
use crate::protocol::address::{Reach, Rules};
use crate::protocol::retry::{Class, Policy};
use crate::protocol::scope::ScopeSet;
use crate::protocol::url::{Endpoint, Origin, Scheme};
use crate::{Addresses, Role, Route, Verification};

/// Tells a gateway which registry is meant.
const ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-rules_img-original-host");

/// How often a mirror is asked: there is another place to go to.
const MIRROR_ATTEMPTS: u32 = 2;

/// One registry, mirror or gateway, shared by everything that talks to it.
#[derive(Debug)]
pub(crate) struct Session {
    host: RegistryHost,
    role: Role,
    /// The ways to reach it, best first.
    ways: Vec<Way>,
    course: Mutex<Course>,
    gateway: Option<Gateway>,
    auth: Auth,
}

/// Which of the ways is taken.
#[derive(Debug)]
struct Course {
    way: usize,
    /// Whether it has brought an answer.
    is_confirmed: bool,
}

#[derive(Clone, Debug)]
struct Way {
    endpoint: Endpoint,
    verification: Verification,
}

impl Session {
    /// Makes the session of a host. Nothing is sent yet.
    pub(crate) fn new(
        host: &RegistryHost,
        role: Role,
        security: Security,
        gateway: Option<&Gateway>,
    ) -> Result<Self> {
        let ways = match gateway {
            Some(gateway) => vec![Way {
                endpoint: gateway.endpoint().clone(),
                verification: Verification::Required,
            }],
            None => ways(host, security)?,
        };
        Ok(Self {
            host: host.clone(),
            role: if gateway.is_some() {
                Role::Gateway
            } else {
                role
            },
            course: Mutex::new(Course {
                way: 0,
                is_confirmed: ways.len() == 1,
            }),
            ways,
            gateway: gateway.cloned(),
            auth: Auth::default(),
        })
    }

    fn way(&self) -> &Way {
        // The index only ever moves inside of the list.
        self.ways.get(self.course()).unwrap_or(&self.ways[0])
    }

    fn lock(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the way that requests take now.
    pub(crate) fn course(&self) -> usize {
        self.lock().way
    }

    /// Returns whether it is known how the host is reached.
    pub(crate) fn is_settled(&self) -> bool {
        self.lock().is_confirmed
    }

    /// Returns where requests go.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.way().endpoint
    }

    /// Returns the repository as the registry calls it.
    pub(crate) fn name(&self, repository: &Repository) -> Repository {
        match &self.gateway {
            Some(_) => Endpoint::new(&self.host, Scheme::Https)
                .map_or_else(|_| repository.clone(), |own| own.repository(repository)),
            None => self.endpoint().repository(repository),
        }
    }

    /// Returns the host as errors and progress name it.
    pub(crate) fn label(&self) -> String {
        match &self.gateway {
            Some(gateway) => format!("{gateway} for {}", self.host),
            None => self.host.to_string(),
        }
    }

    pub(crate) fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// Returns where an operation on this host happens.
    pub(crate) fn place(&self, operation: Operation, repository: Option<&Repository>) -> Place {
        Place {
            operation,
            repository: repository.map(ToString::to_string),
            subject: None,
            digest: None,
            host: self.label(),
            role: self.role,
        }
    }

    /// Returns the way to the host itself.
    pub(crate) fn route(&self) -> Route {
        Route {
            verification: self.way().verification,
            socket: self
                .gateway
                .as_ref()
                .and_then(Gateway::socket)
                .map(Arc::<Path>::from),
            ..Route::new(self.role)
        }
    }

    /// Returns the way to the host's token server.
    pub(crate) fn route_to_realm(&self, url: &Url, rules: Rules) -> Route {
        if self.is_home(url) {
            return Route {
                role: Role::Token,
                ..self.route()
            };
        }
        // What the user says of a host's certificate is said of its other ports as well, and of no other host.
        let verification = if url.host() == self.endpoint().base().host() {
            self.way().verification
        } else {
            Verification::Required
        };
        Route {
            verification,
            addresses: Addresses::Checked(rules),
            ..Route::new(Role::Token)
        }
    }

    /// Returns whether a URL leads to the host itself, where its credentials may go.
    pub(crate) fn is_home(&self, url: &Url) -> bool {
        let home = self.endpoint().origin();
        home.is_some() && home == Origin::of(url)
    }

    /// Returns the rules for hosts that this one names.
    ///
    /// What comes through a gateway was named by who knows whom: where the gateway is says nothing about that.
    pub(crate) fn reach(&self, client: &Inner) -> Reach {
        match self.gateway {
            Some(_) => Rules::strict().into(),
            None => {
                Reach::from(Rules::of(self.endpoint())).allowing(&self.host, &client.allowed_hosts)
            }
        }
    }

    /// Says how a host on a private network is allowed to this one.
    pub(crate) fn allow_private(&self, host: &str) -> String {
        private_host(PRIVATE_HOST, &self.host, host)
    }

    /// Adds what every request to the host itself carries.
    pub(crate) fn dress(&self, headers: &mut HeaderMap) {
        if self.gateway.is_some()
            && let Ok(host) = HeaderValue::from_str(self.host.as_str())
        {
            headers.insert(ORIGINAL_HOST, host);
        }
    }

    pub(crate) fn policy(&self, client: &Inner) -> Policy {
        let mut policy = client.policy.clone();
        if self.role == Role::Mirror {
            policy.max_attempts = policy.max_attempts.min(MIRROR_ATTEMPTS);
        }
        policy
    }

    /// Puts the scheme that the host speaks into a URL that was built before that was known. Another port of the host is
    /// another server, and whoever named that one named its scheme.
    pub(crate) fn rebase(&self, url: &mut Url) {
        let origin = Origin::of(url);
        let mut origins = self.ways.iter().map(|way| way.endpoint.origin());
        if origin.is_some() && origins.any(|way| way == origin) {
            let base = self.endpoint().base();
            let _ = url.set_scheme(base.scheme());
            let _ = url.set_port(base.port());
        }
    }

    /// Remembers that a way works.
    pub(crate) fn confirm(&self, way: usize) {
        let mut course = self.lock();
        if course.way == way {
            course.is_confirmed = true;
        }
    }

    /// Returns whether another way than the one that a request took is worth an attempt: it is one by which something
    /// comes, where nothing is known to come by the first.
    ///
    /// # Errors
    ///
    /// That it would be the right one if its certificate were to be trusted.
    pub(crate) async fn try_other_scheme(
        &self,
        exchange: Exchange<'_>,
        call: &Call,
        taken: usize,
    ) -> Result<bool, Failure> {
        {
            let course = self.lock();
            // Others may have found it while the request was on its way.
            if course.way != taken || course.is_confirmed {
                return Ok(course.way != taken);
            }
        }
        for next in taken + 1..self.ways.len() {
            let way = &self.ways[next];
            let route = Route {
                verification: way.verification,
                ..self.route()
            };
            let url = way.endpoint.ping();
            let answer = exchange.probe(&url, route, &call.place, call).await;
            match answer {
                Ok(answer) if answer.status != StatusCode::BAD_REQUEST => {
                    let is_turned = self.turn(taken, next);
                    self.learn(&answer);
                    return Ok(is_turned);
                }
                Err(failure) if failure.is_untrusted() => return Err(failure),
                _ => {}
            }
        }
        Ok(self.course() != taken)
    }

    /// Takes another way, unless something has come by the first one meanwhile; returns whether the way is another.
    fn turn(&self, from: usize, to: usize) -> bool {
        let mut course = self.lock();
        if course.way == from && !course.is_confirmed {
            *course = Course {
                way: to,
                is_confirmed: true,
            };
        }
        course.way != from
    }

    /// Returns whether nobody has asked yet how the host wants to be logged in to.
    pub(crate) fn is_unexplored(&self) -> bool {
        self.gateway.is_none() && self.auth.is_unexplored()
    }

    /// Asks the host how it wants to be logged in to; returns whether it does. What may pass is tried once more and not as
    /// often as the policy allows: this question is one that only comes up while another one is asked.
    pub(crate) async fn learn_by_ping(&self, exchange: Exchange<'_>, call: &Call) -> bool {
        const ATTEMPTS: u32 = 2;
        const CLASS: Class = Class::Repeatable;
        let place = self.place(Operation::Ping, None);
        let url = self.endpoint().ping();
        let once = |_| async {
            let answer = exchange.probe(&url, self.route(), &place, call).await?;
            lasting(answer, CLASS).await
        };
        match exchange.persist(CLASS, ATTEMPTS, once).await {
            Ok((answer, _)) => self.auth.learn(&url, &answer),
            Err(_) => false,
        }
    }

    /// Finds out how the host is reached, and what it wants to see first, before URLs are kept that depend on it. What
    /// else may be wrong, the requests that follow will tell. The call is a [ping](Endpoint::ping).
    pub(crate) async fn settle(&self, exchange: Exchange<'_>, mut call: Call) {
        if !self.is_settled()
            && let Some(Ok(answer)) = exchange.by_one_way(&mut call, None).await
        {
            self.learn(&answer);
        }
    }

    /// Learns from the answer to a ping that was sent for another reason, as far as that tells how to log in.
    fn learn(&self, answer: &Answer) {
        let is_told = answer.status.is_success() || answer.status == StatusCode::UNAUTHORIZED;
        if is_told && answer.is_from_registry() && self.is_unexplored() {
            self.auth.learn(&answer.url, answer);
        }
    }

    /// Returns what to send as `Authorization`, as far as it is known what the host wants.
    pub(crate) async fn authorization(
        &self,
        exchange: Exchange<'_>,
        scopes: &ScopeSet,
    ) -> Result<Option<HeaderValue>, Failure> {
        match self.gateway {
            Some(_) => Ok(None),
            None => self.auth.current(exchange, scopes, None).await,
        }
    }

    /// Returns what to send instead of `used`, after the host refused that.
    pub(crate) async fn answer_challenge(
        &self,
        exchange: Exchange<'_>,
        answer: Option<(&Url, &HeaderMap)>,
        scopes: &ScopeSet,
        used: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        match self.gateway {
            Some(_) => Ok(None),
            None => self.auth.answer(exchange, answer, scopes, used).await,
        }
    }

    /// Adds what was looked up for credentials to a refusal.
    pub(crate) fn explain(&self, error: Error, repository: &Repository) -> Error {
        if self.gateway.is_some() {
            return error.with_next_step("the gateway logs in to registries: ask who runs it");
        }
        if error.has_own_next_step() {
            return error;
        }
        self.auth.explain(error, &self.host, repository)
    }
}

/// The ways to a host, by what the user said of it.
fn ways(host: &RegistryHost, security: Security) -> Result<Vec<Way>> {
    let (tls, plain) = (
        (Scheme::Https, Verification::Required),
        (Scheme::Http, Verification::Required),
    );
    let known = match security {
        // The registry on this machine speaks plainly as a rule. A TLS server refuses that at once, while one that
        // waits for the end of a line could keep a handshake waiting.
        Security::Default => match Scheme::default_for(host) {
            Scheme::Http => vec![plain, tls],
            Scheme::Https => vec![tls],
        },
        Security::Insecure => vec![(Scheme::Https, Verification::Skipped), plain],
        Security::PlainHttp => vec![plain],
        Security::Tls => vec![tls],
    };
    let way = |(scheme, verification)| {
        let endpoint =
            Endpoint::new(host, scheme).map_err(|error| Error::configuration(error.to_string()))?;
        Ok(Way {
            endpoint,
            verification,
        })
    };
    known.into_iter().map(way).collect()
}
