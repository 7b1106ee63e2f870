//! How a keychain is asked, and what it says.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use imgcore::{RegistryHost, Repository};

use crate::RegistryCredential;

/// Something that knows credentials for registries.
///
/// It never fails: what went wrong stands in the [trail](Resolution::trail), and the answer is then to go on without.
/// It may block, since it may run helper programs: an event loop asks it from a thread that may.
pub trait RegistryKeychain: Send + Sync {
    /// Looks for the credential for a repository, or for a registry as a whole.
    fn resolve(&self, host: &RegistryHost, repository: Option<&Repository>) -> Resolution;

    /// Hears that a registry refused what was given for a repository: what is remembered of it is not to be given again
    /// without asking anew. It does not block.
    fn refused(&self, host: &RegistryHost, repository: Option<&Repository>) {
        let _ = (host, repository);
    }
}

impl<K: RegistryKeychain + ?Sized> RegistryKeychain for Arc<K> {
    fn resolve(&self, host: &RegistryHost, repository: Option<&Repository>) -> Resolution {
        (**self).resolve(host, repository)
    }

    fn refused(&self, host: &RegistryHost, repository: Option<&Repository>) {
        (**self).refused(host, repository);
    }
}

/// What a keychain says: a credential or none, and how it came to that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolution {
    /// The credential; `None` is to go without, as most public images let one.
    pub credential: Option<RegistryCredential>,
    /// Who was asked, in order, and what each said. It holds no secret.
    pub trail: Vec<Lookup>,
    /// Until when this holds; whoever remembers it asks again then. `None` where nobody said.
    pub expires: Option<SystemTime>,
}

impl Resolution {
    /// A credential that was found, with the trail that led to it.
    pub fn new(credential: Option<RegistryCredential>, trail: Vec<Lookup>) -> Self {
        Self {
            credential,
            trail,
            expires: None,
        }
    }

    /// Says until when this holds.
    #[must_use]
    pub fn until(self, expires: SystemTime) -> Self {
        Self {
            expires: Some(expires),
            ..self
        }
    }

    /// Returns whether this holds at a time of day.
    pub fn holds_at(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// Returns what a person should be told although the look-up went on.
    pub fn warnings(&self) -> impl Iterator<Item = &Lookup> {
        self.trail.iter().filter(|lookup| lookup.is_warning())
    }

    /// Returns who gave the credential.
    pub fn winner(&self) -> Option<&Lookup> {
        self.trail
            .iter()
            .rfind(|lookup| matches!(lookup.answer, Answer::Found(_)))
    }
}

/// One line of a trail: who was asked, and what it said.
///
/// # Examples
///
/// ```
/// use imgauth::{Answer, Lookup};
///
/// let lookup = Lookup::new("docker-credential-pass", Answer::Failed("not found in PATH".to_owned()));
/// assert_eq!(lookup.to_string(), "docker-credential-pass: failed: not found in PATH");
/// assert!(lookup.is_warning());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup {
    /// A program, a variable or a file, as a person knows it.
    pub asked: String,
    /// What it said.
    pub answer: Answer,
}

impl Lookup {
    /// Makes a line.
    pub fn new(asked: impl Into<String>, answer: Answer) -> Self {
        Self {
            asked: asked.into(),
            answer,
        }
    }

    /// Whether something is wrong with what was asked.
    pub fn is_warning(&self) -> bool {
        matches!(self.answer, Answer::Failed(_))
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.asked, self.answer)
    }
}

/// What somebody who was asked for a credential said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It could not answer, and why. The look-up goes on.
    Failed(String),
    /// It gave a credential, and of which form.
    Found(String),
    /// It has nothing for this registry, and why. The look-up goes on.
    Nothing(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Found(form) => write!(f, "found: {form}"),
            Self::Nothing(why) => write!(f, "nothing: {why}"),
        }
    }
}

/// A keychain without credentials.
///
/// # Examples
///
/// ```
/// use imgauth::{Anonymous, RegistryKeychain};
///
/// let resolution = Anonymous.resolve(&"registry.example".parse()?, None);
/// assert_eq!(resolution.credential, None);
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to know")]
pub struct Anonymous;

impl RegistryKeychain for Anonymous {
    fn resolve(&self, _host: &RegistryHost, _repository: Option<&Repository>) -> Resolution {
        Resolution::default()
    }
}

/// A keychain that gives what the program that embeds it was told, host by host.
///
/// # Examples
///
/// ```
/// use imgauth::{Fixed, RegistryCredential, RegistryKeychain};
///
/// let keychain = Fixed::default()
///     .with("registry.example:5000".parse()?, RegistryCredential::basic("robot", "hunter2"));
/// let known = keychain.resolve(&"registry.example:5000".parse()?, None);
/// assert_eq!(known.credential.unwrap().form(), "user name and password");
/// assert_eq!(keychain.resolve(&"registry.example".parse()?, None).credential, None);
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    entries: Vec<(String, RegistryCredential)>,
}

impl Fixed {
    /// Sets the credential for a registry: that host with that port, and no other.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a name that was made for this is given away, as the credential is"
    )]
    pub fn with(mut self, host: RegistryHost, credential: RegistryCredential) -> Self {
        let name = crate::host::canonical(host.as_str());
        self.entries.retain(|(known, _)| *known != name);
        self.entries.push((name, credential));
        self
    }
}

impl RegistryKeychain for Fixed {
    fn resolve(&self, host: &RegistryHost, _repository: Option<&Repository>) -> Resolution {
        let name = crate::host::canonical(host.as_str());
        let found = self.entries.iter().find(|(known, _)| *known == name);
        let Some((_, credential)) = found else {
            let why = format!("it is not for {name}");
            return Resolution::new(None, vec![Lookup::new("program", Answer::Nothing(why))]);
        };
        let answer = Answer::Found(credential.form().to_owned());
        Resolution::new(
            Some(credential.clone()),
            vec![Lookup::new("program", answer)],
        )
    }
}
