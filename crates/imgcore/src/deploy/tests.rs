use super::*;
use crate::{Digest, LayerMetadata, MediaType};

fn blob(media_type: &str, text: &str) -> LayerMetadata {
    LayerMetadata::new(
        None,
        media_type.into(),
        Digest::sha256_of(text.as_bytes()),
        text.len() as u64,
    )
}

fn manifest() -> LayerMetadata {
    blob(MediaType::OCI_MANIFEST.as_str(), "manifest")
}

fn full_push() -> Operation {
    let mut image = ImageManifest::new(manifest(), blob("config", "c"));
    let mut layer = LayerBlob::new(blob("layer", "l"));
    layer.sources.push(Source::new("base.example", "os/tiny"));
    layer.compact_stream = Some(blob("", "stream"));
    image.layer_blobs.push(layer);
    image.layer_blobs.push(LayerBlob::new(blob("layer", "m")));
    let mut push = Operation::new(Command::Push, RootKind::Manifest, manifest());
    push.manifests.push(image);
    push.cross_mount_hint = Some(CrossMountHint::new(None, "os/tiny"));
    "enabled".clone_into(&mut push.deduplicated_push);
    push.original = Original {
        registries: vec!["base.example".to_owned()],
        repository: "os/tiny".to_owned(),
        tag: "1".to_owned(),
        digest: "sha256:aa".to_owned(),
    };
    "r.example".clone_into(&mut push.registry);
    "team/app".clone_into(&mut push.repository);
    push.tags = vec!["v7".to_owned()];
    push.sign = Some(Sign {
        setting: Some(blob("sign", "s")),
        best_effort: true,
        targets: vec![SignTarget::Roots, SignTarget::ChildManifests],
    });
    push
}

fn load() -> Operation {
    let mut load = Operation::new(Command::Load, RootKind::Manifest, manifest());
    load.manifests
        .push(ImageManifest::new(manifest(), blob("config", "c")));
    load.tags = vec!["demo:dev".to_owned()];
    "docker".clone_into(&mut load.daemon);
    load
}

fn tag() -> Operation {
    let mut tag = Operation::new(Command::RegistryTag, RootKind::Manifest, manifest());
    "r.example".clone_into(&mut tag.registry);
    "team/app".clone_into(&mut tag.repository);
    tag.tags = vec!["v7-arm64".to_owned()];
    tag
}

fn deploy(operations: &[Operation], settings: Settings) -> DeployManifest {
    DeployManifest {
        operations: operations.iter().map(Operation::to_request).collect(),
        settings,
    }
}

/// The document with short digests.
fn text(bytes: &[u8]) -> String {
    let mut text = String::from_utf8(bytes.to_vec()).unwrap();
    for (short, content) in [
        ("<manifest>", "manifest"),
        ("<c>", "c"),
        ("<l>", "l"),
        ("<m>", "m"),
        ("<s>", "s"),
        ("<stream>", "stream"),
    ] {
        text = text.replace(&Digest::sha256_of(content.as_bytes()).to_string(), short);
    }
    text
}

#[test]
fn members_are_written_in_their_fixed_order() {
    let push = deploy(
        &[full_push()],
        Settings {
            push_strategy: Some(PushStrategy::CasRegistry),
            load_strategy: Some(LoadStrategy::Eager),
            default_sign_setting: Some(blob("sign", "s")),
            blob_repository: "staging".to_owned(),
            forbid_layer_push: true,
        },
    );
    insta::assert_snapshot!(text(&push.to_json_bytes()), @r#"{"operations":[{"command":"push","root_kind":"manifest","root":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"<manifest>","size":8},"manifests":[{"descriptor":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"<manifest>","size":8},"config":{"mediaType":"config","digest":"<c>","size":1},"layer_blobs":[{"mediaType":"layer","digest":"<l>","size":1,"sources":[{"registry":"base.example","repository":"os/tiny"}],"compact_stream":{"mediaType":"","digest":"<stream>","size":6}},{"mediaType":"layer","digest":"<m>","size":1}]}],"cross_mount_hint":{"repository":"os/tiny"},"deduplicated_push":"enabled","original_registries":["base.example"],"original_repository":"os/tiny","original_tag":"1","original_digest":"sha256:aa","registry":"r.example","repository":"team/app","tags":["v7"],"sign":{"setting":{"mediaType":"sign","digest":"<s>","size":1},"best_effort":true,"targets":["roots","child_manifests"]}}],"settings":{"push_strategy":"cas_registry","load_strategy":"eager","default_sign_setting":{"mediaType":"sign","digest":"<s>","size":1},"blob_repository":"staging","forbid_layer_push":true}}"#);
    let load = deploy(&[load(), tag()], Settings::default());
    insta::assert_snapshot!(text(&load.to_json_bytes()), @r#"{"operations":[{"command":"load","root_kind":"manifest","root":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"<manifest>","size":8},"manifests":[{"descriptor":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"<manifest>","size":8},"config":{"mediaType":"config","digest":"<c>","size":1},"layer_blobs":[]}],"tags":["demo:dev"],"daemon":"docker"},{"command":"registry_tag","root_kind":"manifest","root":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"<manifest>","size":8},"manifests":null,"registry":"r.example","repository":"team/app","tags":["v7-arm64"]}],"settings":{}}"#);
}

#[test]
fn what_is_written_reads_back() {
    let operations = [full_push(), load(), tag()];
    let written = deploy(&operations, Settings::default());
    let read = DeployManifest::parse(&written.to_json_bytes(), Strictness::Strict).unwrap();
    let decoded: Vec<Operation> = read
        .operations
        .iter()
        .map(|request| request.decode().unwrap().unwrap())
        .collect();
    assert_eq!(decoded, operations);
    assert_eq!(read.to_json_bytes(), written.to_json_bytes());
}

#[test]
fn no_operations_are_null() {
    let bytes = DeployManifest::default().to_json_bytes();
    assert_eq!(bytes, br#"{"operations":null,"settings":{}}"#);
    let read = DeployManifest::parse(&bytes, Strictness::Strict).unwrap();
    assert_eq!(read, DeployManifest::default());
}

#[test]
fn errors_name_the_place() {
    let check = |operations: &str, expected: &str| {
        let text = format!(r#"{{"operations":[{operations}],"settings":{{}}}}"#);
        let error = DeployManifest::parse(text.as_bytes(), Strictness::Strict).unwrap_err();
        assert_eq!(error.to_string(), expected, "{operations}");
    };
    let root = format!(
        r#""root_kind":"manifest","root":{{"mediaType":"m","digest":"{}","size":2}}"#,
        Digest::sha256_of(b"{}")
    );
    check("7", "deploy manifest: operations[0] is no JSON object");
    check("{}", "deploy manifest: operations[0]: command is missing");
    check(
        r#"{"command":"push"}"#,
        "deploy manifest: operations[0]: root_kind is missing",
    );
    check(
        &format!(r#"{{"command":"push",{root}}}"#),
        "deploy manifest: operations[0]: registry is missing",
    );
    check(
        &format!(r#"{{"command":"load",{root},"tag":"x"}}"#),
        r#"deploy manifest: operations[0] has the unknown member "tag""#,
    );
    check(
        &format!(
            r#"{{"command":"load",{root},"manifests":[{{"descriptor":{{"mediaType":"","digest":"","size":0}}}}]}}"#
        ),
        r#"deploy manifest: operations[0]: manifests[0]: descriptor: digest is """#,
    );
    check(
        &format!(r#"{{"command":"load",{root},"sign":{{"targets":["some"]}}}}"#),
        r#"deploy manifest: operations[0]: sign: targets[0] is "some""#,
    );
}

#[test]
fn the_lenient_reader_takes_unknown_members_at_the_top_only() {
    let text = br#"{"x":1,"operations":[{"command":"push","y":1}],"settings":{"z":1}}"#;
    let error = DeployManifest::parse(text, Strictness::Strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"deploy manifest: settings has the unknown member "z""#
    );
    let read = DeployManifest::parse(text, Strictness::Lenient).unwrap();
    assert!(read.operations[0].decode().is_err());
}

#[test]
fn unknown_commands_pass_through_a_merge() {
    let text = br#"{"operations":[{ "command": "sync", "why": "<&>" }],"settings":{}}"#;
    let read = DeployManifest::parse(text, Strictness::Strict).unwrap();
    assert_eq!(read.operations[0].decode().unwrap(), None);
    let merged = merge([("a", read)], &MergeOptions::default()).unwrap();
    assert_eq!(
        String::from_utf8(merged.to_json_bytes()).unwrap(),
        r#"{"operations":[{"command":"sync","why":"\u003c\u0026\u003e"}],"settings":{}}"#
    );
}

#[test]
fn a_merge_keeps_the_commands_that_were_asked_for() {
    let check = |commands: &[Command], expected: &[&str]| {
        let input = deploy(&[full_push(), tag(), load()], Settings::default());
        let options = MergeOptions {
            commands: commands.to_vec(),
            ..MergeOptions::default()
        };
        let merged = merge([("a", input)], &options).unwrap();
        let kept: Vec<&str> = merged.operations.iter().map(Request::command).collect();
        assert_eq!(kept, expected);
    };
    check(&[], &["push", "registry_tag", "load"]);
    check(&[Command::Push], &["push", "registry_tag"]);
    check(&[Command::Load], &["load"]);
    check(
        &[Command::Load, Command::Push],
        &["push", "registry_tag", "load"],
    );
}

#[test]
fn settings_that_differ_cannot_be_merged() {
    let with = |blob_repository: &str, sign: Option<&str>, forbid| {
        let mut settings = Settings::default();
        blob_repository.clone_into(&mut settings.blob_repository);
        settings.default_sign_setting = sign.map(|text| blob("sign", text));
        settings.forbid_layer_push = forbid;
        deploy(&[], settings)
    };
    let merge = |one, other| merge([("a", one), ("b", other)], &MergeOptions::default());
    let merged = merge(with("x", None, false), with("", Some("s"), true)).unwrap();
    assert_eq!(merged.settings, with("x", Some("s"), true).settings);
    let error = merge(with("x", None, false), with("y", None, false)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "b has the blob repository y, but an input before it has x"
    );
    let error = merge(with("", Some("s"), false), with("", Some("t"), false)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("b has the default sign setting sha256:")
    );
}

proptest::proptest! {
    #[test]
    fn any_change_of_a_document_is_an_error_or_reads_back(
        place in proptest::prelude::any::<proptest::sample::Index>(),
        byte in proptest::prelude::any::<u8>(),
        strict in proptest::prelude::any::<bool>(),
    ) {
        let mut bytes = deploy(&[full_push(), load(), tag()], Settings::default()).to_json_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let strictness = if strict { Strictness::Strict } else { Strictness::Lenient };
        if let Ok(read) = DeployManifest::parse(&bytes, strictness) {
            for request in &read.operations {
                let Ok(Some(operation)) = request.decode() else { continue };
                let again = operation.to_request();
                proptest::prop_assert_eq!(again.decode().unwrap(), Some(operation));
            }
            let written = read.to_json_bytes();
            let again = DeployManifest::parse(&written, Strictness::Lenient).unwrap();
            proptest::prop_assert_eq!(again.to_json_bytes(), written);
        }
    }
}
