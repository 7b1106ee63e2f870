use proptest::prelude::*;

use super::super::address::Rules;
use super::*;

const REQUEST: &str = "https://r.example/v2/a/blobs/uploads/";

fn locate(request: &str, header: &str) -> Result<UploadLocation, RefusedUrl> {
    let registry = Origin::of(&REQUEST.parse().unwrap());
    let rules = LocationRules::new(registry, Rules::strict());
    resolve(&request.parse().unwrap(), header, &rules)
}

#[test]
fn every_form_of_location_is_resolved() {
    for (header, expected, credentials) in [
        (
            "https://r.example/v2/a/blobs/uploads/1",
            "https://r.example/v2/a/blobs/uploads/1",
            true,
        ),
        (
            "https://R.example:443/u/1?s=1",
            "https://r.example/u/1?s=1",
            true,
        ),
        (
            "/v2/a/blobs/upload/1",
            "https://r.example/v2/a/blobs/upload/1",
            true,
        ),
        (
            "1?_state=x",
            "https://r.example/v2/a/blobs/uploads/1?_state=x",
            true,
        ),
        (
            "?_state=x",
            "https://r.example/v2/a/blobs/uploads/?_state=x",
            true,
        ),
        (
            "/u?_nouploadcache=false&_state=a/b+c==",
            "https://r.example/u?_nouploadcache=false&_state=a/b+c==",
            true,
        ),
        (" /u ", "https://r.example/u", true),
        ("/u#top", "https://r.example/u", true),
        (
            "https://r.example:8443/u",
            "https://r.example:8443/u",
            false,
        ),
        (
            "//storage.example/u?sig=%2f",
            "https://storage.example/u?sig=%2f",
            false,
        ),
    ] {
        let location = locate(REQUEST, header).unwrap();
        assert_eq!(location.url().as_str(), expected, "{header}");
        assert_eq!(location.sends_credentials(), credentials, "{header}");
    }
}

#[test]
fn what_leads_astray_is_refused() {
    for (header, expected) in [
        ("", "the server sent something that is no URL"),
        ("https://", "the server sent something that is no URL"),
        (
            "https:\\\\evil.example\\",
            "the server sent something that is no URL",
        ),
        ("/a\tb", "the server sent something that is no URL"),
        (
            "ftp://r.example/u",
            "`ftp://r.example/u` is not followed: it is neither http nor https",
        ),
        (
            "file:///etc/passwd",
            "`file:[redacted]` is not followed: it is neither http nor https",
        ),
        (
            "javascript:alert(1)",
            "`javascript:[redacted]` is not followed: it is neither http nor https",
        ),
        (
            "https://u@r.example/u",
            "`https://r.example/u` is not followed: it has a user or a password in it",
        ),
        (
            "https://:imgkit-canary-1@r.example/u?sig=imgkit-canary-2",
            "`https://r.example/u?sig=[redacted]` is not followed: it has a user or a password in it",
        ),
        (
            "http://r.example/u",
            "`http://r.example/u` is not followed: it would leave encryption behind",
        ),
        ("https://10.0.0.1/u", "`https://10.0.0.1/u` is not followed"),
        ("https://127.1/u", "`https://127.0.0.1/u` is not followed"),
        ("https://[::1]/u", "`https://[::1]/u` is not followed"),
        (
            "https://localhost/u",
            "`https://localhost/u` is not followed",
        ),
        (
            "https://2852039166/latest",
            "`https://169.254.169.254/latest` is not followed",
        ),
    ] {
        let error = locate(REQUEST, header).unwrap_err();
        assert_eq!(error.to_string(), expected, "{header}");
    }
    let long = format!("/{}", "a".repeat(20_000));
    assert_eq!(locate(REQUEST, &long), Err(RefusedUrl::TooLong));
}

#[test]
fn other_hosts_can_be_refused_altogether() {
    let request = REQUEST.parse().unwrap();
    let rules = LocationRules {
        same_host_only: true,
        ..LocationRules::new(Origin::of(&request), Rules::anywhere())
    };
    assert!(resolve(&request, "/u", &rules).is_ok());
    assert_eq!(
        resolve(&request, "https://s.example/u?k=v", &rules)
            .unwrap_err()
            .to_string(),
        "`https://s.example/u?k=[redacted]` is not followed: it is not on https://r.example:443"
    );
}

#[test]
fn a_registry_in_a_private_network_may_name_itself() {
    let request: Url = "http://10.0.0.5:5000/v2/a/blobs/uploads/".parse().unwrap();
    let rules = LocationRules::new(Origin::of(&request), Rules::strict());
    assert!(resolve(&request, "http://10.0.0.5:5000/u", &rules).is_ok());
    assert!(resolve(&request, "http://10.0.0.5:5001/u", &rules).is_err());
    assert!(resolve(&request, "http://10.0.0.6:5000/u", &rules).is_err());
}

#[test]
fn the_digest_goes_behind_the_query() {
    let digest = Digest::sha256_of(b"");
    let escaped = digest.to_string().replace(':', "%3A");
    for (header, expected) in [
        ("/u", format!("https://r.example/u?digest={escaped}")),
        ("/u?", format!("https://r.example/u?digest={escaped}")),
        (
            "/u?a=b",
            format!("https://r.example/u?a=b&digest={escaped}"),
        ),
        (
            "/u?a=b&",
            format!("https://r.example/u?a=b&digest={escaped}"),
        ),
    ] {
        let location = locate(REQUEST, header).unwrap();
        assert_eq!(location.with_digest(&digest).as_str(), expected);
    }
}

proptest! {
    #[test]
    fn the_query_stays_byte_for_byte(query in "[a-zA-Z0-9%=&+/?:@!$()*,;._~^|{}-]{1,60}") {
        let location = locate(REQUEST, &format!("/u?{query}")).unwrap();
        prop_assert_eq!(location.url().query(), Some(query.as_str()));
        let ended = location.with_digest(&Digest::sha256_of(b""));
        prop_assert!(ended.query().unwrap().starts_with(&query));
    }

    #[test]
    fn no_header_takes_credentials_elsewhere(header in ".{0,40}|(https?:)?//[a-z.@:0-9/]{0,20}") {
        if let Ok(location) = locate(REQUEST, &header) {
            let is_registry = location.url().origin() == REQUEST.parse::<Url>().unwrap().origin();
            prop_assert_eq!(location.sends_credentials(), is_registry);
            prop_assert_eq!(location.url().scheme(), "https");
            prop_assert!(location.url().username().is_empty());
        }
    }
}
