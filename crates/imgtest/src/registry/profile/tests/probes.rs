//! The probes, in the order of the facts.

use super::*;

pub(super) const PROBES: &[Probe] = &[
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
