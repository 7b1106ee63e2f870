//! For every fact that is marked as modelled, requests that show that the double behaves so.

mod probes;

use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgcore::Digest;
use imgserve::distribution::Registry;
use serde_json::{Value, json};

use self::probes::PROBES;
use super::super::answers::body_of;
use super::super::in_process::Whole;
use super::facts::FACTS;
use super::*;

const MIB: usize = 1024 * 1024;
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A fact by its registry and the beginning of its text, and what shows it on the registry's doubles.
struct Probe {
    registry: &'static str,
    begin: &'static str,
    check: Check,
}

type Check = fn(&[Site]) -> BoxFuture<'_, ()>;

/// A double of a registry that has nothing.
struct Site {
    profile: Profile,
    inner: Arc<dyn Handler>,
    world: World,
}

impl Site {
    fn new(profile: Profile) -> Self {
        let inner: Arc<dyn Handler> = Arc::new(Registry::in_memory());
        let world = profile.start(Arc::clone(&inner));
        Self {
            profile,
            inner,
            world,
        }
    }

    fn is(&self, variant: &str) -> bool {
        self.profile.variant == Some(variant)
    }

    /// Asks without credentials.
    async fn ask(&self, method: &str, target: &str) -> Whole {
        let url = format!("{}{target}", self.profile.origin);
        let asked = self.world.network.request(method, &url, &[], "").await;
        asked.unwrap()
    }

    /// The challenge of whoever has no credentials.
    async fn challenge(&self) -> String {
        let refused = self.ask("GET", "/v2/").await;
        assert_eq!(refused.status, 401);
        refused.header("www-authenticate").unwrap().to_owned()
    }

    /// Asks the token server.
    async fn token(&self, method: &str, headers: &[(&str, &str)], form: &str) -> Whole {
        let Login::Tokens { realm, service, .. } = &self.profile.login else {
            panic!("{} has no token server", self.profile.label());
        };
        let words = format!("service={service}&{form}");
        let (url, body) = match method {
            "POST" => ((*realm).to_owned(), words),
            _ => (format!("{realm}?{words}"), String::new()),
        };
        let asked = self
            .world
            .network
            .request(method, &url, headers, body)
            .await;
        asked.unwrap()
    }

    /// A token of the user for some scopes.
    async fn bearer(&self, scopes: &str) -> String {
        let basic = basic(USER, PASSWORD);
        let answer = self
            .token("GET", &[("Authorization", &basic)], scopes)
            .await;
        assert_eq!(answer.status, 200);
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let token = answer.get("token").or(answer.get("access_token")).unwrap();
        format!("Bearer {}", token.as_str().unwrap())
    }

    /// What opens the profile's repositories.
    async fn authorization(&self) -> Option<String> {
        let Profile {
            repository,
            sibling,
            ..
        } = &self.profile;
        match &self.profile.login {
            Login::Open => None,
            Login::Basic => Some(basic(USER, PASSWORD)),
            Login::Tokens { .. } => {
                let scopes = [*repository, *sibling, "stranger/base", "absent/app"];
                let scopes = scopes.map(|it| format!("scope=repository:{it}:pull,push"));
                Some(self.bearer(&scopes.join("&")).await)
            }
        }
    }

    /// Asks with everything that is needed.
    async fn call(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Whole {
        let authorization = self.authorization().await;
        let mut headers = headers.to_vec();
        if let Some(authorization) = &authorization {
            headers.push(("Authorization", authorization));
        }
        let url = if target.contains("://") {
            target.to_owned()
        } else {
            format!("{}{target}", self.profile.origin)
        };
        let called = self.world.network.request(method, &url, &headers, body);
        called.await.unwrap()
    }

    /// Puts a blob into a repository past all customs.
    async fn seed(&self, repository: &str, bytes: &'static [u8]) -> Digest {
        let digest = Digest::sha256_of(bytes);
        let url = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let request = http::Request::builder().method("POST").uri(url);
        let request = request.header("Content-Length", bytes.len());
        let request = request.body(body_of(bytes)).unwrap();
        let seeded = Arc::clone(&self.inner).handle(request).await;
        assert_eq!(seeded.status(), 201);
        digest
    }

    /// Writes a manifest of one config and one layer, which are there.
    async fn put(&self, repository: &str, tag: &str, media_type: &str) -> Whole {
        for blob in [&b"{}"[..], b"layer"] {
            self.seed(repository, blob).await;
        }
        let part = |media_type: &str, bytes: &[u8]| {
            json!({
                "mediaType": media_type,
                "digest": Digest::sha256_of(bytes).to_string(),
                "size": bytes.len(),
            })
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": part("application/vnd.oci.image.config.v1+json", b"{}"),
            "layers": [part("application/vnd.oci.image.layer.v1.tar", b"layer")],
        });
        let url = format!("/v2/{repository}/manifests/{tag}");
        let headers = [("Content-Type", media_type)];
        self.call("PUT", &url, &headers, manifest.to_string()).await
    }

    /// Begins an upload in the profile's repository, and returns where it goes on.
    async fn begin(&self) -> String {
        let url = format!("/v2/{}/blobs/uploads/", self.profile.repository);
        let begun = self.call("POST", &url, &[], "").await;
        assert_eq!(begun.status, 202);
        begun.header("location").unwrap().to_owned()
    }

    async fn patch(&self, location: &str, range: Option<&str>, bytes: Vec<u8>) -> Whole {
        let length = bytes.len().to_string();
        let mut headers = vec![("Content-Length", &*length)];
        headers.extend(range.map(|range| ("Content-Range", range)));
        self.call("PATCH", location, &headers, bytes).await
    }

    async fn finish(&self, location: &str, digest: &Digest, bytes: Vec<u8>) -> Whole {
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={digest}");
        let length = bytes.len().to_string();
        self.call("PUT", &url, &[("Content-Length", &length)], bytes)
            .await
    }

    async fn mount(&self, digest: &Digest, from: Option<&str>) -> Whole {
        let from = from.map(|from| format!("&from={from}")).unwrap_or_default();
        let repository = self.profile.repository;
        let url = format!("/v2/{repository}/blobs/uploads/?mount={digest}{from}");
        self.call("POST", &url, &[], "").await
    }
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;

    let pair = format!("{user}:{password}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    format!("Basic {encoded}")
}

/// What `Location` has after the host.
fn path_of(location: &str) -> &str {
    let start = location.find("://").map_or(0, |at| at + 3);
    let path = location[start..].find('/').unwrap_or(0);
    &location[start + path..]
}

fn text(whole: &Whole) -> String {
    String::from_utf8_lossy(&whole.body).into_owned()
}

async fn expect_realm(sites: &[Site], realm: &str, service: &str) {
    for site in sites {
        let challenge = site.challenge().await;
        let expected = format!(r#"realm="{realm}",service="{service}""#);
        assert!(challenge.contains(&expected), "{challenge}");
    }
}

async fn expect_life(sites: &[Site], seconds: u64) {
    for site in sites {
        let answer = site
            .token("GET", &[], "scope=repository:team/app:pull")
            .await;
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["expires_in"], seconds);
    }
}

async fn expect_ecr_uploads(site: &Site) {
    let location = site.begin().await;
    let first = site
        .patch(&location, Some("0-4999999"), vec![0; 5_000_000])
        .await;
    assert_eq!(first.status, 201);
    let location = first.header("location").unwrap().to_owned();
    let second = site
        .patch(&location, Some("5000000-5000009"), vec![0; 10])
        .await;
    assert_eq!(second.status, 201);
    assert_eq!(second.header("range"), Some("0-4999999"));
    let location = second.header("location").unwrap().to_owned();
    let third = site
        .patch(&location, Some("5000010-5000019"), vec![0; 10])
        .await;
    assert_eq!(third.status, 400, "the second was too small to be followed");
}

const fn probe(registry: &'static str, begin: &'static str, check: Check) -> Probe {
    Probe {
        registry,
        begin,
        check,
    }
}

#[test]
fn every_fact_that_is_modelled_has_a_probe_and_no_other() {
    for fact in FACTS {
        let of_fact =
            |probe: &&Probe| probe.registry == fact.registry && fact.text.starts_with(probe.begin);
        let probes = PROBES.iter().filter(of_fact).count();
        let expected = usize::from(fact.modelled != Modelled::No);
        assert_eq!(probes, expected, "{}: {}", fact.registry, fact.text);
    }
    let modelled = FACTS.iter().filter(|fact| fact.modelled != Modelled::No);
    assert_eq!(PROBES.len(), modelled.count());
}

#[tokio::test(start_paused = true)]
async fn every_double_behaves_as_its_facts_say() {
    for Probe {
        registry,
        begin,
        check,
    } in PROBES
    {
        // Shown only when it fails.
        println!("{registry}: {begin} …");
        let profiles = Profile::all();
        let doubles = profiles.into_iter().filter(|it| it.name == *registry);
        let sites: Vec<_> = doubles.map(Site::new).collect();
        check(&sites).await;
    }
}
