//! Bytes and documents that are not what they claim to be.

use super::*;

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_what_the_digest_names_are_refused() {
    for (fault, what) in [
        (Fault::Corrupt, "a flipped bit"),
        (Fault::Extend { by: 1 }, "a byte more"),
        (Fault::Extend { by: 1 << 20 }, "a MiB more"),
    ] {
        let mut scene = Scene::new().await;
        scene.script(RequestClass::GetBlob, fault.clone());
        let layer = scene.image.layers[1].clone();
        let failed = read(&scene.remote(), &layer).await.expect_err(what);
        scene.hear(&failed);
        scene.end(what);
        let mut scene = Scene::new().await;
        scene.script(RequestClass::GetManifest, fault);
        let failed = manifest(&scene.remote()).await.expect_err(what);
        scene.hear(&failed);
        scene.end(what);
    }
}

#[tokio::test(start_paused = true)]
async fn the_digest_that_was_asked_for_goes_before_the_one_in_the_header() {
    let other = imgtest::image::ImageBuilder::new()
        .config("Cmd", ["other"])
        .build();
    let asked = image().manifest.digest;
    // A registry that answers with another manifest, and says so.
    let bytes = Bytes::copy_from_slice(other.blob(&other.manifest));
    let lie = other.manifest.digest.to_string();
    let media_type = other.manifest.media_type.to_string();
    let mut scene = Scene::new().await;
    scene.script(
        RequestClass::GetManifest,
        Fault::change(move |response| {
            if response.status().is_success() {
                let headers = [
                    ("Docker-Content-Digest", lie.as_str()),
                    ("Content-Type", media_type.as_str()),
                ];
                *response = respond(200, &headers, bytes.clone());
            }
        }),
    );
    let at = TagOrDigest::from(asked);
    let failed = Failed::Client(scene.remote().manifest(&at).await.unwrap_err());
    let expected = ErrorKind::DigestMismatch {
        expected: asked,
        actual: other.manifest.digest,
    };
    assert_eq!(failed.error().kind(), expected);
    scene.end("another manifest");
}

#[tokio::test(start_paused = true)]
async fn a_header_that_disagrees_with_the_manifest_is_an_error() {
    let mut scene = Scene::new().await;
    let lie = Digest::sha256_of(b"another").to_string();
    scene.script(
        RequestClass::GetManifest,
        set_on_success("docker-content-digest", &lie),
    );
    let failed = manifest(&scene.remote()).await.unwrap_err();
    assert!(matches!(
        failed.error().kind(),
        ErrorKind::DigestMismatch { .. }
    ));
    scene.end("a header that lies");
}

#[tokio::test(start_paused = true)]
async fn a_manifest_without_the_header_is_named_by_its_bytes() {
    let mut scene = Scene::new().await;
    scene.script(
        RequestClass::GetManifest,
        Fault::remove_header("docker-content-digest"),
    );
    let digest = manifest(&scene.remote()).await.unwrap();
    assert_eq!(digest, scene.image.manifest.digest);
    scene.end("no header");
}

/// Answers the manifest with this document under this type.
async fn served(content_type: &'static str, document: &'static str) -> Result<Digest, Failed> {
    let mut scene = Scene::new().await;
    scene.script(
        RequestClass::GetManifest,
        Fault::change(move |response| {
            if response.status().is_success() {
                *response = respond(200, &[("Content-Type", content_type)], document);
            }
        }),
    );
    let outcome = manifest(&scene.remote()).await;
    if let Err(failed) = &outcome {
        scene.hear(failed);
    }
    scene.end(document);
    outcome
}

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

#[tokio::test(start_paused = true)]
async fn documents_that_can_be_read_in_two_ways_are_refused() {
    let manifest_body =
        format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}",{CONFIG},"layers":[]}}"#);
    let index_body = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[]}}"#);
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let (manifest_body, index_body) = (leak(manifest_body), leak(index_body));
    served(OCI_MANIFEST, manifest_body).await.unwrap();
    served(OCI_INDEX, index_body).await.unwrap();
    served(
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
        manifest_body,
    )
    .await
    .unwrap();
    let refused = [
        (OCI_INDEX, manifest_body.to_owned()),
        (OCI_MANIFEST, index_body.to_owned()),
        (
            OCI_MANIFEST,
            format!(r#"{{"schemaVersion":2,{CONFIG},"layers":[],"manifests":[]}}"#),
        ),
        (
            OCI_INDEX,
            format!(r#"{{"schemaVersion":2,{CONFIG},"layers":[],"manifests":[]}}"#),
        ),
        (
            OCI_INDEX,
            format!(r#"{{"schemaVersion":2,{CONFIG},"manifests":[]}}"#),
        ),
        (
            OCI_MANIFEST,
            format!(r#"{{"schemaVersion":2,{CONFIG},"layers":[],"layers":[]}}"#),
        ),
        (
            OCI_MANIFEST,
            format!(r#"{{"schemaVersion":2,{CONFIG},"layers":[],"Layers":[]}}"#),
        ),
        (OCI_MANIFEST, format!("{manifest_body}{{}}")),
        (OCI_MANIFEST, format!("\u{feff}{manifest_body}")),
        (OCI_MANIFEST, "[".repeat(200)),
        (
            OCI_MANIFEST,
            format!(
                r#"{{"schemaVersion":2,{CONFIG},"layers":[],"a":{}{}}}"#,
                "[".repeat(100),
                "]".repeat(100)
            ),
        ),
        (OCI_MANIFEST, "null".into()),
        (OCI_MANIFEST, String::new()),
        ("text/html", "<html><body>sign in</body></html>".into()),
    ];
    for (content_type, document) in refused {
        let document = leak(document);
        let outcome = served(content_type, document).await;
        assert!(outcome.is_err(), "{content_type} {document}");
    }
}

#[tokio::test(start_paused = true)]
async fn digests_that_are_none_are_refused_where_they_stand() {
    for digest in [
        "sha256:../../../../etc/passwd",
        "sha256:%2e%2e%2f",
        "sha256:44136FA355B3678A1146AD16F7E8649E94FB4FC21FE77E8310C060F61CAAFF8A",
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8",
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a0",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    ] {
        let layer = format!(
            r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":1}}"#
        );
        let document = format!(r#"{{"schemaVersion":2,{CONFIG},"layers":[{layer}]}}"#);
        let outcome = served(OCI_MANIFEST, Box::leak(document.into_boxed_str())).await;
        assert!(outcome.is_err(), "{digest}");
    }
}
