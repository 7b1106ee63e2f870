//! Lists of tags.

use serde_json::json;

use crate::peer::{Peer, on_both};

#[tokio::test]
async fn tags_are_listed_in_pages() {
    on_both(async |peer| {
        peer.get("/v2/app/tags/list")
            .await
            .refused(404, "NAME_UNKNOWN");
        for tag in ["b", "a", "C", "1.10", "1.9"] {
            peer.push_image("app", tag, "x").await;
        }
        let all = peer.get("/v2/app/tags/list").await;
        assert_eq!(all.expect(200).header("content-type"), "application/json");
        let list = json!({ "name": "app", "tags": ["1.10", "1.9", "C", "a", "b"] });
        assert_eq!(all.json(), list);
        assert!(!all.headers.contains_key("link"));

        assert_eq!(
            pages(&peer, "/v2/app/tags/list?n=2").await,
            [json!(["1.10", "1.9"]), json!(["C", "a"]), json!(["b"]),]
        );
        assert_eq!(pages(&peer, "/v2/app/tags/list?n=5").await.len(), 1);
        let later = pages(&peer, "/v2/app/tags/list?last=C").await;
        assert_eq!(later, [json!(["a", "b"])]);
        assert_eq!(pages(&peer, "/v2/app/tags/list?n=0").await, [json!([])]);
        let wrong = peer.get("/v2/app/tags/list?n=x").await;
        wrong.refused(400, "PAGINATION_NUMBER_INVALID");
    })
    .await;
}

/// Follows the links from page to page.
pub(crate) async fn pages(peer: &Peer, url: &str) -> Vec<serde_json::Value> {
    let mut pages = Vec::new();
    let mut next = Some(url.to_owned());
    while let Some(url) = next {
        let reply = peer.get(&url).await;
        pages.push(reply.expect(200).json()["tags"].clone());
        next = next_page(&reply.headers);
    }
    pages
}

pub(crate) fn next_page(headers: &http::HeaderMap) -> Option<String> {
    let link = headers.get("link")?.to_str().unwrap();
    let (url, rest) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
    assert_eq!(rest, "; rel=\"next\"");
    Some(url.to_owned())
}
