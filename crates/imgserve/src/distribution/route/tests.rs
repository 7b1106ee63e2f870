use http::header::ALLOW;
use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const ID: &str = "0123456789abcdef0123456789abcdef";

fn routed(method: &str, url: &str) -> Result<Operation, Refusal> {
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (url, None),
    };
    let url = path.replace("DIGEST", DIGEST).replace("ID", ID);
    let query = query.map(|query| query.replace("DIGEST", DIGEST));
    route(&method.parse().unwrap(), &url, query.as_deref())
}

fn app() -> Repository {
    "team/app".parse().unwrap()
}

fn hello() -> Digest {
    DIGEST.parse().unwrap()
}

fn latest() -> ManifestReference {
    ManifestReference::Tag("latest".parse().unwrap())
}

fn upload() -> UploadName {
    UploadName {
        repository: app(),
        id: ID.into(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "so the cases are shorter")]
fn check(method: &str, url: &str, expected: Operation) {
    assert_eq!(routed(method, url).unwrap(), expected, "{method} {url}");
}

#[test]
fn every_endpoint_of_the_specification_is_an_operation() {
    let (repository, digest) = (app(), hello());
    for url in ["/v2", "/v2/"] {
        check("GET", url, Operation::Base);
    }
    for method in ["GET", "HEAD"] {
        let read = Operation::BlobRead {
            repository: app(),
            digest,
        };
        check(method, "/v2/team/app/blobs/DIGEST", read);
        let read = Operation::ManifestRead {
            repository: app(),
            reference: latest(),
        };
        check(method, "/v2/team/app/manifests/latest", read);
    }
    let reference = ManifestReference::Digest(digest);
    let read = Operation::ManifestRead {
        repository: app(),
        reference: reference.clone(),
    };
    check("GET", "/v2/team/app/manifests/DIGEST", read);
    let write = Operation::ManifestWrite {
        repository: app(),
        reference: latest(),
        tags: Vec::new(),
    };
    check("PUT", "/v2/team/app/manifests/latest", write);
    let tags = ["a", "b"].map(|tag| tag.parse().unwrap()).to_vec();
    let write = Operation::ManifestWrite {
        repository: app(),
        reference,
        tags,
    };
    check("PUT", "/v2/team/app/manifests/DIGEST?tag=a&tag=b", write);
    let delete = Operation::ManifestDelete {
        repository: app(),
        reference: latest(),
    };
    check("DELETE", "/v2/team/app/manifests/latest", delete);
    let delete = Operation::BlobDelete { repository, digest };
    check("DELETE", "/v2/team/app/blobs/DIGEST", delete);
}

#[test]
fn uploads_are_started_in_four_ways() {
    let start = |digest, mount| Operation::UploadStart {
        repository: app(),
        digest,
        mount,
    };
    let mount = |from: Option<&str>| {
        Some(Mount {
            digest: hello(),
            from: from.map(|name| name.parse().unwrap()),
        })
    };
    check("POST", "/v2/team/app/blobs/uploads/", start(None, None));
    check("POST", "/v2/team/app/blobs/uploads", start(None, None));
    let url = "/v2/team/app/blobs/uploads/?digest=DIGEST";
    check("POST", url, start(Some(hello()), None));
    let url = "/v2/team/app/blobs/uploads/?mount=DIGEST&from=other/app";
    check("POST", url, start(None, mount(Some("other/app"))));
    for url in ["?mount=DIGEST", "?from=&mount=DIGEST"] {
        let url = format!("/v2/team/app/blobs/uploads/{url}");
        check("POST", &url, start(None, mount(None)));
    }
}

#[test]
fn an_upload_has_a_name() {
    let url = "/v2/team/app/blobs/uploads/ID";
    let upload = upload();
    check(
        "GET",
        url,
        Operation::UploadStatus {
            upload: upload.clone(),
        },
    );
    check(
        "PATCH",
        url,
        Operation::UploadAppend {
            upload: upload.clone(),
        },
    );
    check(
        "DELETE",
        url,
        Operation::UploadCancel {
            upload: upload.clone(),
        },
    );
    let finish = Operation::UploadFinish {
        upload,
        digest: hello(),
    };
    check("PUT", &format!("{url}?digest=DIGEST"), finish.clone());
    let escaped = format!("{url}?state=x&digest={}", DIGEST.replace(':', "%3A"));
    check("PUT", &escaped, finish);
}

#[test]
fn lists_have_pages_and_filters() {
    let tags = |limit, last: Option<&str>| Operation::Tags {
        repository: app(),
        limit,
        last: last.map(str::to_owned),
    };
    check("GET", "/v2/team/app/tags/list", tags(None, None));
    let url = "/v2/team/app/tags/list?n=2&last=b";
    check("GET", url, tags(Some(2), Some("b")));
    let url = "/v2/team/app/tags/list?n=99999999999999999999999";
    check("GET", url, tags(Some(usize::MAX), None));
    let referrers = |artifact_type: Option<&str>, last| Operation::Referrers {
        repository: app(),
        subject: hello(),
        artifact_type: artifact_type.map(str::to_owned),
        last,
    };
    check(
        "GET",
        "/v2/team/app/referrers/DIGEST",
        referrers(None, None),
    );
    let url = "/v2/team/app/referrers/DIGEST?artifactType=a%2Fb%2Bjson&last=DIGEST";
    check("GET", url, referrers(Some("a/b+json"), Some(hello())));
}

#[test]
fn repositories_may_be_called_like_resources() {
    for name in [
        "blobs",
        "tags/list",
        "a/blobs/uploads",
        "manifests/latest",
        "v2",
    ] {
        let url = format!("/v2/{name}/manifests/latest");
        let read = Operation::ManifestRead {
            repository: name.parse().unwrap(),
            reference: latest(),
        };
        check("GET", &url, read);
    }
}

#[test]
fn what_is_no_operation_is_refused() {
    let check = |method: &str, url: &str, status: u16, code: Code| {
        let refusal = routed(method, url).expect_err(url);
        let found = (refusal.status().as_u16(), refusal.code());
        assert_eq!(found, (status, code), "{method} {url}");
    };
    for url in [
        "",
        "/",
        "/v1/",
        "/v22/",
        "v2/",
        "/v2/_catalog",
        "/v2/app",
        "/v2/app/tags",
    ] {
        check("GET", url, 404, Code::Unsupported);
    }
    for url in [
        "/v2/app/tags/list/",
        "/v2/app/blobs/DIGEST/",
        "/v2/app/other/x",
    ] {
        check("GET", url, 404, Code::Unsupported);
    }
    for name in [
        "Team", "a//b", "a/", "/a", "a..b", "_a", "%2e%2e", "a/../b", "a b", "", ".",
    ] {
        let url = format!("/v2/{name}/manifests/latest");
        check("GET", &url, 400, Code::NameInvalid);
    }
    check("POST", "/v2/A/blobs/uploads/", 400, Code::NameInvalid);
    let url = "/v2/a/blobs/uploads/?mount=DIGEST&from=../b";
    check("POST", url, 400, Code::NameInvalid);
    for digest in ["sha256:12", "md5:aa", "latest", "sha256%3a12"] {
        check(
            "GET",
            &format!("/v2/a/blobs/{digest}"),
            400,
            Code::DigestInvalid,
        );
        let url = format!("/v2/a/blobs/uploads/?digest={digest}");
        check("POST", &url, 400, Code::DigestInvalid);
    }
    check(
        "PUT",
        "/v2/a/manifests/sha256:bad",
        400,
        Code::DigestInvalid,
    );
    check("PUT", "/v2/a/blobs/uploads/ID", 400, Code::DigestInvalid);
    check("GET", "/v2/a/manifests/-x", 400, Code::TagInvalid);
    check("PUT", "/v2/a/manifests/a?tag=-", 400, Code::TagInvalid);
    let many = "&tag=a".repeat(11);
    check(
        "PUT",
        &format!("/v2/a/manifests/a?{many}"),
        414,
        Code::TagInvalid,
    );
    for id in ["x", &ID.to_uppercase(), &format!("{ID}0"), "..", "%2e%2e"] {
        let url = format!("/v2/a/blobs/uploads/{id}");
        check("PATCH", &url, 404, Code::BlobUploadUnknown);
    }
    for n in ["x", "-1", "+1", "1.5"] {
        let url = format!("/v2/a/tags/list?n={n}").replace('+', "%2B");
        check("GET", &url, 400, Code::PaginationNumberInvalid);
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let cases = [
        ("POST", "/v2/", "GET, HEAD"),
        ("PUT", "/v2/a/blobs/DIGEST", "GET, HEAD, DELETE"),
        ("POST", "/v2/a/manifests/b", "GET, HEAD, PUT, DELETE"),
        ("DELETE", "/v2/a/tags/list", "GET, HEAD"),
        ("PUT", "/v2/a/referrers/DIGEST", "GET, HEAD"),
        ("GET", "/v2/a/blobs/uploads/", "POST"),
        (
            "POST",
            "/v2/a/blobs/uploads/ID",
            "GET, HEAD, PATCH, PUT, DELETE",
        ),
        ("BREW", "/v2/a/tags/list", "GET, HEAD"),
    ];
    for (method, url, allowed) in cases {
        let refusal = routed(method, url).unwrap_err();
        assert_eq!(refusal.status(), 405, "{method} {url}");
        let response = refusal.into_response(false);
        assert_eq!(response.headers()[ALLOW], allowed, "{method} {url}");
    }
}

proptest! {
    #[test]
    fn no_path_and_query_do_harm(
        method in "[A-Z]{1,8}",
        path in "(/|v2|[a-z%.:_-]{0,9}|sha256:|blobs|uploads|manifests|\\PC{0,3}){0,12}",
        query in proptest::option::of("([a-z]{1,6}=?[a-z0-9%:/&]{0,12}){0,4}"),
    ) {
        let method: Method = method.parse().unwrap();
        for path in [path.clone(), format!("/v2/{path}"), format!("/v2/a/blobs/uploads/{path}")] {
            if let Err(refusal) = route(&method, &path, query.as_deref()) {
                prop_assert!(refusal.status().is_client_error());
            }
        }
    }
}
