use proptest::prelude::*;

use super::*;
use crate::digest::{Algorithm, ParseDigestError};

const SHA256: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
const ID: &str = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a";

/// Parses, and says what the parts are: host, repository, tag, digest; `-` where there is none.
fn parts(text: &str) -> String {
    let reference: Reference = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(reference.to_string(), text, "a name is kept as written");
    let part = |it: Option<String>| it.unwrap_or_else(|| "-".to_owned());
    format!(
        "{} {} {} {}",
        part(reference.host().map(ToString::to_string)),
        reference.repository(),
        part(reference.tag().map(ToString::to_string)),
        part(reference.digest().map(|digest| digest.to_string())),
    )
}

fn error(text: &str) -> ParseReferenceError {
    match text.parse::<Reference>() {
        Ok(reference) => panic!("{text} is taken as {reference:?}"),
        Err(error) => error,
    }
}

#[test]
fn each_part_is_found() {
    let sha512 = format!("sha512:{}", "f".repeat(128));
    let longest = format!("{}a", "a/".repeat(127));
    let check = |text: &str, expected: &str| assert_eq!(parts(text), expected, "{text}");

    check("test_com", "- test_com - -");
    check("test.com:tag", "- test.com tag -");
    check("test.com:5000", "- test.com 5000 -");
    check("test.com/repo:tag", "test.com repo tag -");
    check("test:5000/repo", "test:5000 repo - -");
    check("test:5000/repo:tag", "test:5000 repo tag -");
    check(
        &format!("test:5000/repo@{SHA256}"),
        &format!("test:5000 repo - {SHA256}"),
    );
    check(
        &format!("test:5000/repo:tag@{SHA256}"),
        &format!("test:5000 repo tag {SHA256}"),
    );
    check("lowercase:Uppercase", "- lowercase Uppercase -");
    check(
        &format!("{longest}:tag-puts-this-over-max"),
        &format!("- {longest} tag-puts-this-over-max -"),
    );
    check(
        "sub-dom1.foo.com/bar/baz/quux:some-long-tag",
        "sub-dom1.foo.com bar/baz/quux some-long-tag -",
    );
    check(
        "b.gcr.io/test.example.com/my-app:test.example.com",
        "b.gcr.io test.example.com/my-app test.example.com -",
    );
    check(
        &format!("xn--7o8h.com/myimage:xn--7o8h.com@{sha512}"),
        &format!("xn--7o8h.com myimage xn--7o8h.com {sha512}"),
    );
    check("foo_bar.com:8080", "- foo_bar.com 8080 -");
    check("foo/foo_bar.com:8080", "- foo/foo_bar.com 8080 -");
    check("test_com/foo", "- test_com/foo - -");
    check("test-com:8080/foo", "test-com:8080 foo - -");
    check("192.168.1.1", "- 192.168.1.1 - -");
    check("192.168.1.1:5000", "- 192.168.1.1 5000 -");
    check("192.168.1.1/repo", "192.168.1.1 repo - -");
    check("192.168.1.1:5000/repo:5050", "192.168.1.1:5000 repo 5050 -");
    check("localhost", "- localhost - -");
    check("localhost:5000", "- localhost 5000 -");
    check("localhost/repo", "localhost repo - -");
    check("localhost:5000/repo:1", "localhost:5000 repo 1 -");
    check("localhosts/repo", "- localhosts/repo - -");
    check("[2001:db8::1]/repo", "[2001:db8::1] repo - -");
    check(
        "[2001:db8:1:2:3:4:5:6]/repo:tag",
        "[2001:db8:1:2:3:4:5:6] repo tag -",
    );
    check(
        &format!("[2001:db8::1]:5000/repo:tag@{SHA256}"),
        &format!("[2001:db8::1]:5000 repo tag {SHA256}"),
    );
    check("[2001:db8::]:5000/repo", "[2001:db8::]:5000 repo - -");
    check("[::1]:5000/repo", "[::1]:5000 repo - -");
    check("Docker/docker", "Docker docker - -");
    check("docker---rules/docker", "- docker---rules/docker - -");
    check("dock__er/docker", "- dock__er/docker - -");
    check("d/docker:_x", "- d/docker _x -");
    check(ID, &format!("- {ID} - -"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_broken_rule_has_its_error() {
    use ParseReferenceError as E;
    let component = |text: &str| text.to_owned();
    let too_long = format!("{}a:tag", "a/".repeat(128));
    let host_makes_too_long = format!("registry.example/{}", "a".repeat(240));
    let tag_too_long = format!("a:{}", "t".repeat(129));
    let short_digest = "repo@sha256:ffffffffffffffffffffffffffffffffff";
    let sha256 = Algorithm::Sha256;
    let check = |text: &str, expected: ParseReferenceError| {
        assert_eq!(error(text), expected, "{text}");
    };

    check("", E::Empty);
    check(":justtag", E::EmptyComponent);
    check(&format!("@{SHA256}"), E::EmptyComponent);
    check(
        short_digest,
        E::Digest(ParseDigestError::Length { algorithm: sha256 }),
    );
    check("name@wrong:ffff", E::Digest(ParseDigestError::Algorithm));
    check("name@", E::Digest(ParseDigestError::NoAlgorithm));
    check(
        &format!("a@{SHA256}@{SHA256}"),
        E::Digest(ParseDigestError::Length { algorithm: sha256 }),
    );
    check(
        "Uppercase:tag",
        E::Uppercase {
            component: component("Uppercase"),
        },
    );
    check(
        "test:5000/Upper/lower:tag",
        E::Uppercase {
            component: component("Upper"),
        },
    );
    check(
        "docker/Docker",
        E::Uppercase {
            component: component("Docker"),
        },
    );
    check(&too_long, E::NameTooLong);
    check(&host_makes_too_long, E::NameTooLong);
    check("aa/asdf$$^/aa", E::Character { character: '$' });
    check("naïve", E::Character { character: 'ï' });
    check("a b", E::Character { character: ' ' });
    check("[2001:db8::1]", E::Character { character: '[' });
    check("[2001:db8::1]:5000", E::Character { character: '[' });
    check(
        "[fe80::1%eth0]:5000/repo",
        E::Ipv6 {
            address: component("[fe80::1%eth0]"),
        },
    );
    check(
        "[fe80::1%@invalidzone]:5000/repo",
        E::Digest(ParseDigestError::Algorithm),
    );
    check(
        "[::ffff:1.2.3.4]/repo",
        E::Ipv6 {
            address: component("[::ffff:1.2.3.4]"),
        },
    );
    check(
        "[::1/repo",
        E::Ipv6 {
            address: component("[:"),
        },
    );
    check(
        "fc00::1:5000/debian",
        E::Host {
            host: component("fc00::1"),
        },
    );
    check(
        "-docker.io/docker",
        E::Host {
            host: component("-docker.io"),
        },
    );
    check(
        "docker..io/docker",
        E::Host {
            host: component("docker..io"),
        },
    );
    check(
        "under_score.io/docker",
        E::Host {
            host: component("under_score.io"),
        },
    );
    check(
        "host:/repo",
        E::Port {
            port: component(""),
        },
    );
    check(
        "host:0/repo",
        E::Port {
            port: component("0"),
        },
    );
    check(
        "host:+1/repo",
        E::Port {
            port: component("+1"),
        },
    );
    check(
        "host:65536/repo",
        E::Port {
            port: component("65536"),
        },
    );
    check(
        "https://example.com/a",
        E::Scheme {
            scheme: component("https"),
        },
    );
    check(
        "-docker",
        E::Separator {
            component: component("-docker"),
        },
    );
    check(
        "docker-/docker",
        E::Separator {
            component: component("docker-"),
        },
    );
    check(
        "_docker/_docker",
        E::Separator {
            component: component("_docker"),
        },
    );
    check(
        "____/____",
        E::Separator {
            component: component("____"),
        },
    );
    check(
        "a___b",
        E::Separator {
            component: component("a___b"),
        },
    );
    check(
        "a/dock_.er",
        E::Separator {
            component: component("dock_.er"),
        },
    );
    check(
        "a/dock..er",
        E::Separator {
            component: component("dock..er"),
        },
    );
    check(
        "a/dock-.er",
        E::Separator {
            component: component("dock-.er"),
        },
    );
    check("docker///docker", E::EmptyComponent);
    check("docker/", E::EmptyComponent);
    check("/docker", E::EmptyComponent);
    check(
        "../../etc/passwd",
        E::Host {
            host: component(".."),
        },
    );
    check(
        "a/../../etc/passwd",
        E::Separator {
            component: component(".."),
        },
    );
    check("a:", E::TagEmpty);
    check("a:-b", E::TagStart { character: '-' });
    check("a:.b", E::TagStart { character: '.' });
    check("a/a:b/c", E::TagCharacter { character: '/' });
    check("a:b:c", E::TagCharacter { character: ':' });
    check(&tag_too_long, E::TagTooLong);
}

#[test]
fn docker_names_are_written_out() {
    let check = |text: &str, expected: &str| {
        let normalized = text.parse::<Reference>().unwrap().docker_normalized();
        assert_eq!(normalized.unwrap().to_string(), expected, "{text}");
    };
    check("foo", "docker.io/library/foo");
    check("foo:1", "docker.io/library/foo:1");
    check("foo/bar", "docker.io/foo/bar");
    check("index.docker.io/foo/bar", "docker.io/foo/bar");
    check("index.docker.io/foo", "docker.io/library/foo");
    check("library/ubuntu", "docker.io/library/ubuntu");
    check("docker.io/foo", "docker.io/library/foo");
    check("docker.io/library/foo/bar", "docker.io/library/foo/bar");
    check("test_com/foo", "docker.io/test_com/foo");
    check("test.com:8080/foo", "test.com:8080/foo");
    check("127.0.0.1:8000/privatebase", "127.0.0.1:8000/privatebase");
    check("localhost/foo", "localhost/foo");
    check("Foo/bar", "Foo/bar");
    check("192.168.0.1:80", "docker.io/library/192.168.0.1:80");
    check(
        &format!("busybox:latest@{SHA256}"),
        &format!("docker.io/library/busybox:latest@{SHA256}"),
    );
    check(
        &format!("docker.io/{ID}"),
        &format!("docker.io/library/{ID}"),
    );
    check(&ID[1..], &format!("docker.io/library/{}", &ID[1..]));
}

#[test]
fn docker_refuses_identifiers_and_names_that_grow_too_long() {
    let normalize = |text: &str| text.parse::<Reference>().unwrap().docker_normalized();
    assert_eq!(normalize(ID), Err(ParseReferenceError::Identifier));
    assert_eq!(
        normalize(&"a".repeat(250)),
        Err(ParseReferenceError::NameTooLong)
    );
}

#[test]
fn latest_is_added_only_to_a_bare_name() {
    let check = |text: &str, expected: &str| {
        let reference = text.parse::<Reference>().unwrap().or_latest();
        assert_eq!(reference.to_string(), expected);
    };
    check("a", "a:latest");
    check("a:1", "a:1");
    check(&format!("a@{SHA256}"), &format!("a@{SHA256}"));
}

#[test]
fn a_repository_that_reads_as_a_host_needs_a_host_before_it() {
    let repository: Repository = "b.example/app".parse().unwrap();
    let error = Reference::new(None, repository.clone()).unwrap_err();
    insta::assert_snapshot!(error, @"`b.example` at the start of a repository would be read as a registry's host");
    let host = "a.example".parse().unwrap();
    let reference = Reference::new(Some(host), repository).unwrap();
    assert_eq!(parts(&reference.to_string()), "a.example b.example/app - -");
}

#[test]
fn error_texts_name_what_broke_the_rule() {
    let check = |text: &str| error(text).to_string();
    insta::assert_snapshot!(check("app/Web:1"), @"the name of a repository is lower case, and `Web` is not");
    insta::assert_snapshot!(check("host:x/app"), @"`x` is no port: it is a number from 1 to 65535");
    insta::assert_snapshot!(check("app:a b"), @"` ` cannot stand in a tag");
    insta::assert_snapshot!(check("app@sha256:0"), @"the part after `@` is no digest");
}

proptest! {
    #[test]
    fn any_text_parses_to_itself_or_is_refused(text in "\\PC{0,80}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn printed_references_parse_to_the_same_parts(
        host in proptest::option::of("(localhost|[a-zA-Z0-9]{1,5}(-[a-z]{1,3})?\\.[a-z]{2,3}|\\[::[0-9a-f]{1,4}\\])(:[1-9][0-9]{0,3})?"),
        repository in "[a-z0-9]{1,8}((__|_|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,8}(\\.[a-z0-9]{1,4})?){0,3}",
        tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"),
        hash in proptest::option::of(any::<[u8; 32]>()),
    ) {
        prop_assume!(host.is_some() || !repository.starts_with("localhost/"));
        let host: Option<RegistryHost> = host.map(|it| it.parse().unwrap());
        let mut reference = Reference::new(host, repository.parse().unwrap()).unwrap();
        if let Some(tag) = tag {
            reference = reference.with_tag(tag.parse().unwrap());
        }
        if let Some(hash) = hash {
            reference = reference.with_digest(Digest::from_bytes(Algorithm::Sha256, &hash).unwrap());
        }
        prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
    }
}
