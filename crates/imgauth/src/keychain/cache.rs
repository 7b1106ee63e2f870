//! The credential for the remote cache of a build: a keychain of its own, so that the two cannot be mixed up.

use super::helpers::HelperPrograms;
use super::options::{Helpers, KeychainOptions};
use crate::bazel::{self, CredentialHelper};
use crate::{Answer, CacheCredential, Lookup};

/// Where Bazel workspaces by custom keep a helper for their cache.
const CUSTOMARY: &str = "%workspace%/tools/credential-helper";

/// Looks for the credential of a remote cache: from a Bazel credential helper, given by the program, or by
/// `IMG_CREDENTIAL_HELPER_REMOTE_CACHE` or else `IMG_CREDENTIAL_HELPER`, or else `tools/credential-helper` in the
/// workspace where that exists.
///
/// # Examples
///
/// ```
/// use imgauth::{CacheKeychain, KeychainOptions};
///
/// let keychain = CacheKeychain::new(KeychainOptions::default());
/// let found = keychain.resolve("https://cache.example/google.bytestream.ByteStream");
/// assert_eq!(found.credential, None);
/// ```
#[derive(Debug)]
pub struct CacheKeychain {
    options: KeychainOptions,
    programs: HelperPrograms,
}

/// What a keychain says about a remote cache: headers or none, and how it came to that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheResolution {
    /// The headers to send, if there are any.
    pub credential: Option<CacheCredential>,
    /// Who was asked, in order, and what each said. It holds no secret.
    pub trail: Vec<Lookup>,
}

impl CacheKeychain {
    /// Makes a keychain. Nothing is read before the first question.
    pub fn new(options: KeychainOptions) -> Self {
        Self {
            options,
            programs: HelperPrograms::default(),
        }
    }

    /// Looks for the credential for a URI, which for gRPC is `https://host/<service>`.
    ///
    /// A user and a password in it are not shown to the helper. It may block, as
    /// [`RegistryKeychain::resolve`](crate::RegistryKeychain::resolve) may.
    pub fn resolve(&self, uri: &str) -> CacheResolution {
        let uri = without_user(uri);
        let answered = |who: String, answer| CacheResolution {
            credential: None,
            trail: vec![Lookup::new(who, answer)],
        };
        let helper = match self.choose(host_of(&uri)) {
            Ok(helper) => helper,
            Err(lookup) => return answered(lookup.asked, lookup.answer),
        };
        let who = format!("credential helper {helper}");
        let (said, _) = self.programs.ask_bazel(&helper, &uri, &self.options);
        match said {
            Ok(answer) if answer.is_empty() => {
                let why = format!("it gives no headers for {uri}");
                answered(who, Answer::Nothing(why))
            }
            Ok(answer) => CacheResolution {
                credential: Some(answer.cache_credential()),
                trail: vec![Lookup::new(who, Answer::Found("headers".to_owned()))],
            },
            Err(why) => answered(who, Answer::Failed(why)),
        }
    }

    fn choose(&self, host: &str) -> Result<CredentialHelper, Lookup> {
        let helpers = match self.options.helpers_for_cache() {
            Helpers::Are(helpers) => helpers,
            Helpers::Bad { variable, why } => {
                return Err(Lookup::new(variable, Answer::Failed(why)));
            }
            Helpers::Unset(why) => {
                return self
                    .customary()
                    .ok_or_else(|| Lookup::new("credential helper", Answer::Nothing(why)));
            }
        };
        bazel::choose(&helpers, host).cloned().ok_or_else(|| {
            let why = format!("no pattern fits {host}");
            Lookup::new("credential helper", Answer::Nothing(why))
        })
    }

    fn customary(&self) -> Option<CredentialHelper> {
        let helper: CredentialHelper = CUSTOMARY.parse().ok()?;
        let workspace = self.options.workspace.as_deref();
        helper
            .find(workspace, &self.options.environment)
            .is_ok()
            .then_some(helper)
    }
}

/// Takes `user:password@` out of a URI.
fn without_user(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// The host of a URI, without its port; empty for `unix:` and others that have none.
fn host_of(uri: &str) -> &str {
    let Some((_, rest)) = uri.split_once("://") else {
        return "";
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_loses_its_user_and_shows_its_host() {
        let check = |uri: &str, expected: &str, host: &str| {
            let without = without_user(uri);
            assert_eq!(without, expected);
            assert_eq!(host_of(&without), host, "{uri}");
        };
        check("https://h.example/x", "https://h.example/x", "h.example");
        check(
            "https://u:p@h.example:1/x@y",
            "https://h.example:1/x@y",
            "h.example",
        );
        check("grpcs://u@p@h?x", "grpcs://h?x", "h");
        check(
            "https://[2001:db8::1]:2/",
            "https://[2001:db8::1]:2/",
            "[2001:db8::1]",
        );
        check(
            "https://[2001:db8::1]",
            "https://[2001:db8::1]",
            "[2001:db8::1]",
        );
        check("unix:/run/cache", "unix:/run/cache", "");
        check("", "", "");
    }
}
