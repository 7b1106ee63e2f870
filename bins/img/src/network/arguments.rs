//! The flags that all commands for registries share.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use fs_err as fs;
use imgauth::Environment;
use imgcore::{RegistryHost, Repository};
use imgpull::Cache;
use imgregistry::protocol::address::AllowedHost;
use imgregistry::protocol::realm::AllowedRealm;
use imgregistry::{Client, ClientBuilder, ClientIdentity, Mirror, Proxies, Security};
use imgstore::with_causes;

use super::{Direction, is_on, number};
use crate::context::Context;
use crate::credentials::CredentialArguments;
use crate::report::{Explain as _, Failure};

/// What killed processes left in the cache is kept for so long, to go on with.
const LEFTOVERS_STAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Variables that stand for flags.
const ALLOW_PRIVATE_HOST: &str = "IMG_REGISTRY_ALLOW_PRIVATE_HOST";
const ALLOW_TOKEN_REALM: &str = "IMG_REGISTRY_ALLOW_TOKEN_REALM";
const FOLLOW_FOREIGN_URLS: &str = "IMG_REGISTRY_FOLLOW_FOREIGN_URLS";
const SAME_HOST_UPLOADS: &str = "IMG_REGISTRY_SAME_HOST_UPLOADS";

/// How registries are reached.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct NetworkArguments {
    /// A registry that may have no TLS, or a certificate that nobody knows; --insecure is for all that the command names
    #[arg(long, value_name = "HOST", action = clap::ArgAction::Append)]
    insecure_registry: Vec<RegistryHost>,
    /// A PEM file of authorities to trust beside those of the system
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append)]
    ca_file: Vec<PathBuf>,
    /// A PEM file with a certificate to show to registries that ask for one
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// The PEM file with the key of --client-certificate
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// Lets a registry send its credentials to a token server of another domain
    #[arg(long, value_name = "REGISTRY=HOST", action = clap::ArgAction::Append)]
    allow_token_realm: Vec<AllowedRealm>,
    /// Lets a registry lead to a host on a private network: its storage, or where uploads go
    #[arg(long, value_name = "REGISTRY=HOST", action = clap::ArgAction::Append)]
    allow_private_host: Vec<AllowedHost>,
    /// Reads foreign layers from their own URLs where the registry does not have them
    #[arg(long)]
    follow_foreign_urls: bool,
    /// Refuses to upload to another host than the registry's
    #[arg(long, hide = true)]
    same_host_uploads: bool,
    /// A registry that is asked before another one; MIRROR may have a path
    #[arg(long, value_name = "REGISTRY=MIRROR", action = clap::ArgAction::Append)]
    mirror: Vec<MirrorOf>,
    #[command(flatten)]
    credentials: CredentialArguments,
    /// Keeps blobs in this directory, which may be a disk cache of Bazel
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// `REGISTRY=MIRROR` or `REGISTRY=MIRROR/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MirrorOf {
    registry: RegistryHost,
    mirror: Mirror,
}

impl FromStr for MirrorOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (registry, mirror) = text.split_once('=').ok_or("no `=` in it")?;
        let (host, path) = match mirror.split_once('/') {
            Some((host, path)) => (host, Some(path)),
            None => (mirror, None),
        };
        let host = RegistryHost::from_str(host).map_err(|error| error.to_string())?;
        let mut mirror = Mirror::new(host);
        if let Some(path) = path {
            mirror = mirror.under(Repository::from_str(path).map_err(|error| error.to_string())?);
        }
        Ok(Self {
            registry: registry.parse().map_err(|error| format!("{error}"))?,
            mirror,
        })
    }
}

impl NetworkArguments {
    /// Starts a client with everything that flags and variables say.
    pub(super) fn builder(
        &self,
        context: &Context,
        environment: &Environment,
        direction: Direction,
    ) -> Result<ClientBuilder, Failure> {
        let keychain = self.credentials.telling_keychain(context, environment);
        let proxies = Proxies::from_environment(|name| environment.text(name).map(str::to_owned));
        let mut builder = Client::builder()
            .user_agent(concat!("img/", env!("CARGO_PKG_VERSION")))
            .keychain(keychain)
            .proxies(proxies?);
        for file in &self.ca_file {
            let pem = fs::read(context.path(file))?;
            let trusting = builder.extra_roots(&pem);
            builder = trusting.explain(|| format!("--ca-file {}", file.display()))?;
        }
        if let (Some(chain), Some(key)) = (&self.client_certificate, &self.client_key) {
            let (chain, key) = (fs::read(context.path(chain))?, fs::read(context.path(key))?);
            let identity = ClientIdentity::from_pem(&chain, &key)
                .map_err(|error| Failure::new(format!("--client-certificate: {error}")))?;
            builder = builder.client_identity(identity);
        }
        for host in &self.insecure_registry {
            builder = builder.security(host.clone(), Security::Insecure);
        }
        for realm in allowed(&self.allow_token_realm, environment, ALLOW_TOKEN_REALM)? {
            builder = builder.allow_token_realm(realm);
        }
        for host in allowed(&self.allow_private_host, environment, ALLOW_PRIVATE_HOST)? {
            builder = builder.allow_private_host(host);
        }
        let is_set = |name| environment.text(name).is_some_and(is_on);
        builder = builder
            .follow_foreign_urls(self.follow_foreign_urls || is_set(FOLLOW_FOREIGN_URLS))
            .same_host_uploads(self.same_host_uploads || is_set(SAME_HOST_UPLOADS));
        for MirrorOf { registry, mirror } in &self.mirror {
            builder = builder.mirror(registry.clone(), mirror.clone());
        }
        if let Some(count) = number(environment, "IMG_REGISTRY_MAX_CONCURRENT_REQUESTS")? {
            builder = builder.max_requests_in_flight(usize::try_from(count).unwrap_or(usize::MAX));
        }
        let gateway = match direction {
            Direction::Pull => "IMG_REGISTRY_PULL_GATEWAY",
            Direction::Push => "IMG_REGISTRY_PUSH_GATEWAY",
        };
        let gateway = [gateway, "IMG_REGISTRY_GATEWAY"];
        if let Some(gateway) = gateway.iter().find_map(|name| environment.text(name)) {
            builder = builder.gateway(gateway.parse()?);
        }
        Ok(builder)
    }

    /// Opens the cache, if one is wanted.
    pub(super) fn cache(&self, context: &Context, environment: &Environment) -> Option<Cache> {
        let directory = match &self.cache {
            Some(directory) => Some(context.path(directory)),
            None if environment
                .text("IMG_CAS_CACHE")
                .is_some_and(|it| !is_on(it)) =>
            {
                None
            }
            None => environment.path("IMG_CAS_CACHE_DIR"),
        };
        let cache = match Cache::open(directory?) {
            Ok(cache) => cache,
            Err(error) => {
                let is_open = error.kind() == imgstore::ErrorKind::Denied;
                let next_step = if is_open {
                    " (chmod go-w makes it one)"
                } else {
                    ""
                };
                let error = with_causes(&error);
                context
                    .report
                    .warn(format_args!("{error}{next_step}; going on without a cache"));
                return None;
            }
        };
        if let Some(time) = SystemTime::now().checked_sub(LEFTOVERS_STAY)
            && let Err(error) = cache.remove_leftovers(time)
        {
            context.report.note(format_args!("{error}"));
        }
        Some(cache)
    }
}

/// Lists what flags and a variable allow of registries.
fn allowed<T>(flags: &[T], environment: &Environment, variable: &str) -> Result<Vec<T>, Failure>
where
    T: FromStr<Err: std::fmt::Display> + Clone,
{
    let mut allowed = flags.to_vec();
    let text = environment.text(variable).unwrap_or_default();
    for one in text.split([',', ' ']).filter(|it| !it.is_empty()) {
        let one = one.parse::<T>().map_err(|error| {
            Failure::new(format!("{variable}: {error}"))
                .hint("set it to REGISTRY=HOST, several with commas between")
        })?;
        allowed.push(one);
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the client says of itself that flags and variables make.
    fn built(flags: &[&str], variables: &[(&str, &str)]) -> Result<String, Failure> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            network: NetworkArguments,
        }
        let words = std::iter::once(&"img").chain(flags);
        let line = <Line as clap::Parser>::try_parse_from(words).unwrap();
        let context = Context::new(crate::report::Report::captured());
        let environment = variables.iter().copied().collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _inside = runtime.enter();
        let client = line
            .network
            .builder(&context, &environment, Direction::Pull)?
            .build()?;
        Ok(format!("{client:?}"))
    }

    #[test]
    fn what_is_off_by_default_has_a_flag_and_a_variable() {
        let check = |flags: &[&str], variables: &[(&str, &str)], expected: &str| {
            let client = built(flags, variables).unwrap();
            assert!(client.contains(expected), "{expected}: {client}");
        };
        check(&[], &[], "follows_foreign_urls: false");
        check(
            &["--follow-foreign-urls"],
            &[],
            "follows_foreign_urls: true",
        );
        check(
            &[],
            &[(FOLLOW_FOREIGN_URLS, "1")],
            "follows_foreign_urls: true",
        );
        check(
            &[],
            &[(FOLLOW_FOREIGN_URLS, "0")],
            "follows_foreign_urls: false",
        );
        check(&[], &[], "same_host_uploads: false");
        check(&["--same-host-uploads"], &[], "same_host_uploads: true");
        check(
            &[],
            &[(SAME_HOST_UPLOADS, "true")],
            "same_host_uploads: true",
        );
        check(&[], &[], "allowed_realms: []");
        let allowed = r#"allowed_realms: ["one.example=sso.test", "two.example=sso.test:8443"]"#;
        let both = "one.example=sso.test, two.example=sso.test:8443";
        check(&[], &[(ALLOW_TOKEN_REALM, both)], allowed);
        let flag = ["--allow-token-realm", "one.example=sso.test"];
        check(
            &flag,
            &[(ALLOW_TOKEN_REALM, "two.example=sso.test:8443")],
            allowed,
        );
    }

    #[test]
    fn private_hosts_are_allowed_by_flag_and_by_variable() {
        let check = |flags: &[&str], variable: &str| {
            let built = built(flags, &[(ALLOW_PRIVATE_HOST, variable)]);
            let built = format!("{:?}", built.unwrap());
            for host in ["one.example=10.0.0.1", "two.example=storage.test:9000"] {
                assert!(built.contains(host), "{built}");
            }
        };
        check(&[], "one.example=10.0.0.1,two.example=storage.test:9000");
        let flag = ["--allow-private-host", "one.example=10.0.0.1"];
        check(&flag, "two.example=storage.test:9000");
    }

    #[test]
    fn a_variable_that_allows_no_realm_is_an_error() {
        let failure = built(&[], &[(ALLOW_TOKEN_REALM, "sso.test")]).unwrap_err();
        insta::assert_snapshot!(failure, @r"
        img: IMG_REGISTRY_ALLOW_TOKEN_REALM: `sso.test` does not say which token server is allowed: it must be REGISTRY=HOST
        hint: set it to REGISTRY=HOST, several with commas between
        ");
    }

    #[test]
    fn mirrors_have_a_registry_a_host_and_perhaps_a_path() {
        let check = |text: &str| text.parse::<MirrorOf>();
        let plain = check("docker.io=mirror.example:5000").unwrap();
        assert_eq!(plain.registry.as_str(), "docker.io");
        assert_eq!(
            plain.mirror,
            Mirror::new("mirror.example:5000".parse().unwrap())
        );
        let under = check("docker.io=mirror.example/hub").unwrap().mirror;
        let expected = Mirror::new("mirror.example".parse().unwrap());
        assert_eq!(under, expected.under("hub".parse().unwrap()));
        for wrong in [
            "docker.io",
            "docker.io=",
            "docker.io=a b",
            "=mirror.example",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
