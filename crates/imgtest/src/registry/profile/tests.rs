//! For every fact that is marked as modelled, requests that show that the double behaves so.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgcore::Digest;
use imgserve::distribution::Registry;
use serde_json::{Value, json};

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

const PROBES: &[Probe] = &[
    probe("Docker Hub", "Is called `docker.io`", |sites| {
        Box::pin(async move {
            assert_eq!(sites[0].profile.host, "docker.io");
            let network = &sites[0].world.network;
            let asked = network.get("https://registry-1.docker.io/v2/").await;
            assert_eq!(asked.unwrap().status, 401);
            network.get("https://docker.io/v2/").await.unwrap_err();
        })
    }),
    probe("Docker Hub", "Tokens come from", |sites| {
        Box::pin(async move {
            let realm = "https://auth.docker.io/token";
            expect_realm(sites, realm, "registry.docker.io").await;
            expect_life(sites, 300).await;
        })
    }),
    probe("Docker Hub", "A repository in the scope", |sites| {
        Box::pin(async move {
            let scopes = "scope=repository:team/app:pull&scope=repository:elsewhere/base:pull";
            let refused = sites[0].token("GET", &[], scopes).await;
            assert_eq!(refused.status, 400);
        })
    }),
    probe("Docker Hub", "HEAD of a manifest", |sites| {
        Box::pin(async move {
            sites[0].put("team/app", "1", OCI).await;
            let url = "/v2/team/app/manifests/1";
            let found = sites[0].call("HEAD", url, &[("Accept", OCI)], "").await;
            let converted = sites[0].call("HEAD", url, &[], "").await;
            let digest = "docker-content-digest";
            assert_eq!(converted.status, 200);
            assert_ne!(found.header(digest), converted.header(digest));
        })
    }),
    probe("Docker Hub", "Answers carry `ratelimit-limit`", |sites| {
        Box::pin(async move {
            sites[0].put("team/app", "1", OCI).await;
            let url = "/v2/team/app/manifests/1";
            let found = sites[0].call("GET", url, &[("Accept", OCI)], "").await;
            for name in [
                "ratelimit-limit",
                "ratelimit-remaining",
                "docker-ratelimit-source",
            ] {
                assert!(found.header(name).is_some(), "{name}");
            }
        })
    }),
    probe("Docker Hub", "Blobs are redirected", |sites| {
        Box::pin(async move {
            let digest = sites[0].seed("team/app", b"layer").await;
            let url = format!("/v2/team/app/blobs/{digest}");
            let found = sites[0].call("GET", &url, &[], "").await;
            assert_eq!(found.status, 307);
            let location = found.header("location").unwrap();
            assert!(!location.contains("registry-1.docker.io"), "{location}");
            assert!(location.contains("?X-Amz-Signature="), "{location}");
        })
    }),
    probe("GHCR", "A chunk with `Content-Range`", |sites| {
        Box::pin(async move {
            for site in sites {
                let location = site.begin().await;
                let large = vec![0; 4 * MIB + 1];
                let refused = site.patch(&location, Some("0-4194304"), large).await;
                assert_eq!(refused.status, 416);
                assert!(text(&refused).contains("request body too large"));
                let location = site.begin().await;
                let taken = site
                    .patch(&location, Some("0-4194303"), vec![0; 4 * MIB])
                    .await;
                assert_eq!(taken.status, 202);
            }
        })
    }),
    probe("GHCR", "Several PATCHes lose", |sites| {
        Box::pin(async move {
            for site in sites {
                let location = site.begin().await;
                let first = site.patch(&location, None, b"one".to_vec()).await;
                let location = first.header("location").unwrap();
                let second = site.patch(location, None, b"two".to_vec()).await;
                let location = second.header("location").unwrap();
                let whole = Digest::sha256_of(b"onetwo");
                let finished = site.finish(location, &whole, Vec::new()).await;
                let keeps = finished.status == 201;
                assert_eq!(keeps, site.is("keeps chunks"), "{}", text(&finished));
            }
        })
    }),
    probe("GHCR", "Upload locations have", |sites| {
        Box::pin(async move {
            let location = sites[0].begin().await;
            assert!(location.contains("/blobs/upload/"), "{location}");
        })
    }),
    probe("GHCR", "Mounts work within one owner", |sites| {
        Box::pin(async move {
            for (from, status) in [("team/base", 201), ("stranger/base", 202)] {
                let digest = sites[0].seed(from, b"layer").await;
                let mounted = sites[0].mount(&digest, Some(from)).await;
                assert_eq!(mounted.status, status, "{from}");
            }
        })
    }),
    probe("GHCR", "There is no referrers API", |sites| {
        Box::pin(async move {
            let digest = Digest::sha256_of(b"manifest");
            let url = format!("/v2/team/app/referrers/{digest}");
            assert_eq!(sites[0].call("GET", &url, &[], "").await.status, 404);
        })
    }),
    probe("Amazon ECR", "Takes Basic", |sites| {
        Box::pin(async move {
            for site in sites {
                assert!(site.challenge().await.starts_with("Basic "));
                assert!(site.world.tokens.is_none());
                assert_eq!(site.call("GET", "/v2/", &[], "").await.status, 200);
            }
        })
    }),
    probe("Amazon ECR", "PATCH is answered 201", |sites| {
        Box::pin(async move {
            let location = sites[0].begin().await;
            let taken = sites[0].patch(&location, None, b"one".to_vec()).await;
            assert_eq!(taken.status, 201);
        })
    }),
    probe("Amazon ECR", "`Range` sticks at the first", |sites| {
        Box::pin(async move { expect_ecr_uploads(&sites[0]).await })
    }),
    probe("Amazon ECR", "Every chunk but the last", |sites| {
        Box::pin(async move { expect_ecr_uploads(&sites[1]).await })
    }),
    probe("Amazon ECR", "Mounts answer 202 until", |sites| {
        Box::pin(async move {
            let digest = sites[0].seed("team/base", b"layer").await;
            let before = sites[0].mount(&digest, Some("team/base")).await;
            assert_eq!(before.status, 202);
            assert_eq!(sites[0].put("team/base", "1", OCI).await.status, 201);
            let after = sites[0].mount(&digest, Some("team/base")).await;
            assert_eq!(after.status, 201);
        })
    }),
    probe("Amazon ECR", "The repository must exist", |sites| {
        Box::pin(async move {
            let url = "/v2/absent/app/blobs/uploads/";
            let refused = sites[0].call("POST", url, &[], "").await;
            assert_eq!(refused.status, 404);
            assert!(text(&refused).contains("NAME_UNKNOWN"));
        })
    }),
    probe("Amazon ECR", "A tag that may not move", |sites| {
        Box::pin(async move {
            for site in sites {
                assert_eq!(site.put("team/app", "1", OCI).await.status, 201);
                let again = site.put("team/app", "1", OCI).await;
                if site.is("immutable tags") {
                    assert_eq!(again.status, 400);
                    assert!(text(&again).contains("ImageTagAlreadyExists"));
                } else {
                    assert_eq!(again.status, 201);
                }
            }
        })
    }),
    probe("Amazon ECR", "Lists with `n` above", |sites| {
        Box::pin(async move {
            sites[0].put("team/app", "1", OCI).await;
            for (n, status) in [(1000, 200), (1001, 400)] {
                let url = format!("/v2/team/app/tags/list?n={n}");
                assert_eq!(sites[0].call("GET", &url, &[], "").await.status, status);
            }
        })
    }),
    probe("ECR Public", "Takes tokens", |sites| {
        Box::pin(async move {
            assert!(sites[0].challenge().await.starts_with("Bearer "));
            let scope = "scope=repository:team/app:pull";
            assert_eq!(sites[0].token("GET", &[], scope).await.status, 200);
        })
    }),
    probe("ECR Public", "Uploads go as those of ECR", |sites| {
        Box::pin(async move { expect_ecr_uploads(&sites[0]).await })
    }),
    probe(
        "Google Artifact Registry",
        "POST to the token server",
        |sites| {
            Box::pin(async move {
                for site in sites {
                    let refused = site.token("POST", &[], "grant_type=password").await;
                    assert_eq!(refused.status, 405);
                    site.bearer("scope=repository:project/repository/app:pull")
                        .await;
                }
            })
        },
    ),
    probe("Google Artifact Registry", "There are no chunks", |sites| {
        Box::pin(async move {
            for site in sites {
                let location = site.begin().await;
                let refused = site.patch(&location, None, b"one".to_vec()).await;
                assert_eq!(refused.status, 405);
                let digest = Digest::sha256_of(b"whole");
                let finished = site.finish(&location, &digest, b"whole".to_vec()).await;
                assert_eq!(finished.status, 201);
            }
        })
    }),
    probe("Google Artifact Registry", "Mounts work, or", |sites| {
        Box::pin(async move {
            for site in sites {
                let sibling = site.profile.sibling;
                let digest = site.seed(sibling, b"layer").await;
                let mounted = site.mount(&digest, Some(sibling)).await;
                let expected = if site.is("mounts") { 201 } else { 202 };
                assert_eq!(mounted.status, expected);
            }
        })
    }),
    probe("Azure Container Registry", "The user is", |sites| {
        Box::pin(async move {
            let form = format!(
                "grant_type=refresh_token&refresh_token={PASSWORD}&scope=repository:team/app:pull"
            );
            let content = [("Content-Type", "application/x-www-form-urlencoded")];
            assert_eq!(sites[0].token("POST", &content, &form).await.status, 200);
            let user = "00000000-0000-0000-0000-000000000000";
            for (password, status) in [(PASSWORD, 200), ("wrong", 401)] {
                let basic = basic(user, password);
                let headers = [("Authorization", &*basic)];
                let answer = sites[0].token("GET", &headers, "scope=repository:team/app:pull");
                assert_eq!(answer.await.status, status);
            }
        })
    }),
    probe(
        "Azure Container Registry",
        "An `Authorization` above",
        |sites| {
            Box::pin(async move {
                let long = basic(USER, &"x".repeat(6 * 1024));
                let refused = sites[0].token("GET", &[("Authorization", &long)], "").await;
                assert_eq!(refused.status, 400);
            })
        },
    ),
    probe(
        "Azure Container Registry",
        "A PUT with more than",
        |sites| {
            Box::pin(async move {
                for site in sites {
                    let location = site.begin().await;
                    let large = vec![0; 20 * MIB + 1];
                    let digest = Digest::sha256_of(&large);
                    let finished = site.finish(&location, &digest, large).await;
                    let expected = if site.is("refuses large PUTs") {
                        413
                    } else {
                        201
                    };
                    assert_eq!(finished.status, expected);
                }
            })
        },
    ),
    probe(
        "Azure Container Registry",
        "`Content-Range` must be",
        |sites| {
            Box::pin(async move {
                for (range, status) in [("bytes 0-2/*", 416), ("bytes 0-2/3", 416), ("0-2", 202)] {
                    let location = sites[0].begin().await;
                    let answer = sites[0].patch(&location, Some(range), b"one".to_vec());
                    assert_eq!(answer.await.status, status, "{range}");
                }
            })
        },
    ),
    probe(
        "Azure Container Registry",
        "Upload locations have a query",
        |sites| {
            Box::pin(async move {
                let location = sites[0].begin().await;
                let expected = "?_nouploadcache=false&_state=";
                assert!(location.contains(expected), "{location}");
            })
        },
    ),
    probe("Quay", "Tokens come from `/v2/auth`", |sites| {
        Box::pin(async move {
            expect_realm(sites, "https://quay.io/v2/auth", "quay.io").await;
            sites[0].bearer("scope=repository:team/app:pull").await;
        })
    }),
    probe("Quay", "Robots are called", |sites| {
        Box::pin(async move {
            let basic = basic("team+robot", PASSWORD);
            let answer = sites[0]
                .token("GET", &[("Authorization", &basic)], "")
                .await;
            assert_eq!(answer.status, 200);
        })
    }),
    probe("Quay", "A mount without `from`", |sites| {
        Box::pin(async move {
            let digest = sites[0].seed("team/base", b"layer").await;
            assert_eq!(sites[0].mount(&digest, None).await.status, 400);
            let mounted = sites[0].mount(&digest, Some("team/base")).await;
            assert_eq!(mounted.status, 201);
        })
    }),
    probe("Artifactory", "An `Accept` on uploads", |sites| {
        Box::pin(async move {
            let url = "/v2/docker-local/app/blobs/uploads/";
            let accept = [("Accept", "application/json")];
            assert_eq!(sites[0].call("POST", url, &accept, "").await.status, 406);
            assert_eq!(sites[0].call("POST", url, &[], "").await.status, 202);
        })
    }),
    probe("Artifactory", "POST and PUT with the body", |sites| {
        Box::pin(async move {
            let digest = Digest::sha256_of(b"whole");
            for site in sites {
                let location = site.begin().await;
                let finished = site.finish(&location, &digest, b"whole".to_vec()).await;
                if site.is("refuses whole PUTs") {
                    assert_eq!(finished.status, 404);
                    assert!(text(&finished).contains("BLOB_UNKNOWN"));
                } else {
                    assert_eq!(finished.status, 201);
                }
                let location = site.begin().await;
                let taken = site.patch(&location, None, b"whole".to_vec()).await;
                let location = taken.header("location").unwrap();
                let finished = site.finish(location, &digest, Vec::new()).await;
                assert_eq!(finished.status, 201);
            }
        })
    }),
    probe("Artifactory", "Refuses all mounts", |sites| {
        Box::pin(async move {
            let sibling = "docker-local/base";
            let digest = sites[0].seed(sibling, b"layer").await;
            assert_eq!(sites[0].mount(&digest, Some(sibling)).await.status, 405);
        })
    }),
    probe("Harbor", "Public pulls need a token", |sites| {
        Box::pin(async move {
            let realm = "https://harbor.example.com/service/token";
            expect_realm(sites, realm, "harbor-registry").await;
            sites[0].put("team/app", "1", OCI).await;
            let url = "/v2/team/app/manifests/1";
            assert_eq!(sites[0].ask("GET", url).await.status, 401);
            let scope = "scope=repository:team/app:pull";
            let answer = sites[0].token("GET", &[], scope).await;
            let answer: Value = serde_json::from_slice(&answer.body).unwrap();
            let token = format!("Bearer {}", answer["token"].as_str().unwrap());
            let headers = [("Authorization", &*token), ("Accept", OCI)];
            let url = format!("{}{url}", sites[0].profile.origin);
            let found = sites[0].world.network.request("GET", &url, &headers, "");
            assert_eq!(found.await.unwrap().status, 200);
        })
    }),
    probe("Harbor", "A mount needs `pull`", |sites| {
        Box::pin(async move {
            let digest = sites[0].seed("team/base", b"layer").await;
            let own = "scope=repository:team/app:pull,push";
            let both = format!("{own}&scope=repository:team/base:pull");
            for (scopes, is_mounted) in [(own, false), (&both, true)] {
                let bearer = sites[0].bearer(scopes).await;
                let url = format!(
                    "{}/v2/team/app/blobs/uploads/?mount={digest}&from=team/base",
                    sites[0].profile.origin
                );
                let headers = [("Authorization", &*bearer)];
                let mounted = sites[0].world.network.request("POST", &url, &headers, "");
                assert_eq!(mounted.await.unwrap().status == 201, is_mounted, "{scopes}");
            }
        })
    }),
    probe("Harbor", "A mount from an unknown source", |sites| {
        Box::pin(async move {
            let mut statuses = Vec::new();
            for site in sites {
                let digest = Digest::sha256_of(b"layer");
                let refused = site.mount(&digest, Some("team/base")).await;
                statuses.push(refused.status.as_u16());
            }
            statuses.sort_unstable();
            assert_eq!(statuses, [400, 401]);
        })
    }),
    probe("Harbor", "GET of a manifest without `Accept`", |sites| {
        Box::pin(async move {
            sites[0].put("team/app", "1", OCI).await;
            let url = "/v2/team/app/manifests/1";
            let found = sites[0].call("GET", url, &[("Accept", OCI)], "").await;
            assert_eq!(found.status, 200);
            assert_eq!(sites[0].call("GET", url, &[], "").await.status, 404);
        })
    }),
    probe("Harbor", "A tag that may not move", |sites| {
        Box::pin(async move {
            assert_eq!(sites[0].put("team/app", "1", OCI).await.status, 201);
            assert_eq!(sites[0].put("team/app", "1", OCI).await.status, 412);
        })
    }),
    probe("GitLab", "Tokens come from `/jwt/auth`", |sites| {
        Box::pin(async move {
            let realm = "https://gitlab.com/jwt/auth";
            expect_realm(sites, realm, "container_registry").await;
            expect_life(sites, 300).await;
        })
    }),
    probe("GitLab", "Token requests that repeat", |sites| {
        Box::pin(async move {
            let scope = "scope=repository:team/app:pull,push";
            assert_eq!(sites[0].token("GET", &[], scope).await.status, 200);
            let scopes = vec![scope; 50].join("&");
            let refused = sites[0].token("GET", &[], &scopes).await;
            assert!(refused.status.is_client_error(), "{}", refused.status);
        })
    }),
    probe("GitLab", "Mounts work as in", |sites| {
        Box::pin(async move {
            let digest = sites[0].seed("team/base", b"layer").await;
            let mounted = sites[0].mount(&digest, Some("team/base")).await;
            assert_eq!(mounted.status, 201);
        })
    }),
    probe("zot", "Takes Basic", |sites| {
        Box::pin(async move {
            assert!(sites[0].challenge().await.starts_with("Basic "));
            assert_eq!(sites[0].call("GET", "/v2/", &[], "").await.status, 200);
        })
    }),
    probe("zot", "Chunks with a wrong range", |sites| {
        Box::pin(async move {
            let location = sites[0].begin().await;
            let refused = sites[0].patch(&location, Some("5-7"), b"one".to_vec());
            assert_eq!(refused.await.status, 416);
        })
    }),
    probe("zot", "Docker's types are answered", |sites| {
        Box::pin(async move {
            let refused = sites[0].put("team/app", "1", DOCKER).await;
            assert_eq!(refused.status, 415);
        })
    }),
    probe("zot", "A tag cannot get a manifest", |sites| {
        Box::pin(async move {
            assert_eq!(sites[0].put("team/app", "1", OCI).await.status, 201);
            let index = json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [],
            });
            let content = [("Content-Type", "application/vnd.oci.image.index.v1+json")];
            let url = "/v2/team/app/manifests/1";
            let refused = sites[0].call("PUT", url, &content, index.to_string()).await;
            assert_eq!(refused.status, 400);
            assert!(text(&refused).contains("cannot change media-type"));
        })
    }),
    probe("distribution", "Is open", |sites| {
        Box::pin(async move {
            for site in sites {
                let answer = site.ask("GET", "/v2/").await;
                let challenge = answer.header("www-authenticate").unwrap_or_default();
                let expected = match site.profile.variant {
                    Some("open") => "",
                    Some("htpasswd") => "Basic ",
                    _ => "Bearer ",
                };
                assert_eq!(challenge.is_empty(), expected.is_empty());
                assert!(challenge.starts_with(expected), "{challenge}");
                assert_eq!(site.call("GET", "/v2/", &[], "").await.status, 200);
            }
        })
    }),
    probe(
        "distribution",
        "Upload locations have `?_state=`",
        |sites| {
            Box::pin(async move {
                for site in sites {
                    let location = site.begin().await;
                    assert!(location.contains("?_state="), "{location}");
                    let digest = Digest::sha256_of(b"whole");
                    let finished = site.finish(&location, &digest, b"whole".to_vec()).await;
                    assert_eq!(finished.status, 201);
                }
            })
        },
    ),
    probe("distribution", "Locations are relative", |sites| {
        Box::pin(async move {
            let mut relative = 0;
            for site in sites {
                let location = site.begin().await;
                relative += usize::from(path_of(&location) == location);
            }
            assert_eq!(relative, 1, "with the option, and not without");
        })
    }),
];

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
