use proptest::prelude::*;

use super::*;
use crate::{Config, DiffId, Digest, Document, HistoryEntry, Index, Manifest, Raw};

const SOURCE: &str = r#"{
   "schemaVersion": 2,
   "mediaType": "MANIFEST",
   "x-before": [1.50, "\u003c"],
   "config": {
  "mediaType": "CONFIG",
  "x-inside": 1e2,
  "size": 7,
  "digest": "DIGEST"
   },
   "layers": [
  {"mediaType": "LAYER", "size": 7, "digest": "DIGEST", "x-layer": true}
   ],
   "annotations": {"b": "2",  "a": "1"}
}"#;

fn source(manifest: &MediaType, config: &MediaType, layer: &MediaType) -> String {
    let digest = Digest::sha256_of(b"content").to_string();
    SOURCE
        .replace("MANIFEST", manifest.as_str())
        .replace("CONFIG", config.as_str())
        .replace("LAYER", layer.as_str())
        .replace("DIGEST", &digest)
}

fn oci() -> String {
    source(
        &MediaType::OCI_MANIFEST,
        &MediaType::OCI_CONFIG,
        &MediaType::OCI_LAYER_GZIP,
    )
}

fn docker() -> String {
    source(
        &MediaType::DOCKER_MANIFEST,
        &MediaType::DOCKER_CONFIG,
        &MediaType::DOCKER_LAYER_GZIP,
    )
}

fn text<T: crate::document::View>(raw: &Raw<T>) -> &str {
    std::str::from_utf8(raw.bytes()).unwrap()
}

#[test]
fn an_edit_of_nothing_changes_nothing() {
    for source in [oci(), docker()] {
        let manifest = Raw::<Manifest>::parse(source.as_bytes()).unwrap();
        assert_eq!(ManifestEdit::new(&manifest).finish().unwrap(), manifest);
        let mut edit = ManifestEdit::new(&manifest);
        edit.set_layers(&manifest.layers);
        let same = edit.finish().unwrap();
        assert_eq!(same.layers, manifest.layers);
        assert!(text(&same).contains(r#""x-layer": true"#));
    }
}

#[test]
fn a_recompressed_layer_leaves_the_rest_of_the_manifest() {
    let source = oci();
    let manifest = Raw::<Manifest>::parse(source.as_bytes()).unwrap();
    let config = Raw::<Config>::parse(b"{ }").unwrap();
    let mut edit = ManifestEdit::new(&manifest);
    let new = Descriptor::of(MediaType::OCI_LAYER_ZSTD, b"recompressed");
    edit.set_layers(&[manifest.layers[0].clone(), new]);
    edit.set_config(&config);
    edit.set_annotation("a", "&");
    insta::assert_snapshot!(text(&edit.finish().unwrap()), @r#"
    {
       "schemaVersion": 2,
       "mediaType": "application/vnd.oci.image.manifest.v1+json",
       "x-before": [1.50, "\u003c"],
       "config": {
      "mediaType": "application/vnd.oci.image.config.v1+json",
      "x-inside": 1e2,
      "size": 3,
      "digest": "sha256:257c1be96ae69f4b01c2c69bdb6d78605f59175819fb007d0bf245bf48444c4a"
       },
       "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 7, "digest": "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73", "x-layer": true},{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":"sha256:eaacf1b7b0bed3b2ceb0dae1fd920011d933de887d870d28914f085d364822c1","size":12}],
       "annotations": {"b": "2",  "a": "\u0026"}
    }
    "#);
}

#[test]
fn a_docker_manifest_stays_docker_until_it_gets_what_docker_does_not_have() {
    let manifest = Raw::<Manifest>::parse(docker().as_bytes()).unwrap();
    let old = manifest.layers[0].clone();
    let with = |media_type: MediaType| {
        let mut edit = ManifestEdit::new(&manifest);
        edit.set_layers(&[old.clone(), Descriptor::of(media_type, b"new")]);
        edit.finish().unwrap()
    };
    let same = with(MediaType::DOCKER_LAYER_GZIP);
    assert_eq!(same.media_type, MediaType::DOCKER_MANIFEST);
    assert_eq!(same.config, manifest.config);
    for media_type in [
        MediaType::OCI_LAYER_ZSTD,
        MediaType::OCI_LAYER_GZIP,
        MediaType::DOCKER_LAYER_ZSTD,
    ] {
        let converted = with(media_type.clone());
        assert_eq!(converted.media_type, MediaType::OCI_MANIFEST);
        assert_eq!(converted.config.media_type, MediaType::OCI_CONFIG);
        assert_eq!(converted.layers[0].media_type, MediaType::OCI_LAYER_GZIP);
        assert_eq!(converted.layers[1].media_type, media_type.to_oci());
        // In the first layer only its type changed.
        assert!(text(&converted).contains(r#""x-layer": true"#));
    }
}

#[test]
fn a_foreign_layer_keeps_its_urls_under_the_oci_type() {
    let source = docker().replace(
        r#""x-layer": true"#,
        r#""urls": [ "https://example.com/layer" ]"#,
    );
    let source = source.replace("rootfs.diff", "rootfs.foreign.diff");
    let manifest = Raw::<Manifest>::parse(source.as_bytes()).unwrap();
    let mut edit = ManifestEdit::new(&manifest);
    edit.convert_to_oci();
    let converted = edit.finish().unwrap();
    assert_eq!(
        converted.layers[0].media_type,
        MediaType::OCI_FOREIGN_LAYER_GZIP
    );
    assert_eq!(converted.layers[0].urls, ["https://example.com/layer"]);
}

#[test]
fn a_document_that_did_not_say_what_it_is_says_so_after_an_edit() {
    let source = r#"{"manifests":[]}"#;
    let sent = MediaType::DOCKER_MANIFEST_LIST;
    let Document::Index(index) = Document::classify(source.as_bytes(), Some(&sent)).unwrap() else {
        panic!("it is an index");
    };
    assert_eq!(
        text(&IndexEdit::new(&index).finish().unwrap()),
        r#"{"manifests":[],"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json"}"#
    );
}

#[test]
fn an_entry_of_an_index_is_pointed_elsewhere() {
    let old = Digest::sha256_of(b"old");
    let source = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
  {{"platform":{{"os":"linux","architecture":"arm64","x":1}},"digest":"{old}","size":3,"mediaType":"a/b","data":"b2xk"}}
], "annotations":{{}}}}"#
    );
    let index = Raw::<Index>::parse(source.as_bytes()).unwrap();
    let mut edit = IndexEdit::new(&index);
    let target = Descriptor::of(MediaType::OCI_MANIFEST, b"new");
    edit.retarget(0, &target).unwrap();
    let error = edit.retarget(1, &target).unwrap_err();
    assert_eq!(error.to_string(), "index has 1 entries and no entry 1");
    let new = edit.finish().unwrap();
    insta::assert_snapshot!(text(&new), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"platform":{"os":"linux","architecture":"arm64","x":1},"digest":"sha256:11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437","size":3,"mediaType":"application/vnd.oci.image.manifest.v1+json"}], "annotations":{}}"#);
    assert_eq!(new.manifests[0].digest, target.digest);

    let mut edit = IndexEdit::new(&new);
    edit.set_manifests(&[target.clone(), new.manifests[0].clone()]);
    let both = edit.finish().unwrap();
    assert_eq!(both.manifests, [target, new.manifests[0].clone()]);
    assert!(text(&both).contains(r#""x":1"#));
}

#[test]
fn a_history_is_replaced_or_removed() {
    let config = Raw::<Config>::parse(br#"{"history":[{"x":1}],"y":2}"#).unwrap();
    let mut edit = ConfigEdit::new(&config);
    edit.set_history(&[HistoryEntry::created_by("make")]);
    edit.set("created", "2031-05-06T07:08:09Z");
    assert_eq!(
        text(&edit.finish().unwrap()),
        r#"{"history":[{"created_by":"make"}],"y":2,"created":"2031-05-06T07:08:09Z"}"#
    );
    let mut edit = ConfigEdit::new(&config);
    edit.set_history(&[]);
    assert_eq!(text(&edit.finish().unwrap()), r#"{"y":2}"#);
}

proptest! {
    #[test]
    fn all_other_members_of_a_config_stay_byte_for_byte(
        before in r#"[ \n]{0,2}"a"[ ]?: ?(1\.50|"\\u003c"|\[ 1, 2 \]|null)"#,
        after in r#""z" :(true|\{ "b" : \{\} \})[\t ]{0,2}"#,
    ) {
        let document = |diff_ids: &str| {
            format!(r#"{{{before},"rootfs":{{"x": 0, "type": "layers","diff_ids": {diff_ids} }}, {after}}}"#)
        };
        let config = Raw::<Config>::parse(document("[ ]").as_bytes()).unwrap();
        let diff_id = DiffId::sha256_of(before.as_bytes());
        let mut edit = ConfigEdit::new(&config);
        edit.set_diff_ids(&[diff_id]);
        let edited = edit.finish().unwrap();
        let expected = document(&format!(r#"["{diff_id}"]"#));
        prop_assert_eq!(text(&edited), expected.as_str());
    }
}
