//! Answers without end, mirrors, downgrades, and texts with secrets.

use super::*;

#[tokio::test(start_paused = true)]
async fn answers_without_end_are_cut_off() {
    for class in [
        RequestClass::GetManifest,
        RequestClass::Tags,
        RequestClass::Referrers,
    ] {
        let mut scene = Scene::new().await;
        scene.script(class, Fault::Endless);
        let remote = scene.remote();
        let outcome = match class {
            RequestClass::GetManifest => remote.manifest(&tag("v1")).await.map(drop),
            RequestClass::Tags => remote.tags().all().await.map(drop),
            _ => remote
                .referrers(&scene.image.manifest.digest, None)
                .await
                .map(drop),
        };
        let failed = Failed::Client(outcome.unwrap_err());
        scene.hear(&failed);
        let sent = scene.registry.sent();
        assert!(sent <= 64 * 1024 * 1024, "{class}: {sent} bytes were taken");
        scene.end("an answer without end");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_without_end_is_cut_off() {
    let mut scene = Scene::new().await;
    let endless: Fault = Fault::change(|response| {
        *response.status_mut() = http::StatusCode::FORBIDDEN;
        response.headers_mut().remove("content-length");
        *response.body_mut() = endless_body();
    });
    scene.script(RequestClass::GetManifest, endless);
    let failed = manifest(&scene.remote()).await.unwrap_err();
    assert_eq!(failed.error().kind(), ErrorKind::Denied);
    assert!(
        failed.error().to_string().len() < 8192,
        "what is said of it is short"
    );
    assert!(
        scene.registry.sent() <= 1024 * 1024,
        "{} bytes were taken",
        scene.registry.sent()
    );
    scene.end("an error without end");
}

fn endless_body() -> imgserve::http::Body {
    let piece = Bytes::from_static(&[b'x'; 4096]);
    let stream = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
    imgserve::http::body::stream(stream)
}

#[tokio::test(start_paused = true)]
async fn a_token_without_end_is_cut_off() {
    let mut scene = Scene::new().await;
    let endless = handler(|_| {
        let mut response = respond(200, &[("Content-Type", "application/json")], "");
        response.headers_mut().remove("content-length");
        *response.body_mut() = endless_body();
        response
    });
    let endless = Recorder::new(endless);
    scene.wire("https://auth.example.com", "/token", Arc::clone(&endless));
    let failed = manifest(&scene.remote()).await.unwrap_err();
    scene.hear(&failed);
    assert!(
        endless.sent() <= 8 * 1024 * 1024,
        "{} bytes were taken",
        endless.sent()
    );
    scene.end("a token without end");
}

#[tokio::test(start_paused = true)]
async fn a_blob_is_not_read_beyond_its_size() {
    let mut scene = Scene::new().await;
    scene.script(RequestClass::GetBlob, Fault::Endless);
    let layer = scene.image.layers[1].clone();
    let failed = read(&scene.remote(), &layer).await.unwrap_err();
    scene.hear(&failed);
    let sent = scene.registry.sent();
    assert!(
        sent <= 2 * layer.size + 64 * 1024,
        "{sent} bytes were taken of {}",
        layer.size
    );
    scene.end("a blob without end");
}

#[tokio::test(start_paused = true)]
async fn a_mirror_is_not_shown_the_credentials_of_its_registry() {
    let mut scene = Scene::new().await;
    let inner = registry();
    seed(&inner, "team/app", &scene.image, "v1").await;
    let guarded = Guard::basic(Arc::clone(&inner), &[("other", "imgkit-canary-x")]);
    let open = Recorder::new(inner);
    let demanding = Recorder::new(Arc::new(guarded));
    let network = std::mem::take(&mut scene.network)
        .with("https://demanding.test", Arc::clone(&demanding))
        .with("https://open.test", Arc::clone(&open));
    scene.rewire(network, |builder| {
        let mirror = |host: &str| Mirror::new(host.parse().unwrap());
        builder
            .mirror(HOST.parse().unwrap(), mirror("demanding.test"))
            .mirror(HOST.parse().unwrap(), mirror("open.test"))
    });
    let layer = scene.image.layers[1].clone();
    let remote = scene.remote();
    manifest(&remote).await.unwrap();
    read(&remote, &layer).await.unwrap();
    for mirror in [&demanding, &open] {
        assert!(!mirror.is_empty(), "the mirror was asked");
        assert!(
            mirror.with_credentials().is_empty(),
            "the mirror was shown credentials"
        );
    }
    assert_eq!(
        scene.registry.count(RequestClass::GetBlob),
        0,
        "the mirror had it"
    );
    scene.end("mirrors");
}

#[tokio::test(start_paused = true)]
async fn insecure_is_for_one_host_and_not_for_its_neighbour() {
    let mut scene = Scene::new().await;
    // The registry's own TLS is down; the stranger listens on its plain port.
    let network = scene.network.clone().without(ORIGIN);
    scene.rewire(network, |builder| {
        builder.security("other.example.com".parse().unwrap(), Security::Insecure)
    });
    let failed = manifest(&scene.remote()).await.unwrap_err();
    scene.hear(&failed);
    assert!(
        scene.stranger.is_empty(),
        "the client stepped down to plain HTTP"
    );
    scene.end("stepping down");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_can_be_printed_has_a_secret() {
    let mut scene = Scene::new().await;
    let builder = scene.builder.take().unwrap();
    scene.ear.debug(&builder);
    let client = builder.build().unwrap();
    let remote = repository_of(&client, HOST, "team/app");
    manifest(&remote).await.unwrap();
    scene.ear.debug(&client);
    scene.ear.debug(&remote);
    scene.end("printing");
}
