use proptest::prelude::*;

use super::*;

fn endpoint(host: &str) -> Endpoint {
    let host = host.parse().unwrap();
    Endpoint::new(&host, Scheme::default_for(&host)).unwrap()
}

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

fn digest() -> Digest {
    Digest::sha256_of(b"")
}

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ESCAPED: &str = "sha256%3Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn each_endpoint_of_the_specification_has_its_url() {
    let at = endpoint("r.example:5000");
    let name = repository("team/app");
    let tag: Tag = "v1".parse().unwrap();
    for (url, expected) in [
        (at.ping(), String::new()),
        (
            at.blob(&name, &digest()),
            format!("team/app/blobs/{DIGEST}"),
        ),
        (
            at.manifest(&name, &tag.clone().into()),
            "team/app/manifests/v1".to_owned(),
        ),
        (
            at.manifest(&name, &digest().into()),
            format!("team/app/manifests/{DIGEST}"),
        ),
        (at.uploads(&name), "team/app/blobs/uploads/".to_owned()),
        (
            at.upload_whole(&name, &digest()),
            format!("team/app/blobs/uploads/?digest={ESCAPED}"),
        ),
        (
            at.mount(&name, &digest(), Some(&repository("base/os"))),
            format!("team/app/blobs/uploads/?mount={ESCAPED}&from=base%2Fos"),
        ),
        (
            at.mount(&name, &digest(), None),
            format!("team/app/blobs/uploads/?mount={ESCAPED}"),
        ),
        (at.tags(&name, None, None), "team/app/tags/list".to_owned()),
        (
            at.tags(&name, Some(100), Some(&tag)),
            "team/app/tags/list?n=100&last=v1".to_owned(),
        ),
        (
            at.referrers(&name, &digest(), None),
            format!("team/app/referrers/{DIGEST}"),
        ),
        (
            at.referrers(&name, &digest(), Some("application/x+json&n=1")),
            format!("team/app/referrers/{DIGEST}?artifactType=application%2Fx%2Bjson%26n%3D1"),
        ),
    ] {
        assert_eq!(
            url.as_str(),
            format!("https://r.example:5000/v2/{expected}")
        );
    }
}

#[test]
fn dockers_names_lead_to_the_host_that_answers() {
    for host in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
        let at = endpoint(host);
        assert_eq!(at.ping().as_str(), "https://registry-1.docker.io/v2/");
        assert_eq!(
            at.repository(&repository("debian")).as_str(),
            "library/debian"
        );
        assert_eq!(at.repository(&repository("me/app")).as_str(), "me/app");
    }
    let elsewhere = endpoint("r.example");
    assert_eq!(
        elsewhere.repository(&repository("debian")).as_str(),
        "debian"
    );
}

#[test]
fn only_this_machine_is_spoken_to_without_tls() {
    for (host, expected) in [
        ("localhost", Scheme::Http),
        ("localhost:5000", Scheme::Http),
        ("LOCALHOST:5000", Scheme::Http),
        ("127.0.0.1", Scheme::Http),
        ("127.9.9.9:1", Scheme::Http),
        ("[::1]:5000", Scheme::Http),
        ("localhost.example", Scheme::Https),
        ("notlocalhost", Scheme::Https),
        ("127.0.0.1.example", Scheme::Https),
        ("10.0.0.1:5000", Scheme::Https),
        ("[::2]", Scheme::Https),
        ("docker.io", Scheme::Https),
    ] {
        assert_eq!(
            Scheme::default_for(&host.parse().unwrap()),
            expected,
            "{host}"
        );
    }
}

#[test]
fn hosts_that_no_url_can_have_are_refused() {
    for host in ["1.2.3.4.5", "a.1", "xn--a"] {
        let error = Endpoint::new(&host.parse().unwrap(), Scheme::Https).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{host}` is no host that a URL can name")
        );
    }
}

#[test]
fn a_mirror_may_have_a_path_and_nothing_else() {
    let of = |text: &str| Endpoint::from_url(&text.parse().unwrap());
    let mirror = of("https://m.example/hub").unwrap();
    assert_eq!(
        mirror.uploads(&repository("a")).as_str(),
        "https://m.example/hub/v2/a/blobs/uploads/"
    );
    for bad in [
        "ftp://m.example/",
        "https://me@m.example/",
        "https://:imgkit-canary-1@m.example/",
        "https://m.example/?a=imgkit-canary-2",
        "https://m.example/#a",
    ] {
        let error = of(bad).unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn the_referrers_tag_is_cut_as_the_specification_has_it() {
    let long = Digest::from_bytes(imgcore::Algorithm::Sha512, &[0xab; 64]).unwrap();
    let tag = referrers_tag(&long).unwrap();
    assert_eq!(tag.as_str(), format!("sha512-{}", "ab".repeat(32)));
}

#[test]
fn secrets_in_urls_are_not_printed() {
    for (url, expected) in [
        ("https://r.example/v2/", "https://r.example/v2/"),
        (
            "https://r.example:444/v2/?n=5&last=v1",
            "https://r.example:444/v2/?n=5&last=v1",
        ),
        ("https://u:p@[::1]:5/v2/", "https://[::1]:5/v2/"),
        ("https://u@r.example/#token", "https://r.example/"),
        (
            "https://r.example/?X-Amz-Signature=1&sig=2&_state=3",
            "https://r.example/?X-Amz-Signature=[redacted]&sig=[redacted]&_state=[redacted]",
        ),
        (
            "https://r.example/?bare&&a=b=c",
            "https://r.example/?[redacted]&&a=[redacted]",
        ),
        (
            "https://r.example/?Digest=x",
            "https://r.example/?Digest=[redacted]",
        ),
        ("data:text/plain,secret", "data:[redacted]"),
    ] {
        assert_eq!(redacted(&url.parse().unwrap()), expected);
    }
}

#[test]
fn secrets_in_texts_are_not_printed() {
    for (text, expected) in [
        ("a\tb\r\nc\u{7}", "a b c"),
        (
            "basic authentication is required",
            "basic authentication is required",
        ),
        (
            "Authorization: Basic dTpw==",
            "Authorization: Basic [redacted]",
        ),
        ("header=Bearer eyJ.x.y!", "header=Bearer [redacted]"),
        (
            "(https://u:p@r.example/a?sig=1)",
            "(https://r.example/a?sig=[redacted]",
        ),
        (
            "{\"url\":\"https://r.example/?k=1\"}",
            "{\"url\":\"https://r.example/?k=[redacted]",
        ),
        ("https://a.example/,https://u:p@b.example/", "[redacted]"),
        ("oci://u:p@", "[redacted]"),
        ("é://x", "é[redacted]"),
    ] {
        assert_eq!(redacted_text(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_secret_survives_redaction(
        secret in "canary[a-zA-Z0-9%]{0,12}",
        key in "[a-zA-Z_-]{1,12}",
        path in "[a-z/]{0,10}",
        place in 0..4_usize,
        before in ".{0,6}",
    ) {
        prop_assume!(!["n", "last", "from", "mount", "digest", "scope", "service"].contains(&key.as_str()));
        let url = match place {
            0 => format!("https://{secret}@r.example/{path}"),
            1 => format!("https://me:{secret}@r.example/{path}"),
            2 => format!("https://r.example/{path}?n=1&{key}={secret}"),
            _ => format!("https://r.example/{path}?{secret}#{secret}"),
        };
        prop_assert!(!redacted(&url.parse().unwrap()).contains("canary"));
        let word = format!("{before}{url}");
        prop_assert!(!redacted_text(&word).contains("canary"), "{}", word);
        let header = format!("{before} Bearer {secret}A");
        prop_assert!(!redacted_text(&header).contains("canary"), "{}", header);
    }

    #[test]
    fn any_text_is_redacted_without_panic(text in ".{0,60}") {
        prop_assert!(!redacted_text(&text).contains(char::is_control));
    }
}
