//! Reading, mounting and deleting blobs.

use imgcore::Digest;
use imgserve::distribution::{Registry, RegistryOptions};

use crate::peer::{Peer, on_both, sha512};

const BYTES: &[u8] = b"0123456789";

#[tokio::test]
async fn there_is_a_registry() {
    on_both(async |peer| {
        for url in ["/v2", "/v2/"] {
            assert_eq!(peer.get(url).await.expect(200).bytes(), b"{}");
        }
        let head = peer.call("HEAD", "/v2/").send().await;
        assert_eq!(head.expect(200).bytes(), b"");
        peer.get("/v3/").await.refused(404, "UNSUPPORTED");
        let wrong = peer.call("POST", "/v2/").send().await;
        assert_eq!(
            wrong.refused(405, "UNSUPPORTED").header("allow"),
            "GET, HEAD"
        );
    })
    .await;
}

#[tokio::test]
async fn a_blob_is_read_whole_and_in_parts() {
    on_both(async |peer| {
        let blob = peer.push_blob("team/app", BYTES).await;
        let url = format!("/v2/team/app/blobs/{}", blob.digest);
        let whole = peer.get(&url).await;
        assert_eq!(whole.expect(200).bytes(), BYTES);
        assert_eq!(whole.header("content-type"), "application/octet-stream");
        assert_eq!(whole.header("accept-ranges"), "bytes");
        let digest = whole.header("docker-content-digest");
        assert_eq!(digest, blob.digest.to_string());

        let head = peer.call("HEAD", &url).send().await;
        assert_eq!(head.expect(200).header("content-length"), "10");
        assert_eq!(head.bytes(), b"");

        for (range, expected, place) in [
            ("bytes=2-4", "234", "bytes 2-4/10"),
            ("bytes=8-", "89", "bytes 8-9/10"),
            ("bytes=-3", "789", "bytes 7-9/10"),
            ("bytes=5-99", "56789", "bytes 5-9/10"),
        ] {
            let part = peer.call("GET", &url).with("range", range).send().await;
            assert_eq!(part.expect(206).bytes(), expected.as_bytes(), "{range}");
            assert_eq!(part.header("content-range"), place);
        }
        for range in ["bytes=10-", "bytes=5-0"] {
            let none = peer.call("GET", &url).with("range", range).send().await;
            none.refused(416, "SIZE_INVALID");
            assert_eq!(none.header("content-range"), "bytes */10");
        }
        let other = peer.call("GET", &url).with("range", "lines=1-2");
        assert_eq!(other.send().await.expect(200).bytes(), BYTES);
    })
    .await;
}

#[tokio::test]
async fn blobs_belong_to_their_repository() {
    on_both(async |peer| {
        let blob = peer.push_blob("team/app", BYTES).await;
        for name in ["team/other", "team", "team/app/below"] {
            let url = format!("/v2/{name}/blobs/{}", blob.digest);
            peer.get(&url).await.refused(404, "BLOB_UNKNOWN");
            let head = peer.call("HEAD", &url).send().await;
            assert_eq!(head.expect(404).bytes(), b"");
            let delete = peer.call("DELETE", &url).send().await;
            delete.refused(404, "BLOB_UNKNOWN");
        }
        let url = format!("/v2/team/app/blobs/{}", Digest::sha256_of(b"other"));
        peer.get(&url).await.refused(404, "BLOB_UNKNOWN");
        // A manifest is no blob, though the store has its bytes.
        let image = peer.push_image("team/app", "latest", "x").await;
        let url = format!("/v2/team/app/blobs/{}", image.digest);
        peer.get(&url).await.refused(404, "BLOB_UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_blob_is_gone_from_one_repository() {
    on_both(async |peer| {
        let blob = peer.push_blob("one", BYTES).await;
        peer.push_blob("two", BYTES).await;
        let url = format!("/v2/one/blobs/{}", blob.digest);
        peer.call("DELETE", &url).send().await.expect(202);
        peer.get(&url).await.refused(404, "BLOB_UNKNOWN");
        let again = peer.call("DELETE", &url).send().await;
        again.refused(404, "BLOB_UNKNOWN");
        let other = peer.get(&format!("/v2/two/blobs/{}", blob.digest)).await;
        assert_eq!(other.expect(200).bytes(), BYTES);
        // It can come back.
        peer.push_blob("one", BYTES).await;
        assert_eq!(peer.get(&url).await.expect(200).bytes(), BYTES);
    })
    .await;
}

#[tokio::test]
async fn a_blob_is_mounted_from_where_it_is() {
    on_both(async |peer| {
        let blob = peer.push_blob("one", BYTES).await;
        let digest = blob.digest;
        let mount = |query: String| {
            let url = format!("/v2/two/blobs/uploads/?mount={query}");
            peer.call("POST", &url).send()
        };
        // Where it is not, the answer is an upload.
        let missing = mount(format!("{digest}&from=three")).await;
        assert!(
            missing
                .expect(202)
                .header("location")
                .contains("/two/blobs/uploads/")
        );
        let url = format!("/v2/two/blobs/{digest}");
        peer.get(&url).await.refused(404, "BLOB_UNKNOWN");

        let mounted = mount(format!("{digest}&from=one")).await;
        assert_eq!(mounted.expect(201).header("location"), url);
        assert_eq!(mounted.header("docker-content-digest"), digest.to_string());
        assert_eq!(peer.get(&url).await.expect(200).bytes(), BYTES);
        let other = Digest::sha256_of(b"other");
        mount(format!("{other}&from=one")).await.expect(202);
        mount(other.to_string()).await.expect(202);
    })
    .await;
}

#[tokio::test]
async fn mounts_without_a_source_are_uploads_unless_they_are_allowed() {
    let allowing = RegistryOptions::default().with_anonymous_mounts(true);
    for (options, status) in [(allowing, 201), (RegistryOptions::default(), 202)] {
        let peer = Peer::new(Registry::in_memory().with_options(options));
        let blob = peer.push_blob("one", BYTES).await;
        let url = format!("/v2/two/blobs/uploads/?mount={}", blob.digest);
        peer.call("POST", &url).send().await.expect(status);
    }
}

#[tokio::test]
async fn sha512_names_blobs_as_well() {
    on_both(async |peer| {
        let digest = sha512(BYTES);
        let url = format!("/v2/app/blobs/uploads/?digest={digest}");
        peer.call("POST", &url).body(BYTES).send().await.expect(201);
        let reply = peer.get(&format!("/v2/app/blobs/{digest}")).await;
        assert_eq!(reply.expect(200).bytes(), BYTES);
        let other = format!("/v2/app/blobs/{}", Digest::sha256_of(BYTES));
        peer.get(&other).await.refused(404, "BLOB_UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn a_damaged_blob_never_ends_well() {
    let directory = tempfile::tempdir().unwrap();
    let peer = Peer::new(Registry::at_directory(directory.path()).unwrap());
    let blob = peer.push_blob("app", BYTES).await;
    let file = directory
        .path()
        .join("blobs/sha256")
        .join(blob.digest.hex());
    fs_err::write(&file, b"012345678X").unwrap();
    let url = format!("/v2/app/blobs/{}", blob.digest);
    let reply = peer.get(&url).await;
    assert_eq!(
        reply.expect(200).body,
        Err("the body ends early".to_owned())
    );
    // A file that is gone, or of another size, is no blob; sending it again repairs it.
    fs_err::write(&file, b"0").unwrap();
    peer.get(&url).await.refused(404, "BLOB_UNKNOWN");
    fs_err::remove_file(&file).unwrap();
    peer.get(&url).await.refused(404, "BLOB_UNKNOWN");
    peer.push_blob("app", BYTES).await;
    assert_eq!(peer.get(&url).await.expect(200).bytes(), BYTES);
}
