//! Redirects, upload locations, foreign URLs and next pages: what goes along to other places.

use imgtest::registry::Exchange;

use super::*;

#[tokio::test(start_paused = true)]
async fn no_credential_follows_a_redirect_to_another_origin() {
    let scene_image = image();
    let layer = &scene_image.layers[1];
    for location in [
        "https://evil.test/blob?X-Amz-Signature=imgkit-canary-signature",
        "//evil.test/blob",
        "https://registry.example.com:8443/blob",
        "https://REGISTRY.example.com:8443/blob",
    ] {
        for status in [301, 302, 303, 307, 308] {
            let mut scene = Scene::new().await;
            scene.script(RequestClass::GetBlob, Fault::redirect(status, location));
            let remote = scene.logged_in().await;
            // The stranger's bytes are not the blob's.
            let failed = read(&remote, layer).await.expect_err(location);
            scene.hear(&failed);
            let asked = scene.registry.of(RequestClass::GetBlob);
            assert!(
                asked[0].header("authorization").is_some(),
                "there is something to leak"
            );
            assert!(
                !scene.stranger.is_empty(),
                "{status} {location}: was not followed"
            );
            scene.end(location);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_that_step_down_or_inside_are_refused() {
    let scene_image = image();
    let layer = &scene_image.layers[1];
    for location in [
        "http://evil.test/blob",
        "http://registry.example.com/blob",
        "https://127.0.0.1/blob",
        "https://[::1]/blob",
        "https://[::ffff:7f00:1]/blob",
        "https://10.1.2.3/blob",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/blob",
        "https://robot:secret@evil.test/blob",
        "file:///etc/passwd",
        "https://",
    ] {
        let mut scene = Scene::new().await;
        scene.script(RequestClass::GetBlob, Fault::redirect(307, location));
        let failed = read(&scene.remote(), layer).await.expect_err(location);
        let kind = failed.error().kind();
        assert!(
            matches!(kind, ErrorKind::Forbidden | ErrorKind::Protocol),
            "{location}: {kind:?}"
        );
        scene.hear(&failed);
        assert!(
            scene.stranger.is_empty(),
            "{location}: the stranger was asked"
        );
        assert_eq!(scene.network.unreached(), [""; 0], "{location}");
        scene.end(location);
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_end_after_five_hops() {
    let mut scene = Scene::new().await;
    scene.script(RequestClass::GetBlob, Fault::redirect(307, "?again"));
    let layer = scene.image.layers[1].clone();
    let failed = read(&scene.logged_in().await, &layer).await.unwrap_err();
    scene.hear(&failed);
    assert!(matches!(
        failed.error().kind(),
        ErrorKind::Forbidden | ErrorKind::Protocol
    ));
    assert_eq!(
        scene.registry.count(RequestClass::GetBlob),
        6,
        "one request and five hops"
    );
    scene.end("a circle");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_on_the_same_host_keeps_the_credential() {
    let mut scene = Scene::new().await;
    let layer = scene.image.layers[1].clone();
    let elsewhere = format!("/v2/team/app/blobs/{}?there", layer.digest);
    let fault = Fault::redirect(307, &elsewhere);
    scene.faults.once(RequestClass::GetBlob, fault);
    read(&scene.logged_in().await, &layer).await.unwrap();
    let asked = scene.registry.of(RequestClass::GetBlob);
    assert_eq!(asked.len(), 2);
    assert!(
        asked
            .iter()
            .all(|exchange| exchange.header("authorization").is_some())
    );
    scene.end("same host");
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_comes_back_brings_no_credential() {
    let mut scene = Scene::new().await;
    let layer = scene.image.layers[1].clone();
    let home = format!("{ORIGIN}/v2/team/app/blobs/{}?back", layer.digest);
    let back = handler(move |_| respond(307, &[("Location", &home)], ""));
    let there = Recorder::new(back);
    scene.wire("https://cdn.test", "/", Arc::clone(&there));
    let class = RequestClass::GetBlob;
    scene
        .faults
        .once(class, Fault::redirect(307, "https://cdn.test/x"));
    let outcome = read(&scene.logged_in().await, &layer).await;
    if let Err(failed) = &outcome {
        scene.hear(failed);
    }
    assert!(!there.is_empty() && there.with_credentials().is_empty());
    let returned: Vec<_> = scene
        .registry
        .of(class)
        .into_iter()
        .filter(|exchange| exchange.uri.query() == Some("back"))
        .collect();
    assert!(!returned.is_empty(), "the chain came back");
    assert!(
        returned
            .iter()
            .all(|it| it.header("authorization").is_none()),
        "{returned:?}"
    );
    scene.end("there and back");
}

#[tokio::test(start_paused = true)]
async fn an_upload_location_on_another_host_gets_no_credential() {
    for location in ["https://evil.test/upload?_state=1", "//evil.test/upload"] {
        let mut scene = Scene::new().await;
        scene.script(RequestClass::StartUpload, start_at(location));
        let content = noise(5, 1000);
        let remote = scene.logged_in().await;
        // The stranger takes the bytes, and the registry does not have them.
        let failed = write(&remote, &blob(&content), &content)
            .await
            .expect_err(location);
        scene.hear(&failed);
        let asked = scene.registry.of(RequestClass::StartUpload);
        let has_credential = |it: &Exchange| it.header("authorization").is_some();
        assert!(
            asked.iter().any(has_credential),
            "there is something to leak"
        );
        let reached = scene.stranger.exchanges();
        let methods: Vec<_> = reached.iter().map(|it| it.method.as_str()).collect();
        assert_eq!(methods, ["PUT", "DELETE"], "{location}: sent, and given up");
        assert_eq!(scene.stranger.received(), 1000, "{location}");
        scene.end(location);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_location_inside_of_the_network_is_refused() {
    for location in [
        "http://registry.example.com/upload",
        "https://127.0.0.1/upload",
        "https://169.254.169.254/upload",
        "https://10.0.0.1/upload",
        "https://[fe80::1]/upload",
        "https://localhost/upload",
        "https://robot:secret@evil.test/upload",
        "ftp://evil.test/upload",
    ] {
        let mut scene = Scene::new().await;
        scene.script(RequestClass::StartUpload, start_at(location));
        let content = noise(5, 1000);
        let failed = write(&scene.remote(), &blob(&content), &content)
            .await
            .expect_err(location);
        let kind = failed.error().kind();
        assert!(
            matches!(kind, ErrorKind::Forbidden | ErrorKind::Protocol),
            "{location}: {kind:?}"
        );
        scene.hear(&failed);
        assert!(
            scene.stranger.is_empty(),
            "{location}: the stranger was asked"
        );
        assert_eq!(scene.network.unreached(), [""; 0], "{location}");
        scene.end(location);
    }
}

#[tokio::test(start_paused = true)]
async fn private_hosts_are_reached_by_permission_and_without_credential() {
    let inside = "https://10.0.0.9:9000";
    let content = noise(5, 1000);
    for (allowed, arrives) in [
        ("", false),
        ("registry.example.com=10.0.0.9:9000", true),
        ("registry.example.com=10.0.0.9", true),
        ("registry.example.com=10.0.0.9:9001", false),
        ("registry.example.com=10.0.0.8:9000", false),
        ("other.example.com=10.0.0.9:9000", false),
    ] {
        for class in [RequestClass::GetBlob, RequestClass::StartUpload] {
            let there = Recorder::new(answer(201, ""));
            let mut scene = Scene::new().await;
            let network = std::mem::take(&mut scene.network).with(inside, Arc::clone(&there));
            scene.rewire(network, |builder| match allowed.parse() {
                Ok(allowed) => builder.allow_private_host(allowed),
                Err(_) => builder,
            });
            let remote = scene.logged_in().await;
            let outcome = if class == RequestClass::GetBlob {
                scene.script(
                    class,
                    Fault::redirect(307, "https://10.0.0.9:9000/blob?sig=1"),
                );
                let layer = scene.image.layers[1].clone();
                read(&remote, &layer).await.map(drop)
            } else {
                scene.script(class, start_at("https://10.0.0.9:9000/upload?_state=1"));
                write(&remote, &blob(&content), &content).await
            };
            assert_eq!(!there.is_empty(), arrives, "{class} {allowed}");
            assert!(there.with_credentials().is_empty(), "{class} {allowed}");
            if !arrives {
                let failed = outcome.expect_err(allowed);
                let error = failed.error();
                assert_eq!(error.kind(), ErrorKind::Forbidden, "{class} {error}");
                let flag = "`--allow-private-host registry.example.com=10.0.0.9:9000`";
                assert!(error.to_string().contains(flag), "{class} {error}");
                scene.hear(&failed);
            }
            scene.end(allowed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_stays_on_the_host_of_the_registry_where_the_user_wants_that() {
    for same_host in [false, true] {
        let location = "https://evil.test/upload?_state=1";
        let mut scene = Scene::new().await;
        let network = std::mem::take(&mut scene.network);
        scene.rewire(network, |builder| builder.same_host_uploads(same_host));
        scene.script(RequestClass::StartUpload, start_at(location));
        let content = noise(5, 1000);
        let outcome = write(&scene.remote(), &blob(&content), &content).await;
        if let Err(failed) = &outcome {
            scene.hear(failed);
        }
        assert_eq!(scene.stranger.is_empty(), same_host);
        if same_host {
            let kind = outcome.unwrap_err().error().kind();
            assert!(
                matches!(kind, ErrorKind::Forbidden | ErrorKind::Protocol),
                "{kind:?}"
            );
        }
        scene.end(location);
    }
}

fn start_at(location: &'static str) -> Fault {
    Fault::change(move |response| {
        if response.status() == 202 {
            response
                .headers_mut()
                .insert("location", location.parse().unwrap());
        }
    })
}

#[tokio::test(start_paused = true)]
async fn foreign_urls_are_ignored_unless_the_user_wants_them() {
    let content = noise(9, 3000);
    let there = Recorder::new(answer(200, content.clone()));
    let hostile = [
        "http://foreign.test/blob",
        "https://127.0.0.1/blob",
        "https://169.254.169.254/blob",
        "https://robot:secret@foreign.test/blob",
        "file:///etc/passwd",
    ];
    for (follows, url, arrives) in [
        (false, "https://foreign.test/blob", false),
        (true, "https://foreign.test/blob", true),
    ]
    .into_iter()
    .chain(hostile.map(|url| (true, url, false)))
    {
        let mut scene = Scene::new().await;
        let network = std::mem::take(&mut scene.network)
            .with("https://foreign.test", Arc::clone(&there))
            .with("http://foreign.test", Arc::clone(&there));
        there.clear();
        scene.rewire(network, |builder| builder.follow_foreign_urls(follows));
        let mut descriptor = blob(&content);
        descriptor.urls = vec![url.to_owned()];
        let outcome = read(&scene.remote(), &descriptor).await;
        if let Err(failed) = &outcome {
            scene.hear(failed);
        }
        assert_eq!(outcome.is_ok(), arrives, "{follows} {url}");
        assert_eq!(there.is_empty(), !arrives, "{follows} {url}");
        assert!(there.with_credentials().is_empty(), "{follows} {url}");
        assert_eq!(scene.network.unreached(), [""; 0], "{follows} {url}");
        scene.end(url);
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_url_on_the_registry_itself_is_a_strangers_too() {
    let content = noise(9, 3000);
    let challenge = [("WWW-Authenticate", r#"Basic realm="layers""#)];
    let layers = handler(move |request| match request.uri.path() {
        "/layers/open" => respond(200, &[], content.clone()),
        _ => respond(401, &challenge, ""),
    });
    let there = Recorder::new(layers);
    let back = answer_with_location(307, "https://registry.example.com/layers/open");
    for (url, arrives) in [
        ("https://registry.example.com/layers/open", true),
        ("https://foreign.test/back", true),
        ("https://registry.example.com/layers/closed", false),
    ] {
        let mut scene = Scene::new().await;
        let network = std::mem::take(&mut scene.network)
            .with_path(ORIGIN, "/layers", Arc::clone(&there))
            .with("https://foreign.test", Arc::clone(&back));
        there.clear();
        scene.rewire(network, |builder| builder.follow_foreign_urls(true));
        let mut descriptor = blob(&noise(9, 3000));
        descriptor.urls = vec![url.to_owned()];
        let outcome = read(&scene.logged_in().await, &descriptor).await;
        if let Err(failed) = &outcome {
            scene.hear(failed);
        }
        assert_eq!(outcome.is_ok(), arrives, "{url}");
        assert_eq!(there.len(), 1, "{url}");
        let shown = there.with_credentials();
        assert!(shown.is_empty(), "{url}: {shown:?}");
        scene.end(url);
    }
}

fn answer_with_location(status: u16, location: &'static str) -> Arc<dyn Handler> {
    handler(move |_| respond(status, &[("Location", location)], ""))
}

#[tokio::test(start_paused = true)]
async fn foreign_content_is_checked_like_any() {
    let content = noise(9, 3000);
    let mut wrong = content.clone();
    wrong[17] ^= 1;
    let mut scene = Scene::new().await;
    let network = std::mem::take(&mut scene.network);
    let network = network.with("https://foreign.test", answer(200, wrong));
    scene.rewire(network, |builder| builder.follow_foreign_urls(true));
    let mut descriptor = blob(&content);
    descriptor.urls = vec!["https://foreign.test/blob".to_owned()];
    read(&scene.remote(), &descriptor).await.unwrap_err();
    scene.end("wrong content");
}

#[tokio::test(start_paused = true)]
async fn a_next_page_on_another_host_is_not_read() {
    for link in [
        r#"<https://evil.test/v2/team/app/tags/list?n=1>; rel="next""#,
        r#"<//evil.test/v2/team/app/tags/list>; rel="next""#,
        r#"<http://registry.example.com/v2/team/app/tags/list?n=1>; rel="next""#,
        r#"<https://registry.example.com:8443/v2/team/app/tags/list>; rel="next""#,
        r#"<https://robot@registry.example.com/v2/team/app/tags/list>; rel="next""#,
    ] {
        for class in [RequestClass::Tags, RequestClass::Referrers] {
            let mut scene = Scene::new().await;
            scene.script(class, set_on_success("link", link));
            let remote = scene.remote();
            let outcome = match class {
                RequestClass::Tags => remote.tags().all().await.map(drop),
                _ => remote
                    .referrers(&scene.image.manifest.digest, None)
                    .await
                    .map(drop),
            };
            let failed = Failed::Client(outcome.expect_err(link));
            assert_eq!(failed.error().kind(), ErrorKind::Forbidden, "{link}");
            scene.hear(&failed);
            assert!(scene.stranger.is_empty(), "{link}");
            scene.end(link);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_go_round_or_never_end_are_given_up() {
    let circle = r#"</v2/team/app/tags/list>; rel="next""#;
    let mut scene = Scene::new().await;
    scene.script(RequestClass::Tags, set_on_success("link", circle));
    let failed = Failed::Client(scene.remote().tags().all().await.unwrap_err());
    assert_eq!(failed.error().kind(), ErrorKind::Protocol);
    scene.end("a circle of pages");
}
