//! Manifests: put, read by tag and digest, refused, deleted.

use imgcore::{Descriptor, Digest, MediaType};
use imgserve::distribution::{MissingContent, Registry, RegistryOptions};
use imgserve::http::body;

use crate::peer::{Peer, image, json, on_both, sha512};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[tokio::test]
async fn a_manifest_is_read_by_tag_and_digest() {
    on_both(async |peer| {
        peer.push_blob("team/app", b"{}").await;
        let text = image("x", None);
        let digest = Digest::sha256_of(text.as_bytes());
        let put = peer.put("team/app", "v1", &text).await;
        let location = format!("/v2/team/app/manifests/{digest}");
        assert_eq!(put.expect(201).header("location"), location);
        assert_eq!(put.header("docker-content-digest"), digest.to_string());
        assert_eq!(put.header("oci-tag"), "v1");
        assert!(!put.headers.contains_key("oci-subject"));

        for url in [location, "/v2/team/app/manifests/v1".to_owned()] {
            let reply = peer.get(&url).await;
            assert_eq!(reply.expect(200).bytes(), text.as_bytes());
            let head = peer.call("HEAD", &url).send().await;
            assert_eq!(head.expect(200).bytes(), b"");
            for reply in [reply, head] {
                assert_eq!(reply.header("content-type"), MANIFEST);
                assert_eq!(reply.header("docker-content-digest"), digest.to_string());
                assert_eq!(reply.header("content-length"), text.len().to_string());
            }
        }
        let other = peer.get("/v2/team/app/manifests/v2").await;
        other.refused(404, "MANIFEST_UNKNOWN");
        let other = peer
            .get(&format!("/v2/team/other/manifests/{digest}"))
            .await;
        other.refused(404, "MANIFEST_UNKNOWN");
        let head = peer.call("HEAD", "/v2/team/app/manifests/v2").send().await;
        assert_eq!(head.expect(404).bytes(), b"");
    })
    .await;
}

#[tokio::test]
async fn an_index_needs_its_images() {
    on_both(async |peer| {
        let image = peer.push_image("app", "one", "1").await;
        let index = |children: &[&Descriptor]| {
            let children: Vec<_> = children.iter().map(|child| json(child)).collect();
            let index = serde_json::json!({
                "schemaVersion": 2, "mediaType": INDEX, "manifests": children,
            });
            index.to_string()
        };
        let missing = Descriptor::of(MediaType::OCI_MANIFEST, b"elsewhere");
        let sparse = peer.put("app", "all", &index(&[&image, &missing])).await;
        sparse.refused(400, "MANIFEST_BLOB_UNKNOWN");
        assert!(String::from_utf8_lossy(sparse.bytes()).contains(&missing.digest.to_string()));

        let text = index(&[&image]);
        peer.put("app", "all", &text).await.expect(201);
        let nested = Descriptor::of(MediaType::OCI_INDEX, text.as_bytes());
        peer.put("app", "nested", &index(&[&nested]))
            .await
            .expect(201);
        peer.put("app", "empty", &index(&[])).await.expect(201);
        let reply = peer.get("/v2/app/manifests/nested").await;
        assert_eq!(reply.expect(200).header("content-type"), INDEX);
    })
    .await;
}

#[tokio::test]
async fn an_image_needs_its_content() {
    on_both(async |peer| {
        let text = image("x", None);
        let missing = peer.put("app", "v1", &text).await;
        missing.refused(400, "MANIFEST_BLOB_UNKNOWN");
        // Another repository's blob is none of this one's.
        peer.push_blob("other", b"{}").await;
        let missing = peer.put("app", "v1", &text).await;
        missing.refused(400, "MANIFEST_BLOB_UNKNOWN");
        peer.push_blob("app", b"{}").await;
        peer.put("app", "v1", &text).await.expect(201);

        let layer = |media_type: &str, size: u64| {
            let layer = peer_layer(media_type, size);
            let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
            manifest["layers"] = serde_json::json!([layer]);
            manifest.to_string()
        };
        let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
        peer.put("app", "v2", &layer(foreign, 5)).await.expect(201);
        let tar = "application/vnd.oci.image.layer.v1.tar";
        let missing = peer.put("app", "v3", &layer(tar, 5)).await;
        missing.refused(400, "MANIFEST_BLOB_UNKNOWN");
        peer.push_blob("app", b"layer").await;
        let wrong = peer.put("app", "v3", &layer(tar, 6)).await;
        wrong.refused(400, "MANIFEST_INVALID");
        peer.put("app", "v3", &layer(tar, 5)).await.expect(201);
    })
    .await;
}

fn peer_layer(media_type: &str, size: u64) -> serde_json::Value {
    serde_json::json!({
        "mediaType": media_type, "digest": Digest::sha256_of(b"layer").to_string(), "size": size,
    })
}

#[tokio::test]
async fn sparse_images_are_taken_where_they_are_wanted() {
    let options = RegistryOptions::default().with_missing_content(MissingContent::Accept);
    let peer = Peer::new(Registry::in_memory().with_options(options));
    peer.put("app", "v1", &image("x", None)).await.expect(201);
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    on_both(async |peer| {
        peer.push_blob("app", b"{}").await;
        let put = |media_type: &str, text: &str| {
            let call = peer.call("PUT", "/v2/app/manifests/v1");
            let call = call.with("content-type", media_type);
            call.body(text.to_owned()).send()
        };
        let good = image("x", None);
        for (media_type, text) in [
            (MANIFEST, ""),
            (MANIFEST, "{}"),
            (MANIFEST, "[]"),
            (MANIFEST, "no json"),
            (MANIFEST, r#"{"schemaVersion":2,"manifests":[]}"#),
            (INDEX, good.as_str()),
            ("application/vnd.example", good.as_str()),
            (MANIFEST, r#"{"schemaVersion":1,"fsLayers":[]}"#),
        ] {
            put(media_type, text).await.refused(400, "MANIFEST_INVALID");
        }
        let with_parameter = format!("{MANIFEST}; charset=utf-8");
        put(&with_parameter, &good).await.expect(201);
        // Without a word from the client, the document says what it is.
        let bare = peer.call("PUT", "/v2/app/manifests/v2").body(good.clone());
        bare.send().await.expect(201);
        let reply = peer.get("/v2/app/manifests/v2").await;
        assert_eq!(reply.expect(200).header("content-type"), MANIFEST);
    })
    .await;
}

#[tokio::test]
async fn a_manifest_must_be_what_its_digest_says() {
    on_both(async |peer| {
        peer.push_blob("app", b"{}").await;
        let text = image("x", None);
        let other = Digest::sha256_of(b"other").to_string();
        let wrong = peer.put("app", &other, &text).await;
        wrong.refused(400, "DIGEST_INVALID");
        let wrong = peer.put("app", "sha256:baddigeststring", &text).await;
        wrong.refused(400, "DIGEST_INVALID");
        let missing = peer.get(&format!("/v2/app/manifests/{other}")).await;
        missing.refused(404, "MANIFEST_UNKNOWN");

        let digest = sha512(text.as_bytes());
        let reference = format!("{digest}?tag=a&tag=B");
        let put = peer.put("app", &reference, &text).await;
        assert_eq!(
            put.expect(201).header("docker-content-digest"),
            digest.to_string()
        );
        let tags: Vec<_> = put.headers.get_all("oci-tag").iter().collect();
        assert_eq!(tags, ["a", "B"]);
        for reference in [digest.to_string(), "a".into(), "B".into()] {
            let reply = peer.get(&format!("/v2/app/manifests/{reference}")).await;
            assert_eq!(reply.expect(200).bytes(), text.as_bytes());
            assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        }
    })
    .await;
}

#[tokio::test]
async fn a_manifest_has_a_limit() {
    on_both(async |peer| {
        peer.push_blob("app", b"{}").await;
        let large = image(&"x".repeat(4 * 1024 * 1024), None);
        peer.put("app", "large", &large).await.expect(201);
        let reply = peer.get("/v2/app/manifests/large").await;
        assert_eq!(reply.expect(200).bytes(), large.as_bytes());

        let limit = 8 * 1024 * 1024;
        let announced = peer.call("PUT", "/v2/app/manifests/huge");
        let announced = announced.with("content-length", &(limit + 1).to_string());
        announced.send().await.refused(413, "SIZE_INVALID");
        let streamed = peer.call("PUT", "/v2/app/manifests/huge");
        let streamed = streamed.streamed(body::full(vec![b' '; limit + 1]));
        streamed.send().await.refused(413, "SIZE_INVALID");
    })
    .await;
}

#[tokio::test]
async fn deleting_a_tag_leaves_the_manifest_and_deleting_the_manifest_takes_its_tags() {
    on_both(async |peer| {
        let image = peer.push_image("app", "one", "x").await;
        peer.push_image("app", "two", "x").await;
        peer.push_image("app", "other", "y").await;
        let url = |reference: &str| format!("/v2/app/manifests/{reference}");
        let digest = image.digest.to_string();

        peer.call("DELETE", &url("one")).send().await.expect(202);
        peer.get(&url("one")).await.refused(404, "MANIFEST_UNKNOWN");
        let again = peer.call("DELETE", &url("one")).send().await;
        again.refused(404, "MANIFEST_UNKNOWN");
        peer.get(&url("two")).await.expect(200);
        peer.get(&url(&digest)).await.expect(200);

        peer.call("DELETE", &url(&digest)).send().await.expect(202);
        for reference in ["two", &digest] {
            peer.get(&url(reference))
                .await
                .refused(404, "MANIFEST_UNKNOWN");
        }
        let again = peer.call("DELETE", &url(&digest)).send().await;
        again.refused(404, "MANIFEST_UNKNOWN");
        let tags = peer.get("/v2/app/tags/list").await.json();
        assert_eq!(tags["tags"], serde_json::json!(["other"]));
        // It can come back.
        peer.push_image("app", "one", "x").await;
        peer.get(&url(&digest)).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_tag_moves() {
    on_both(async |peer| {
        let old = peer.push_image("app", "latest", "old").await;
        let new = peer.push_image("app", "latest", "new").await;
        let reply = peer.get("/v2/app/manifests/latest").await;
        assert_eq!(
            reply.header("docker-content-digest"),
            new.digest.to_string()
        );
        peer.get(&format!("/v2/app/manifests/{}", old.digest))
            .await
            .expect(200);
    })
    .await;
}
