use proptest::prelude::*;

use super::*;
use crate::{DiffId, Digest};

fn descriptor(media_type: &str) -> String {
    let digest = Digest::sha256_of(b"content");
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":7}}"#)
}

fn manifest() -> String {
    let config = descriptor(MediaType::OCI_CONFIG.as_str());
    let layer = descriptor(MediaType::OCI_LAYER_GZIP.as_str());
    format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#)
}

fn check_error(document: &str, content_type: Option<&str>, expected: &str) {
    let content_type = content_type.map(MediaType::from);
    let error = Document::classify(document.as_bytes(), content_type.as_ref()).unwrap_err();
    assert_eq!(error.to_string(), expected, "{document}");
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[test]
fn documents_are_known_by_their_members() {
    let document = Document::classify(manifest().as_bytes(), None).unwrap();
    let Document::Manifest(manifest) = &document else {
        panic!("{document:?} is a manifest");
    };
    assert_eq!(manifest.media_type, MediaType::OCI_MANIFEST);
    assert_eq!(manifest.layers.len(), 1);
    assert!(manifest.is_image());
    assert_eq!(document.descriptor(), manifest.descriptor());

    for entries in ["[]", "null"] {
        let index = format!(r#"{{"schemaVersion":2,"manifests":{entries}}}"#);
        let document = Document::classify(index.as_bytes(), None).unwrap();
        assert!(matches!(document, Document::Index(_)));
        assert_eq!(document.bytes(), index.as_bytes());
    }
}

#[test]
fn the_senders_word_counts_where_the_document_is_silent() {
    let docker = MediaType::DOCKER_MANIFEST;
    let document = Document::classify(manifest().as_bytes(), Some(&docker)).unwrap();
    assert_eq!(document.descriptor().media_type, docker);
    // With parameters, in another case, or without meaning.
    for sent in [
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
        "Application/Vnd.OCI.Image.Manifest.v1+json",
        "application/json",
        "application/octet-stream",
        "",
    ] {
        let document = Document::classify(manifest().as_bytes(), Some(&sent.into())).unwrap();
        assert_eq!(
            document.descriptor().media_type,
            MediaType::OCI_MANIFEST,
            "{sent}"
        );
    }
}

#[test]
fn documents_of_two_kinds_are_refused() {
    let both = r#"document has the members of a manifest ("config" or "layers") and of an index ("manifests")"#;
    check_error(
        r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
        None,
        both,
    );
    check_error(
        r#"{"schemaVersion":2,"manifests":[],"config":{}}"#,
        None,
        both,
    );
    check_error(
        r#"{"schemaVersion":2,"manifests":null,"layers":null}"#,
        None,
        both,
    );
    check_error(
        r#"{"schemaVersion":2,"manifests":[],"Layers":[]}"#,
        None,
        r#"document has the member "Layers", which must be spelled "layers""#,
    );
}

#[test]
fn a_document_that_says_something_else_than_its_sender_is_refused() {
    let index = MediaType::OCI_INDEX;
    check_error(
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
        Some("application/vnd.docker.distribution.manifest.list.v2+json"),
        "document calls itself application/vnd.oci.image.index.v1+json but came as \
         application/vnd.docker.distribution.manifest.list.v2+json",
    );
    check_error(
        &manifest(),
        Some(index.as_str()),
        "document calls itself application/vnd.oci.image.index.v1+json but has the members of another kind",
    );
    check_error(
        r#"{"schemaVersion":2,"manifests":[]}"#,
        Some(MediaType::OCI_MANIFEST.as_str()),
        "document calls itself application/vnd.oci.image.manifest.v1+json but has the members of another kind",
    );
    check_error(
        r#"{"schemaVersion":2}"#,
        Some(index.as_str()),
        "document calls itself application/vnd.oci.image.index.v1+json but has no \"manifests\"",
    );
    check_error(
        r#"{"schemaVersion":2}"#,
        Some(MediaType::OCI_MANIFEST.as_str()),
        "document calls itself application/vnd.oci.image.manifest.v1+json but has no \"config\"",
    );
}

#[test]
fn what_is_no_document_is_refused() {
    check_error("[]", None, "document is no JSON object");
    check_error("{}", None, "document is neither a manifest nor an index");
    check_error(
        r#"{"mediaType":1}"#,
        None,
        "document: mediaType is no string",
    );
    check_error(
        &manifest(),
        Some(MediaType::OCI_CONFIG.as_str()),
        "document is application/vnd.oci.image.config.v1+json, which is neither a manifest nor an index",
    );
    check_error(
        r#"{"schemaVersion":"2","manifests":[]}"#,
        None,
        "document: schemaVersion is not 2",
    );
    check_error(
        r#"{"schemaVersion":1,"fsLayers":[]}"#,
        None,
        "document is a Docker schema 1 manifest, which is not supported: have the image pushed again by a current tool",
    );
    check_error(r#"{"manifests":{}}"#, None, "index: manifests is no array");
    check_error(
        r#"{"manifests":[1]}"#,
        None,
        "index: manifests[0] is no JSON object",
    );
    check_error(
        r#"{"config":{}}"#,
        None,
        "manifest: config: mediaType is missing",
    );
    check_error(
        &manifest().replace("\"layers\":[", "\"layers\":[7,"),
        None,
        "manifest: layers[0] is no JSON object",
    );
}

#[test]
fn a_document_beyond_the_limits_is_refused() {
    let large = format!("{{\"manifests\":[],\"x\":\"{}\"}}", "x".repeat(8 << 20));
    let error = Document::classify(large.as_bytes(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let deep = format!(
        "{{\"manifests\":[],\"x\":{}1{}}}",
        "[".repeat(64),
        "]".repeat(64)
    );
    let error = Document::classify(deep.as_bytes(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn a_manifest_of_too_many_layers_is_refused() {
    let layer = descriptor("a/b");
    let with = |count: usize| {
        let layers = vec![layer.as_str(); count].join(",");
        format!(r#"{{"config":{layer},"layers":[{layers}]}}"#)
    };
    Raw::<Manifest>::parse(with(Manifest::MAX_LAYERS).as_bytes()).unwrap();
    let error = Raw::<Manifest>::parse(with(Manifest::MAX_LAYERS + 1).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        "manifest has 10001 layers, more than the 10000 that are taken"
    );
}

#[test]
fn many_annotations_do_not_keep_anybody_busy() {
    let members = (0..200_000).map(|number| format!("\"{number}\":\"\""));
    let annotations = members.collect::<Vec<_>>().join(",");
    let text = format!(r#"{{"manifests":[],"annotations":{{{annotations}}}}}"#);
    let started = std::time::Instant::now();
    let index = Raw::<Index>::parse(text.as_bytes()).unwrap();
    let mut copy = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
    copy.annotations.clone_from(&index.annotations);
    assert_eq!(Descriptor::from_json(&copy.to_json()).unwrap(), copy);
    // Quadratic work would take many minutes.
    assert!(started.elapsed().as_secs() < 60);
}

#[test]
fn the_kinds_are_not_read_as_each_other() {
    let error = Raw::<Index>::parse(manifest().as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "index is a manifest of one image");
    let error = Raw::<Manifest>::parse(br#"{"manifests":[]}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "manifest is an index: choose one of its images"
    );
}

#[test]
fn a_config_is_read_as_far_as_it_is_known() {
    let diff_id = DiffId::sha256_of(b"tar");
    let text = format!(
        r#"{{"created":"2031-05-06T07:08:09Z","architecture":"amd64","os":"windows","os.version":"10.0.1",
        "os.features":["win32k"],"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}},
        "history":[{{"created_by":"x","y":1}},{{"empty_layer":true}}],
        "config":{{"User":"me","Env":["A=b"],"Entrypoint":["/a"],"Cmd":["-v"],"WorkingDir":"/w","Labels":{{"l":"1"}},
        "StopSignal":"SIGINT","ExposedPorts":{{"80/tcp":{{}}}},"Volumes":{{"/V":{{}},"/v":{{}}}},"OnBuild":null}}}}"#
    );
    let config = Raw::<Config>::parse(text.as_bytes()).unwrap();
    assert_eq!(config.created(), Some("2031-05-06T07:08:09Z"));
    assert_eq!(config.author(), None);
    assert_eq!(config.platform().os_version.as_deref(), Some("10.0.1"));
    assert_eq!(config.diff_ids(), [diff_id]);
    assert_eq!(config.history().len(), 2);
    assert_eq!(config.user(), "me");
    assert_eq!(config.environment(), ["A=b"]);
    assert_eq!(config.entrypoint(), ["/a"]);
    assert_eq!(config.command(), ["-v"]);
    assert_eq!(config.working_dir(), "/w");
    assert_eq!(config.labels()["l"], "1");
    assert_eq!(config.stop_signal(), "SIGINT");
    assert_eq!(
        config.exposed_ports().iter().collect::<Vec<_>>(),
        ["80/tcp"]
    );
    assert_eq!(config.volumes().iter().collect::<Vec<_>>(), ["/V", "/v"]);
    assert_eq!(config.media_type(), &MediaType::OCI_CONFIG);

    let error = Raw::<Config>::parse(br#"{"rootfs":{"diff_ids":["sha256:1"]}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "config: rootfs: diff_ids[0] is \"sha256:1\""
    );
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "sha256:1".parse::<DiffId>().unwrap_err().to_string()
    );
}

#[test]
fn indexes_may_not_lead_in_circles_nor_endlessly() {
    let digest = |level: usize| Digest::sha256_of(&[u8::try_from(level).unwrap()]);
    let mut nesting = Nesting::new(digest(0));
    for level in 1..Nesting::MAX_DEPTH {
        nesting = nesting.enter(digest(level)).unwrap();
    }
    assert_eq!(
        nesting.enter(digest(9)).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    let error = nesting.enter(digest(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("index {} leads back to itself", digest(1))
    );
}

proptest! {
    #[test]
    fn a_broken_document_never_panics(at in 0_usize..500, with in any::<u8>(), cut in 0_usize..500) {
        let mut bytes = manifest().into_bytes();
        let length = bytes.len();
        bytes[at % length] = with;
        bytes.truncate(length - cut % length);
        let _ = Document::classify(&bytes, None);
        let _ = Raw::<Config>::parse(&bytes);
    }
}
