//! What a keychain gives: credentials for a registry, and credentials for a remote cache.

use std::fmt;

use crate::Secret;

/// What a registry, or the token server that it names, may be shown.
///
/// `Debug` shows the form alone: some services take a token for a user name, so that is not printed either.
///
/// # Examples
///
/// ```
/// use imgauth::RegistryCredential;
///
/// let credential = RegistryCredential::basic("robot", "hunter2");
/// assert_eq!(credential.form(), "user name and password");
/// assert_eq!(format!("{credential:?}"), "Basic([redacted])");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryCredential {
    /// A user name and a password: for Basic, and for the token server.
    Basic {
        /// The name, without a colon.
        username: String,
        /// The password, or a token that stands in its place.
        password: Secret,
    },
    /// A token that goes into `Authorization: Bearer` as it is, and nowhere else: it is no refresh token.
    Bearer(Secret),
    /// A refresh token: the token server changes it into tokens for the registry. Docker's config calls it identity token.
    IdentityToken {
        /// The refresh token.
        token: Secret,
    },
}

impl RegistryCredential {
    /// Makes a [`Basic`](Self::Basic).
    pub fn basic(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Basic {
            username: username.into(),
            password: password.into(),
        }
    }

    /// Makes a [`Bearer`](Self::Bearer).
    pub fn bearer(token: impl Into<Secret>) -> Self {
        Self::Bearer(token.into())
    }

    /// Makes an [`IdentityToken`](Self::IdentityToken).
    pub fn identity_token(token: impl Into<Secret>) -> Self {
        Self::IdentityToken {
            token: token.into(),
        }
    }

    /// Names the form in words, for a person.
    pub fn form(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "user name and password",
            Self::Bearer(_) => "bearer token",
            Self::IdentityToken { .. } => "identity token",
        }
    }
}

impl fmt::Debug for RegistryCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic([redacted])",
            Self::Bearer(_) => "Bearer([redacted])",
            Self::IdentityToken { .. } => "IdentityToken([redacted])",
        })
    }
}

/// What the remote cache of a build may be shown: headers.
///
/// It is no [`RegistryCredential`] and does not become one, so that a helper that was meant for the cache cannot answer
/// for a registry:
///
/// ```compile_fail,E0308
/// fn send(_: imgauth::RegistryCredential) {}
/// fn mixed(credential: imgauth::CacheCredential) {
///     send(credential);
/// }
/// ```
///
/// Nor does what a registry is shown reach the cache:
///
/// ```compile_fail,E0308
/// fn send(_: imgauth::CacheCredential) {}
/// fn mixed(credential: imgauth::RegistryCredential) {
///     send(credential);
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CacheCredential {
    headers: Vec<(String, Secret)>,
}

impl CacheCredential {
    /// Takes headers by name and value.
    pub fn new(headers: impl IntoIterator<Item = (String, Secret)>) -> Self {
        Self {
            headers: headers.into_iter().collect(),
        }
    }

    /// Returns the headers, in the order in which they are to be sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }
}

impl fmt::Debug for CacheCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.headers.iter().map(|(name, _)| name))
            .finish()
    }
}
