//! Random requests against a simple model of a repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use imgcore::Digest;
use imgserve::distribution::Registry;
use proptest::prelude::*;

use crate::peer::{Peer, image};

/// What a client does; numbers choose among a few images, tags and blobs.
#[derive(Clone, Debug)]
enum Step {
    DeleteBlob(u8),
    DeleteImage(u8),
    DeleteTag(u8),
    PushBlob(u8),
    PushImage(u8),
    PushTag {
        image: u8,
        tag: u8,
    },
    /// The registry is opened anew.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let few = 0..3_u8;
    let step = prop_oneof![
        few.clone().prop_map(Step::DeleteBlob),
        few.clone().prop_map(Step::DeleteImage),
        few.clone().prop_map(Step::DeleteTag),
        few.clone().prop_map(Step::PushBlob),
        few.clone().prop_map(Step::PushImage),
        (few.clone(), few).prop_map(|(image, tag)| Step::PushTag { image, tag }),
        Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

const BLOBS: [&[u8]; 3] = [b"a", b"b", b"c"];
const TAGS: [&str; 3] = ["a", "A", "1.0"];

#[derive(Default)]
struct Model {
    blobs: BTreeSet<u8>,
    images: BTreeSet<u8>,
    tags: BTreeMap<&'static str, u8>,
}

fn manifest(number: u8) -> (String, Digest) {
    let text = image(&number.to_string(), None);
    let digest = Digest::sha256_of(text.as_bytes());
    (text, digest)
}

impl Model {
    /// Does a step to both, and compares the answer's status.
    async fn take(&mut self, peer: &Peer, step: &Step) {
        let chosen = |number: &u8| usize::from(*number);
        let status = |is_there: bool| if is_there { 202 } else { 404 };
        match step {
            Step::DeleteBlob(number) => {
                let digest = Digest::sha256_of(BLOBS[chosen(number)]);
                let url = format!("/v2/app/blobs/{digest}");
                let reply = peer.call("DELETE", &url).send().await;
                reply.expect(status(self.blobs.remove(number)));
            }
            Step::DeleteImage(number) => {
                let url = format!("/v2/app/manifests/{}", manifest(*number).1);
                let reply = peer.call("DELETE", &url).send().await;
                reply.expect(status(self.images.remove(number)));
                self.tags.retain(|_, leads_to| leads_to != number);
            }
            Step::DeleteTag(number) => {
                let tag = TAGS[chosen(number)];
                let url = format!("/v2/app/manifests/{tag}");
                let reply = peer.call("DELETE", &url).send().await;
                reply.expect(status(self.tags.remove(tag).is_some()));
            }
            Step::PushBlob(number) => {
                peer.push_blob("app", BLOBS[chosen(number)]).await;
                self.blobs.insert(*number);
            }
            Step::PushImage(number) => {
                let (text, digest) = manifest(*number);
                let reply = peer.put("app", &digest.to_string(), &text).await;
                reply.expect(201);
                self.images.insert(*number);
            }
            Step::PushTag { image, tag } => {
                let tag = TAGS[chosen(tag)];
                peer.put("app", tag, &manifest(*image).0).await.expect(201);
                self.images.insert(*image);
                self.tags.insert(tag, *image);
            }
            Step::Restart => {}
        }
    }

    /// Returns the digests whose bytes somebody may still ask for.
    fn digests(&self) -> BTreeSet<String> {
        let blobs = self.blobs.iter().map(|number| {
            let bytes = BLOBS[usize::from(*number)];
            Digest::sha256_of(bytes)
        });
        let images = self.images.iter().map(|number| manifest(*number).1);
        let config = std::iter::once(Digest::sha256_of(b"{}"));
        let all = blobs.chain(images).chain(config);
        all.map(|digest| digest.hex()).collect()
    }

    /// Compares everything that can be asked for.
    async fn compare(&self, peer: &Peer) {
        let status = |is_there: bool| if is_there { 200 } else { 404 };
        for number in 0..3 {
            let blob = BLOBS[usize::from(number)];
            let reply = peer
                .get(&format!("/v2/app/blobs/{}", Digest::sha256_of(blob)))
                .await;
            reply.expect(status(self.blobs.contains(&number)));
            let (_, digest) = manifest(number);
            let reply = peer.get(&format!("/v2/app/manifests/{digest}")).await;
            reply.expect(status(self.images.contains(&number)));
        }
        for tag in TAGS {
            let reply = peer.get(&format!("/v2/app/manifests/{tag}")).await;
            let leads_to = self.tags.get(tag);
            reply.expect(status(leads_to.is_some()));
            if let Some(number) = leads_to {
                assert_eq!(reply.bytes(), manifest(*number).0.as_bytes());
            }
        }
        let listed = peer.get("/v2/app/tags/list").await.json();
        let expected: Vec<_> = self.tags.keys().collect();
        assert_eq!(listed["tags"], serde_json::json!(expected));
    }
}

/// `stored` says which files of blobs there are.
async fn run(
    steps: &[Step],
    open: impl Fn() -> Peer,
    stored: impl Fn() -> Option<BTreeSet<String>>,
) {
    let mut peer = open();
    peer.push_blob("app", b"{}").await;
    let mut model = Model::default();
    for step in steps {
        if matches!(step, Step::Restart) {
            // One process at a time has the directory.
            drop(peer);
            peer = open();
        }
        model.take(&peer, step).await;
        model.compare(&peer).await;
        if let Some(stored) = stored() {
            assert_eq!(stored, model.digests(), "bytes that nobody has are freed");
        }
    }
}

fn files(directory: &Path) -> BTreeSet<String> {
    let entries = fs_err::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_registry_does_what_a_simple_one_would(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let memory = Peer::new(Registry::in_memory());
        runtime.block_on(run(&steps, || memory.clone(), || None));
        let directory = tempfile::tempdir().unwrap();
        let open = || Peer::new(Registry::at_directory(directory.path()).unwrap());
        let stored = || Some(files(&directory.path().join("blobs/sha256")));
        runtime.block_on(run(&steps, open, stored));
    }
}
