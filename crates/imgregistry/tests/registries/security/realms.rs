//! Which token servers are asked, and which get credentials.

use super::*;

#[tokio::test(start_paused = true)]
async fn hostile_realms_are_not_asked() {
    for realm in [
        "http://auth.example.com/token",
        "http://registry.example.com/token",
        "https://127.0.0.1/token",
        "https://127.1/token",
        "https://2130706433/token",
        "https://0x7f000001/token",
        "https://[::1]/token",
        "https://[::ffff:127.0.0.1]/token",
        "https://[::ffff:a9fe:a9fe]/token",
        "https://0.0.0.0/token",
        "https://[::]/token",
        "https://10.0.0.5/token",
        "https://172.16.1.1/token",
        "https://192.168.1.1/token",
        "https://169.254.169.254/latest/meta-data/iam",
        "https://[fd00:ec2::254]/latest",
        "https://[fe80::1]/token",
        "https://localhost/token",
        "https://auth.localhost/token",
        "https://robot:secret@auth.example.com/token",
        "https://auth.example.com/token#fragment",
        "file:///etc/passwd",
        "ftp://auth.example.com/token",
        "gopher://auth.example.com/token",
        "https:///token",
        "https://",
        "",
    ] {
        let mut scene = Scene::with_realm(realm).await;
        let failed = manifest(&scene.remote()).await.expect_err(realm);
        let kind = failed.error().kind();
        assert!(
            matches!(kind, ErrorKind::Forbidden | ErrorKind::Denied),
            "{realm}: {kind:?}"
        );
        scene.hear(&failed);
        assert!(
            scene.tokens.is_empty(),
            "{realm}: the token server was asked"
        );
        assert!(scene.stranger.is_empty(), "{realm}: the stranger was asked");
        assert_eq!(
            scene.network.unreached(),
            [""; 0],
            "{realm}: an attempt to connect"
        );
        scene.end(realm);
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_are_not_sent_to_a_realm_on_another_domain() {
    for realm in [
        "https://evil.test/token",
        "//evil.test/token",
        "https://evil.test/?x=auth.example.com/token",
    ] {
        let mut scene = Scene::with_realm(realm).await;
        let failed = manifest(&scene.remote()).await.expect_err(realm);
        let error = failed.error();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{realm}");
        let line = "--allow-token-realm registry.example.com=evil.test";
        assert!(error.to_string().contains(line), "{realm}: {error}");
        scene.hear(&failed);
        assert!(
            scene.stranger.is_empty(),
            "{realm}: nothing at all is sent there"
        );
        scene.end(realm);
    }
}

#[tokio::test(start_paused = true)]
async fn a_realm_on_another_domain_is_asked_by_the_anonymous_and_by_permission() {
    let mut options = TokenOptions::default();
    options.users.insert(USER.into(), PASSWORD.into());
    let server = TokenServer::new(options);
    let inner = registry();
    seed(&inner, "team/app", &image(), "v1").await;
    let guard = Guard::bearer(inner, &server, "https://tokens.test/token");
    let tokens = Recorder::new(Arc::clone(&server) as _);
    let network = InProcess::new()
        .with(ORIGIN, Arc::new(guard))
        .with("https://tokens.test", Arc::clone(&tokens));
    let (builder, ear) = client(&network);
    let anonymous = repository_of(&builder.build().unwrap(), HOST, "team/app");
    manifest(&anonymous).await.unwrap();
    assert_eq!(tokens.with_credentials().len(), 0);
    let (builder, _) = client(&network);
    let builder = builder.keychain(Arc::new(login(HOST, USER, PASSWORD)));
    let allowed = builder.allow_token_realm(format!("{HOST}=tokens.test").parse().unwrap());
    let allowed = repository_of(&allowed.build().unwrap(), HOST, "team/app");
    manifest(&allowed).await.unwrap();
    assert_eq!(tokens.containing(PASSWORD).len(), 1);
    ear.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn a_registry_on_a_private_address_may_give_tokens_itself() {
    for (host, security) in [
        ("10.0.0.5:5000", Security::PlainHttp),
        ("localhost:5000", Security::Default),
    ] {
        let origin = format!("http://{host}");
        let mut options = TokenOptions::default();
        options.users.insert(USER.into(), PASSWORD.into());
        let server = TokenServer::new(options);
        let inner = registry();
        seed(&inner, "team/app", &image(), "v1").await;
        let guard = Guard::bearer(inner, &server, &format!("{origin}/token"));
        let network = InProcess::new().with(&origin, Arc::new(guard)).with_path(
            &origin,
            "/token",
            Arc::clone(&server),
        );
        let (builder, ear) = client(&network);
        let client = builder
            .keychain(Arc::new(login(host, USER, PASSWORD)))
            .security(host.parse().unwrap(), security)
            .build()
            .unwrap();
        manifest(&repository_of(&client, host, "team/app"))
            .await
            .unwrap();
        ear.assert_clean();
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_server_that_redirects_is_not_followed() {
    let mut scene = Scene::new().await;
    let moved = answer_with_location(307, "https://evil.test/token");
    scene.wire("https://auth.example.com", "/token", moved);
    let failed = manifest(&scene.remote()).await.unwrap_err();
    assert_eq!(failed.error().kind(), ErrorKind::Forbidden);
    scene.hear(&failed);
    assert!(scene.stranger.is_empty());
    scene.end("redirected token server");
}

fn answer_with_location(status: u16, location: &'static str) -> Arc<dyn Handler> {
    handler(move |_| respond(status, &[("Location", location)], ""))
}
