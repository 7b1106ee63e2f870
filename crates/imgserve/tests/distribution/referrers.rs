//! Lists of what refers to a manifest.

use imgcore::{Descriptor, Digest, MediaType};
use serde_json::{Value, json};

use crate::peer::{Peer, image, json as described, on_both};
use crate::tags::next_page;

/// Pushes an artifact that refers to `subject`.
async fn attach(peer: &Peer, subject: &Descriptor, artifact_type: &str, note: &str) -> Digest {
    peer.push_blob("app", b"{}").await;
    let mut manifest: Value = serde_json::from_str(&image(note, Some(subject))).unwrap();
    if !artifact_type.is_empty() {
        manifest["artifactType"] = artifact_type.into();
    }
    let text = manifest.to_string();
    let digest = Digest::sha256_of(text.as_bytes());
    let put = peer.put("app", &digest.to_string(), &text).await;
    let subject = subject.digest.to_string();
    assert_eq!(put.expect(201).header("oci-subject"), subject);
    digest
}

async fn listed(peer: &Peer, url: &str) -> Vec<Value> {
    let reply = peer.get(url).await;
    let index = reply.expect(200).json();
    let media_type = "application/vnd.oci.image.index.v1+json";
    assert_eq!(reply.header("content-type"), media_type);
    assert_eq!(index["mediaType"], media_type);
    assert_eq!(index["schemaVersion"], 2);
    index["manifests"].as_array().unwrap().clone()
}

#[tokio::test]
async fn nothing_refers_to_what_is_not_there() {
    on_both(async |peer| {
        let url = format!("/v2/app/referrers/{}", Digest::sha256_of(b"nothing"));
        assert_eq!(listed(&peer, &url).await, [Value::Null; 0]);
        let wrong = peer.get("/v2/app/referrers/sha256:12").await;
        wrong.refused(400, "DIGEST_INVALID");
    })
    .await;
}

#[tokio::test]
async fn referrers_are_described_and_filtered() {
    on_both(async |peer| {
        // The subject need not be there.
        let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"subject");
        let signature = attach(&peer, &subject, "application/vnd.example.sig", "s").await;
        let plain = attach(&peer, &subject, "", "p").await;
        let url = format!("/v2/app/referrers/{}", subject.digest);
        let all = listed(&peer, &url).await;
        assert_eq!(all.len(), 2);
        let of = |digest: Digest| {
            let found = all.iter().find(|it| it["digest"] == digest.to_string());
            found.unwrap().clone()
        };
        let signature = of(signature);
        assert_eq!(signature["artifactType"], "application/vnd.example.sig");
        assert_eq!(signature["annotations"], json!({ "note": "s" }));
        assert_eq!(signature["mediaType"], MediaType::OCI_MANIFEST.as_str());
        // Without a type of its own, a manifest is what its config is.
        assert_eq!(of(plain)["artifactType"], MediaType::OCI_EMPTY.as_str());

        let url = format!("{url}?artifactType=application%2Fvnd.example.sig");
        assert_eq!(listed(&peer, &url).await, [signature]);
        let reply = peer.get(&url).await;
        assert_eq!(reply.header("oci-filters-applied"), "artifactType");
        let elsewhere = url.replace("/app/", "/other/");
        assert_eq!(listed(&peer, &elsewhere).await, [Value::Null; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_index_may_refer_too() {
    on_both(async |peer| {
        let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"subject");
        let index = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_INDEX.as_str(),
            "artifactType": "application/vnd.example.set",
            "manifests": [],
            "subject": described(&subject),
        });
        let put = peer.put("app", "set", &index.to_string()).await;
        put.expect(201);
        let url = format!("/v2/app/referrers/{}", subject.digest);
        let all = listed(&peer, &url).await;
        assert_eq!(all[0]["artifactType"], "application/vnd.example.set");
        assert_eq!(all[0]["mediaType"], MediaType::OCI_INDEX.as_str());
    })
    .await;
}

#[tokio::test]
async fn a_deleted_manifest_refers_to_nothing() {
    on_both(async |peer| {
        let subject = peer.push_image("app", "latest", "x").await;
        let digest = attach(&peer, &subject, "application/vnd.example.sig", "s").await;
        let url = format!("/v2/app/manifests/{digest}");
        peer.call("DELETE", &url).send().await.expect(202);
        let url = format!("/v2/app/referrers/{}", subject.digest);
        assert_eq!(listed(&peer, &url).await, [Value::Null; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    on_both(async |peer| {
        let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"subject");
        let mut pushed = Vec::new();
        for number in 0..5 {
            let note = format!("{number}{}", "x".repeat(1_000_000));
            let artifact_type = ["a/b+c", "d/e"][usize::from(number == 4)];
            let digest = attach(&peer, &subject, artifact_type, &note).await;
            if number < 4 {
                pushed.push(digest.to_string());
            }
        }
        pushed.sort();
        let mut found = Vec::new();
        let mut pages = 0;
        let mut next = Some(format!(
            "/v2/app/referrers/{}?artifactType=a/b%2Bc",
            subject.digest
        ));
        while let Some(url) = next {
            let page = listed(&peer, &url).await;
            let digests = page
                .iter()
                .map(|it| it["digest"].as_str().unwrap().to_owned());
            found.extend(digests);
            pages += 1;
            next = next_page(&peer.get(&url).await.headers);
        }
        assert_eq!(found, pushed);
        assert_eq!(pages, 2);
    })
    .await;
}
