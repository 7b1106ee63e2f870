//! Every way for a blob to come in.

use bytes::Bytes;
use futures_util::stream;
use imgcore::Digest;
use imgserve::http::{Body, BoxError, body};

use crate::peer::{Peer, on_both, sha512};

const BYTES: &[u8] = b"0123456789";

fn digest() -> Digest {
    Digest::sha256_of(BYTES)
}

async fn expect_blob(peer: &Peer, expected: Option<&[u8]>) {
    let reply = peer.get(&format!("/v2/app/blobs/{}", digest())).await;
    match expected {
        Some(bytes) => assert_eq!(reply.expect(200).bytes(), bytes),
        None => drop(reply.refused(404, "BLOB_UNKNOWN").bytes()),
    }
}

fn broken(bytes: &'static [u8]) -> Body {
    let chunks: [Result<Bytes, BoxError>; 2] = [Ok(Bytes::from_static(bytes)), Err("cut".into())];
    body::stream(stream::iter(chunks))
}

#[tokio::test]
async fn one_request_may_bring_it_all() {
    on_both(async |peer| {
        let url = format!("/v2/app/blobs/uploads/?digest={}", digest());
        let reply = peer.call("POST", &url).body(BYTES).send().await;
        let location = format!("/v2/app/blobs/{}", digest());
        assert_eq!(reply.expect(201).header("location"), location);
        assert_eq!(reply.header("docker-content-digest"), digest().to_string());
        expect_blob(&peer, Some(BYTES)).await;
        // Sending it once more is as good.
        let again = peer.call("POST", &url).body(BYTES).send().await;
        again.expect(201);
        expect_blob(&peer, Some(BYTES)).await;
    })
    .await;
}

#[tokio::test]
async fn a_started_upload_is_finished_with_its_bytes() {
    on_both(async |peer| {
        let start = peer.call("POST", "/v2/app/blobs/uploads/").send().await;
        assert_eq!(start.expect(202).header("range"), "0-0");
        assert_eq!(start.header("docker-upload-uuid").len(), 32);
        let location = start.header("location");
        let url = format!("{location}?digest={}", digest());
        peer.call("PUT", &url).body(BYTES).send().await.expect(201);
        expect_blob(&peer, Some(BYTES)).await;
        let gone = peer.get(location).await;
        gone.refused(404, "BLOB_UPLOAD_UNKNOWN");
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_unknown_length_is_taken() {
    on_both(async |peer| {
        let location = peer.start("app").await;
        let streamed = body::stream(stream::iter([
            Ok::<_, BoxError>(Bytes::from_static(b"01234")),
            Ok(Bytes::new()),
            Ok(Bytes::from_static(b"56789")),
        ]));
        let patch = peer
            .call("PATCH", &location)
            .streamed(streamed)
            .send()
            .await;
        assert_eq!(patch.expect(202).header("range"), "0-9");
        let url = format!("{}?digest={}", patch.header("location"), digest());
        peer.call("PUT", &url).body("").send().await.expect(201);
        expect_blob(&peer, Some(BYTES)).await;
    })
    .await;
}

#[tokio::test]
async fn chunks_come_in_order() {
    on_both(async |peer| {
        let location = peer.start("app").await;
        let send = |range: &str, bytes: &'static [u8]| {
            let call = peer.call("PATCH", &location).with("content-range", range);
            call.body(bytes).send()
        };
        send("0-3", b"0123").await.expect(202);
        for range in ["0-3", "5-8"] {
            let wrong = send(range, b"0123").await;
            wrong.refused(416, "BLOB_UPLOAD_INVALID");
            assert_eq!(wrong.header("range"), "0-3");
            assert_eq!(wrong.header("location"), location);
        }
        let status = peer.get(&location).await;
        assert_eq!(status.expect(204).header("range"), "0-3");
        assert_eq!(status.header("location"), location);
        let patch = send("4-7", b"4567").await;
        assert_eq!(patch.expect(202).header("range"), "0-7");

        let url = format!("{location}?digest={}", digest());
        let wrong = peer
            .call("PUT", &url)
            .with("content-range", "0-1")
            .body("89");
        wrong.send().await.refused(416, "BLOB_UPLOAD_INVALID");
        let last = peer
            .call("PUT", &url)
            .with("content-range", "8-9")
            .body("89");
        last.send().await.expect(201);
        expect_blob(&peer, Some(BYTES)).await;
    })
    .await;
}

#[tokio::test]
async fn chunks_must_be_as_long_as_they_say() {
    on_both(async |peer| {
        let location = peer.start("app").await;
        let send = |range: &str, length: Option<&str>, bytes: &'static str| {
            let mut call = peer.call("PATCH", &location).with("content-range", range);
            call = call.streamed(body::full(bytes));
            if let Some(length) = length {
                call = call.with("content-length", length);
            }
            call.send()
        };
        send("0-3", Some("3"), "012")
            .await
            .refused(400, "SIZE_INVALID");
        send("0-3", None, "01234")
            .await
            .refused(400, "SIZE_INVALID");
        send("3-0", None, "0")
            .await
            .refused(400, "BLOB_UPLOAD_INVALID");
        send("zero", None, "0")
            .await
            .refused(400, "BLOB_UPLOAD_INVALID");
        send("0-3", Some("x"), "0")
            .await
            .refused(400, "SIZE_INVALID");
        let status = peer.get(&location).await;
        assert_eq!(status.expect(204).header("range"), "0-0");
        // Too few bytes are kept, and the client is told.
        send("0-3", None, "01").await.refused(400, "SIZE_INVALID");
        let status = peer.get(&location).await;
        assert_eq!(status.expect(204).header("range"), "0-1");
    })
    .await;
}

#[tokio::test]
async fn what_came_before_a_break_is_kept() {
    on_both(async |peer| {
        let location = peer.start("app").await;
        let url = format!("{location}?digest={}", digest());
        let put = peer.call("PUT", &url).with("content-length", "10");
        let cut = put.streamed(broken(b"0123")).send().await;
        cut.refused(400, "BLOB_UPLOAD_INVALID");
        expect_blob(&peer, None).await;
        let status = peer.get(&location).await;
        assert_eq!(status.expect(204).header("range"), "0-3");
        let rest = peer.call("PATCH", &location).with("content-range", "4-9");
        rest.body("456789").send().await.expect(202);
        peer.call("PUT", &url).send().await.expect(201);
        expect_blob(&peer, Some(BYTES)).await;
    })
    .await;
}

#[tokio::test]
async fn wrong_bytes_are_no_blob() {
    on_both(async |peer| {
        let other = b"012345678X".as_slice();
        let url = format!("/v2/app/blobs/uploads/?digest={}", digest());
        let once = peer.call("POST", &url).body(other).send().await;
        once.refused(400, "DIGEST_INVALID");
        let location = peer.start("app").await;
        let url = format!("{location}?digest={}", digest());
        let put = peer.call("PUT", &url).body(other).send().await;
        put.refused(400, "DIGEST_INVALID");
        // No further byte could make it right.
        peer.get(&location)
            .await
            .refused(404, "BLOB_UPLOAD_UNKNOWN");
        expect_blob(&peer, None).await;
    })
    .await;
}

#[tokio::test]
async fn to_know_a_digest_is_not_to_have_the_bytes() {
    on_both(async |peer| {
        peer.push_blob("secret", BYTES).await;
        let url = format!("/v2/app/blobs/uploads/?digest={}", digest());
        for wrong in ["XXXXXXXXXX", "", "X"] {
            let reply = peer.call("POST", &url).body(wrong).send().await;
            reply.refused(400, "DIGEST_INVALID");
        }
        expect_blob(&peer, None).await;
    })
    .await;
}

#[tokio::test]
async fn an_upload_can_be_given_up() {
    on_both(async |peer| {
        let location = peer.start("app").await;
        let patch = peer.call("PATCH", &location).body(BYTES).send().await;
        patch.expect(202);
        let delete = peer.call("DELETE", &location).send().await;
        delete.expect(204);
        for method in ["GET", "PATCH", "DELETE"] {
            let gone = peer.call(method, &location).send().await;
            gone.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
    })
    .await;
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    on_both(async |peer| {
        let location = peer.start("app").await;
        let elsewhere = location.replace("/app/", "/other/");
        for method in ["GET", "PATCH", "DELETE"] {
            let reply = peer.call(method, &elsewhere).send().await;
            reply.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        let url = format!("{elsewhere}?digest={}", digest());
        let put = peer.call("PUT", &url).body(BYTES).send().await;
        put.refused(404, "BLOB_UPLOAD_UNKNOWN");
        assert_ne!(location, peer.start("app").await);
    })
    .await;
}

#[tokio::test]
async fn two_requests_take_turns_at_one_upload() {
    on_both(async |peer| {
        let location = peer.start("app").await;
        let half = |bytes: &'static str| peer.call("PATCH", &location).body(bytes).send();
        let (one, two) = tokio::join!(half("01234"), half("56789"));
        let mut ranges = [one.expect(202), two.expect(202)].map(|it| it.header("range"));
        ranges.sort_unstable();
        assert_eq!(ranges, ["0-4", "0-9"]);
    })
    .await;
}

#[tokio::test]
async fn the_empty_blob_and_other_digests_are_taken_in_every_way() {
    on_both(async |peer| {
        for bytes in [b"".as_slice(), b"{}"] {
            for digest in [Digest::sha256_of(bytes), sha512(bytes)] {
                let location = peer.start("app").await;
                peer.call("PATCH", &location)
                    .body(bytes)
                    .send()
                    .await
                    .expect(202);
                let url = format!("{location}?digest={digest}");
                peer.call("PUT", &url).send().await.expect(201);
                let reply = peer.get(&format!("/v2/app/blobs/{digest}")).await;
                assert_eq!(reply.expect(200).bytes(), bytes);
            }
        }
    })
    .await;
}
