//! Manifests, blobs, tags and referrers, as they are read.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use imgcore::{Descriptor, Digest, Document, Hasher, MediaType, Tag};
use imgregistry::{ErrorKind, Remote, TagOrDigest};
use imgstore::{BlobSource, BlobSourceExt, Presence};
use imgtest::registry::{Fault, Faults, InProcess, Recorder, RequestClass, handler, respond};

use crate::network::{hasty, patient, remote};

const INDEX: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

fn tag(text: &str) -> TagOrDigest {
    TagOrDigest::from(text.parse::<Tag>().unwrap())
}

/// A repository whose registry answers every manifest request like this.
fn answering(headers: &[(&str, &str)], body: &'static [u8]) -> Remote {
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let handler = handler(move |_| {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        respond(200, &headers, body)
    });
    remote(hasty(
        InProcess::new().with("https://registry.example.com", handler),
    ))
}

#[tokio::test]
async fn a_manifest_is_classified_and_keeps_its_bytes() {
    let repository = answering(&[("Content-Type", INDEX_TYPE)], INDEX);
    let fetched = repository.manifest(&tag("v1")).await.unwrap();
    assert!(matches!(fetched.document, Document::Index(_)));
    assert_eq!(fetched.document.bytes(), INDEX);
    assert_eq!(
        fetched.descriptor,
        Descriptor::of(MediaType::OCI_INDEX, INDEX)
    );
}

#[tokio::test]
async fn a_vague_content_type_says_nothing_against_a_manifest() {
    for content_type in [
        "application/json; charset=utf-8",
        "text/plain",
        "application/octet-stream",
    ] {
        let repository = answering(&[("Content-Type", content_type)], INDEX);
        repository.manifest(&tag("v1")).await.unwrap();
    }
    answering(&[], INDEX).manifest(&tag("v1")).await.unwrap();
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let check = async |headers: &[(&str, &str)], body, expected: ErrorKind| {
        let error = answering(headers, body)
            .manifest(&tag("v1"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
    };
    let manifest_type = [("Content-Type", "application/vnd.oci.image.manifest.v1+json")];
    check(&manifest_type, INDEX, ErrorKind::Protocol).await;
    check(&[], b"<html>", ErrorKind::Protocol).await;
    check(&[], br#"{"layers":[],"manifests":[]}"#, ErrorKind::Protocol).await;
}

#[tokio::test]
async fn the_requested_digest_decides_and_then_the_header() {
    let asked = Digest::sha256_of(b"something else");
    let repository = answering(&[], INDEX);
    let error = repository.manifest(&asked.into()).await.unwrap_err();
    let expected = ErrorKind::DigestMismatch {
        expected: asked,
        actual: Digest::sha256_of(INDEX),
    };
    assert_eq!(error.kind(), expected);

    let header = asked.to_string();
    let lying = answering(&[("Docker-Content-Digest", &header)], INDEX);
    assert_eq!(
        lying.manifest(&tag("v1")).await.unwrap_err().kind(),
        expected
    );
    // What was asked for has been proved: the header is of no interest then.
    let right = Digest::sha256_of(INDEX);
    assert!(lying.manifest(&right.into()).await.is_ok());
}

#[tokio::test]
async fn a_long_digest_is_checked_and_kept() {
    let mut hasher = Hasher::new(imgcore::Algorithm::Sha512);
    hasher.update(INDEX);
    let digest = hasher.finish();
    let fetched = answering(&[], INDEX)
        .manifest(&digest.into())
        .await
        .unwrap();
    assert_eq!(fetched.descriptor.digest, digest);
}

#[tokio::test]
async fn a_head_says_what_a_tag_stands_for() {
    let digest = Digest::sha256_of(INDEX).to_string();
    let recorder = Recorder::new(handler(move |_| {
        let headers = [
            ("Content-Type", INDEX_TYPE),
            ("Docker-Content-Digest", digest.as_str()),
        ];
        respond(200, &headers, INDEX)
    }));
    let repository = remote(hasty(
        InProcess::new().with("https://registry.example.com", recorder.clone()),
    ));
    let found = repository.head_manifest(&tag("v1")).await.unwrap().unwrap();
    assert_eq!(found, Descriptor::of(MediaType::OCI_INDEX, INDEX));
    assert_eq!(recorder.len(), 1);

    // Without the header, the document has to say it.
    let found = answering(&[], INDEX)
        .head_manifest(&tag("v1"))
        .await
        .unwrap();
    assert_eq!(found.unwrap().digest, Digest::sha256_of(INDEX));
    let empty = remote(hasty(InProcess::new().with(
        "https://registry.example.com",
        handler(|_| respond(404, &[], "")),
    )));
    assert_eq!(empty.head_manifest(&tag("v1")).await.unwrap(), None);
}

/// A registry with one blob that answers ranges, or does not.
fn blob_server(content: Bytes, has_ranges: bool) -> std::sync::Arc<Faults> {
    let server = handler(move |request| {
        let range = request.headers.get("range").filter(|_| has_ranges);
        let Some(range) = range else {
            return respond(200, &[], content.clone());
        };
        let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let start: usize = start.parse().unwrap();
        let end = end.parse().map_or(content.len(), |last: usize| last + 1);
        let header = format!("bytes {start}-{}/{}", end - 1, content.len());
        respond(
            206,
            &[("Content-Range", &header)],
            content.slice(start..end),
        )
    });
    Faults::new(server)
}

fn content() -> Bytes {
    (0..=250_u8)
        .cycle()
        .take(300_000)
        .collect::<Vec<_>>()
        .into()
}

#[tokio::test(start_paused = true)]
async fn a_transfer_goes_on_where_it_broke_off() {
    for has_ranges in [true, false] {
        let content = content();
        let faults = blob_server(content.clone(), has_ranges);
        faults.once(RequestClass::GetBlob, Fault::Truncate { after: 100_000 });
        let recorder = Recorder::new(faults);
        let network = InProcess::new().with("https://registry.example.com", recorder.clone());
        let repository = remote(patient(network));
        let descriptor = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
        let read = repository.read_all(&descriptor, u64::MAX).await.unwrap();
        assert_eq!(read, content);
        let asked = recorder.exchanges();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].header("range"), None);
        assert_eq!(asked[1].header("range"), Some("bytes=100000-"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_breaks_off_again_and_again_ends_with_one_error() {
    let content = content();
    let faults = blob_server(content.clone(), true);
    faults.always(RequestClass::GetBlob, Fault::Truncate { after: 10 });
    let recorder = Recorder::new(faults);
    let network = InProcess::new().with("https://registry.example.com", recorder.clone());
    let descriptor = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    let repository = remote(patient(network));
    let error = repository
        .read_all(&descriptor, u64::MAX)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), imgstore::ErrorKind::Unavailable);
    let source = std::error::Error::source(&error).unwrap();
    let source: &imgregistry::Error = source.downcast_ref().unwrap();
    assert_eq!(
        (source.attempts(), source.digest()),
        (6, Some(descriptor.digest))
    );
    assert_eq!(recorder.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_signed_url_that_has_ended_is_asked_for_again() {
    let signatures = AtomicUsize::new(0);
    let registry = Recorder::new(handler(move |_| {
        let signature = signatures.fetch_add(1, Ordering::Relaxed);
        let location = format!("https://storage.example/blob?sig={signature}");
        respond(307, &[("Location", &location)], "")
    }));
    let storage = handler(|request| match request.uri.query() {
        Some("sig=0") => respond(403, &[], "Request has expired"),
        _ => respond(200, &[], "hello"),
    });
    let network = InProcess::new()
        .with("https://registry.example.com", registry.clone())
        .with("https://storage.example", storage);
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"hello");
    let read = remote(patient(network)).read_all(&layer, 10).await.unwrap();
    assert_eq!(read, "hello");
    assert_eq!(registry.len(), 2);
}

#[tokio::test]
async fn a_part_is_read_alone_or_cut_out_of_the_whole() {
    for has_ranges in [true, false] {
        let content = content();
        let server = blob_server(content.clone(), has_ranges);
        let repository = remote(hasty(
            InProcess::new().with("https://registry.example.com", server),
        ));
        let descriptor = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
        let mut stream = repository
            .open_range(&descriptor, 1000..2000)
            .await
            .unwrap();
        let mut part = Vec::new();
        while let Some(bytes) = stream.next().await {
            part.extend_from_slice(&bytes.unwrap());
        }
        assert_eq!(part, &content[1000..2000]);
    }
}

#[tokio::test]
async fn bytes_that_are_not_the_blob_never_end_well() {
    let content = content();
    let mut wrong = content.to_vec();
    wrong[200_000] ^= 1;
    let server = blob_server(wrong.into(), true);
    let repository = remote(hasty(
        InProcess::new().with("https://registry.example.com", server),
    ));
    let descriptor = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    let error = repository
        .read_all(&descriptor, u64::MAX)
        .await
        .unwrap_err();
    assert!(matches!(
        error.kind(),
        imgstore::ErrorKind::DigestMismatch { .. }
    ));
}

#[tokio::test]
async fn a_registry_without_head_is_asked_for_the_first_byte() {
    let content = content();
    let size = content.len() as u64;
    let server = blob_server(content.clone(), true);
    server.always(RequestClass::HeadBlob, Fault::status(405));
    let repository = remote(hasty(
        InProcess::new().with("https://registry.example.com", server),
    ));
    let digests = [Digest::sha256_of(&content)];
    let answers = repository.stat(&digests).await.unwrap();
    assert_eq!(answers, [Presence::Present { size }]);
}

#[tokio::test]
async fn pages_of_tags_are_followed_on_their_own_host_only() {
    let pages = handler(|request| match request.uri.query() {
        None => respond(
            200,
            &[("Link", "</v2/team/app/tags/list?last=b>; rel=\"next\"")],
            r#"{"name":"team/app","tags":["a","b"]}"#,
        ),
        Some(_) => respond(200, &[], r#"{"name":"team/app","tags":null}"#),
    });
    let repository = remote(hasty(
        InProcess::new().with("https://registry.example.com", pages),
    ));
    let tags = repository.tags().all().await.unwrap();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["a", "b"]);

    let elsewhere = handler(|_| {
        let link = "<https://evil.example/v2/team/app/tags/list?last=b>; rel=\"next\"";
        respond(200, &[("Link", link)], r#"{"tags":["a"]}"#)
    });
    let network = InProcess::new().with("https://registry.example.com", elsewhere);
    let repository = remote(hasty(network.clone()));
    let error = repository.tags().all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert!(network.unreached().is_empty());

    let circle = handler(|_| {
        let link = "</v2/team/app/tags/list>; rel=next";
        respond(200, &[("Link", link)], r#"{"tags":["a"]}"#)
    });
    let repository = remote(hasty(
        InProcess::new().with("https://registry.example.com", circle),
    ));
    let error = repository.tags().all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn referrers_come_from_the_question_or_from_the_tag() {
    let subject = Digest::sha256_of(b"subject");
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX_TYPE}","manifests":[
            {{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{subject}","size":7,"artifactType":"a/b"}},
            {{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{subject}","size":7,"artifactType":"c/d"}}]}}"#
    );
    let server = move |has_question: bool| {
        let list = list.clone();
        handler(move |request| {
            let path = request.uri.path();
            let tag = format!("manifests/sha256-{}", subject.hex());
            let is_known = (has_question && path.contains("/referrers/")) || path.ends_with(&tag);
            if is_known {
                return respond(200, &[("Content-Type", INDEX_TYPE)], list.clone());
            }
            respond(404, &[], "")
        })
    };
    for has_question in [true, false] {
        let network = InProcess::new().with("https://registry.example.com", server(has_question));
        let repository = remote(hasty(network));
        let all = repository.referrers(&subject, None).await.unwrap();
        assert_eq!((all.manifests.len(), all.from_tag), (2, !has_question));
        let some = repository.referrers(&subject, Some("c/d")).await.unwrap();
        assert_eq!(some.manifests.len(), 1);
    }
    let network = InProcess::new().with(
        "https://registry.example.com",
        handler(|_| respond(404, &[], "")),
    );
    let none = remote(hasty(network))
        .referrers(&subject, None)
        .await
        .unwrap();
    assert!(none.manifests.is_empty() && none.from_tag);
}
