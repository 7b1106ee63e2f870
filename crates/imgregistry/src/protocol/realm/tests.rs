use proptest::prelude::*;

use super::*;

struct Case<'a> {
    registry: &'a str,
    scheme: Scheme,
    allowed: &'a [AllowedRealm],
}

impl Case<'_> {
    fn check(&self, realm: &str) -> Result<Realm, RealmError> {
        let registry = self.registry.parse().unwrap();
        let endpoint = Endpoint::new(&registry, self.scheme).unwrap();
        let context = Context {
            registry: &registry,
            endpoint: &endpoint,
            allowed: self.allowed,
        };
        check(Some(realm), &endpoint.ping(), context)
    }

    #[track_caller]
    fn trusts(&self, realm: &str, expected: Option<Trust>) {
        let found = self.check(realm).unwrap();
        assert_eq!(found.trust(), expected, "{} → {realm}", self.registry);
        assert_eq!(found.check_credentials().is_ok(), expected.is_some());
    }

    #[track_caller]
    fn refuses(&self, realm: &str) {
        let found = self.check(realm);
        assert!(found.is_err(), "{} → {realm}: {found:?}", self.registry);
    }
}

fn https(registry: &str) -> Case<'_> {
    Case {
        registry,
        scheme: Scheme::Https,
        allowed: &[],
    }
}

fn http(registry: &str) -> Case<'_> {
    Case {
        scheme: Scheme::Http,
        ..https(registry)
    }
}

#[test]
fn token_servers_of_known_registries_get_credentials() {
    for (registry, realm, expected) in [
        ("docker.io", "https://auth.docker.io/token", Trust::BuiltIn),
        ("ghcr.io", "https://ghcr.io/token", Trust::SameHost),
        ("quay.io", "https://quay.io/v2/auth", Trust::SameHost),
        (
            "us-docker.pkg.dev",
            "https://us-docker.pkg.dev/v2/token",
            Trust::SameHost,
        ),
        (
            "me.azurecr.io",
            "https://me.azurecr.io/oauth2/token",
            Trust::SameHost,
        ),
        (
            "registry.gitlab.com",
            "https://gitlab.com/jwt/auth",
            Trust::SameDomain,
        ),
        (
            "docker.elastic.co",
            "https://docker-auth.elastic.co/auth",
            Trust::SameDomain,
        ),
        (
            "registry.digitalocean.com",
            "https://api.digitalocean.com/v2/registry/auth",
            Trust::SameDomain,
        ),
        ("dhi.io", "https://dhi.io/token", Trust::SameHost),
        (
            "rg.fr-par.scw.cloud",
            "https://api.scaleway.com/registry-internal/v1/regions/fr-par/tokens",
            Trust::BuiltIn,
        ),
        (
            "registry.cn-hangzhou.aliyuncs.com",
            "https://dockerauth.cn-hangzhou.aliyuncs.com/auth",
            Trust::SameDomain,
        ),
        (
            "r.example.com:5000",
            "https://r.example.com:5001/token",
            Trust::SameHost,
        ),
        ("r.example.com", "/token", Trust::SameHost),
        ("r.example.com", "token", Trust::SameHost),
        (
            "r.example.co.uk",
            "https://a.b.example.co.uk/",
            Trust::SameDomain,
        ),
    ] {
        https(registry).trusts(realm, Some(expected));
    }
}

#[test]
fn other_domains_are_asked_without_credentials_only() {
    for (registry, realm) in [
        ("r.example.com", "https://auth.example.org/token"),
        ("r.example.com", "https://example.com.evil.org/"),
        ("r.example.com", "https://notexample.com/"),
        // Two owners under one public suffix.
        ("a.co.uk", "https://b.co.uk/"),
        ("a.github.io", "https://b.github.io/"),
        ("a.s3.amazonaws.com", "https://b.s3.amazonaws.com/"),
        // No list says who owns what.
        ("registry.corp", "https://auth.corp/"),
        ("registry.team.internal", "https://auth.team.internal/"),
        ("registry", "https://auth/"),
        ("a.xn--p1ai", "https://b.a.xn--p1ai/"),
        // What is built in is so for its registry only.
        ("r.example.com", "https://auth.docker.io/token"),
        ("auth.docker.io.example.com", "https://auth.docker.io/token"),
        ("1.1.1.1", "https://1.1.1.2/"),
    ] {
        https(registry).trusts(realm, None);
    }
}

#[test]
fn hostile_realms_are_not_asked_at_all() {
    for realm in [
        "",
        " ",
        "https://",
        "http://r.example.com/token",
        "http://auth.docker.io/token",
        "ftp://r.example.com/",
        "file:///etc/passwd",
        "data:application/json,{\"token\":\"x\"}",
        "https://u@r.example.com/",
        "https://u:imgkit-canary-1@r.example.com/",
        "https://r.example.com/#fragment",
        "https://r.example.com\\@evil.example/",
        "https://r.example.com/\u{0}",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://localhost/",
        "https://foo.localhost:9/",
        "https://[::1]/",
        "https://[::]/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://169.254.1.1/",
        "https://168.63.129.16/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fc00::1]/",
        "https://[ff02::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:1.1.1.1]/",
        "https://[64:ff9b::1.1.1.1]/",
        "https://[2002:7f00:1::]/",
    ] {
        https("r.example.com").refuses(realm);
        http("r.example.org").refuses(realm);
    }
}

#[test]
fn a_private_address_is_the_registrys_own_or_allowed() {
    http("10.0.0.5:5000").trusts("http://10.0.0.5:5000/token", Some(Trust::SameHost));
    https("10.0.0.5:5000").trusts("https://10.0.0.5:5000/token", Some(Trust::SameHost));
    https("10.0.0.5:5000").refuses("https://10.0.0.5:5001/token");
    https("10.0.0.5:5000").refuses("https://10.0.0.6:5000/token");
    let allowed = ["10.0.0.5:5000=10.0.0.6:443".parse().unwrap()];
    let case = Case {
        allowed: &allowed,
        ..https("10.0.0.5:5000")
    };
    case.trusts("https://10.0.0.6/token", Some(Trust::Allowed));
    case.refuses("https://10.0.0.6:5000/token");
    case.refuses("https://10.0.0.7/token");
}

#[test]
fn a_registry_on_loopback_may_name_a_realm_on_loopback() {
    for registry in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
        for realm in [
            "http://127.0.0.1:5001/token",
            "http://localhost:5001/",
            "https://[::1]/",
            "/token",
        ] {
            http(registry).trusts(realm, Some(Trust::SameHost));
        }
        http(registry).refuses("http://10.0.0.1/");
        http(registry).refuses("http://169.254.169.254/");
        http(registry).refuses("http://auth.example.com/");
        http(registry).trusts("https://auth.example.com/", None);
        https(registry).refuses("http://127.0.0.1:5001/token");
    }
}

#[test]
fn plain_http_needs_a_plain_registry_on_the_same_host() {
    http("r.example.com").trusts("http://r.example.com:5001/", Some(Trust::SameHost));
    http("r.example.com").refuses("http://auth.example.com/");
    let allowed = ["r.example.com=auth.example.com".parse().unwrap()];
    let case = |scheme| Case {
        registry: "r.example.com",
        scheme,
        allowed: &allowed,
    };
    case(Scheme::Http).trusts("http://auth.example.com/", Some(Trust::Allowed));
    case(Scheme::Https).refuses("http://auth.example.com/");
}

#[test]
fn the_refusal_has_the_option_that_would_allow_it() {
    let case = https("r.example.com:5000");
    let realm = case
        .check("https://sso.test:8443/token?k=imgkit-canary-1")
        .unwrap();
    let text = realm.check_credentials().unwrap_err().to_string();
    assert_eq!(
        text,
        "credentials for r.example.com:5000 are not sent to its token server sso.test:8443, which is on another domain; \
         if it is to be trusted, allow it with `--allow-token-realm r.example.com:5000=sso.test:8443`"
    );
    let option = text.rsplit(' ').next().unwrap().trim_end_matches('`');
    let allowed = [option.parse().unwrap()];
    Case {
        allowed: &allowed,
        ..case
    }
    .trusts("https://sso.test:8443/token", Some(Trust::Allowed));
}

#[test]
fn what_is_allowed_is_registry_and_host() {
    for (text, registry, realm, expected) in [
        (
            "R.example.com=Auth.test",
            "r.example.com",
            "https://auth.test/",
            true,
        ),
        (
            "r.example.com=auth.test",
            "r.example.com",
            "https://auth.test:8443/",
            true,
        ),
        (
            "r.example.com=auth.test:443",
            "r.example.com",
            "https://auth.test/",
            true,
        ),
        (
            "r.example.com=auth.test:443",
            "r.example.com",
            "https://auth.test:8443/",
            false,
        ),
        (
            "r.example.com=auth.test",
            "r.example.com:5000",
            "https://auth.test/",
            false,
        ),
        (
            "r.example.com=auth.test",
            "r.example.com",
            "https://x.auth.test/",
            false,
        ),
        (
            "r.example.com=[2606::1]",
            "r.example.com",
            "https://[2606:0::1]/",
            true,
        ),
    ] {
        let allowed = [text.parse().unwrap()];
        let case = Case {
            allowed: &allowed,
            ..https(registry)
        };
        case.trusts(realm, expected.then_some(Trust::Allowed));
    }
    for text in [
        "",
        "=",
        "a",
        "a=",
        "=a",
        "a=b=c",
        "a=https://b",
        "a=b/c",
        "a=*",
    ] {
        assert!(text.parse::<AllowedRealm>().is_err(), "{text}");
    }
}

#[test]
fn a_realm_brings_no_scope_of_its_own() {
    for (realm, expected) in [
        (
            "/token?scope=repository:victim:pull&a=b",
            "https://r.example.com/token?a=b",
        ),
        ("/token?%73cope=x&SERVICE=y", "https://r.example.com/token"),
        ("/token?a=%2F&b", "https://r.example.com/token?a=%2F&b"),
        ("/token?", "https://r.example.com/token"),
    ] {
        let found = https("r.example.com").check(realm).unwrap();
        assert_eq!(found.url().as_str(), expected);
    }
}

#[test]
fn token_servers_on_private_networks_are_the_registry_itself_or_allowed() {
    let registry = "registry.corp".parse().unwrap();
    let endpoint = Endpoint::new(&registry, Scheme::Https).unwrap();
    let allowed = ["registry.corp=auth.corp".parse().unwrap()];
    let inside = "10.0.0.1".parse().unwrap();
    let may_be_inside = |realm: &str, allowed: &[AllowedRealm]| {
        let context = Context {
            registry: &registry,
            endpoint: &endpoint,
            allowed,
        };
        let realm = check(Some(realm), &endpoint.ping(), context).unwrap();
        realm.addresses().check_resolved(inside).is_ok()
    };
    assert!(may_be_inside("https://registry.corp/token", &[]));
    assert!(!may_be_inside("https://registry.corp:8443/token", &[]));
    assert!(!may_be_inside("https://auth.corp/token", &[]));
    assert!(may_be_inside("https://auth.corp/token", &allowed));
    assert!(!may_be_inside("https://other.corp/token", &allowed));
}

proptest! {
    #[test]
    fn credentials_go_to_the_owner_only(realm in ".{0,30}|(https?:)?//[a-z0-9.@:/\\[\\]]{0,20}") {
        if let Ok(found) = https("r.example.com").check(&realm) {
            let host = found.url().host_str().unwrap();
            let is_owner = host == "example.com" || host.ends_with(".example.com") || host == "example.com." || host.ends_with(".example.com.");
            prop_assert_eq!(found.trust().is_some(), is_owner, "{}", host);
            prop_assert_eq!(found.url().scheme(), "https");
        }
    }
}
