use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::check::{ImageParts, check_document, check_image};
use crate::json::{Limits, Object, Value};
use crate::{
    Config, Descriptor, DiffId, Digest, Document, HistoryEntry, LayerMetadata, Manifest, MediaType,
    Platform, Raw,
};

fn object(text: &str) -> Object {
    Value::parse(text.as_bytes(), &Limits::default())
        .unwrap()
        .as_object()
        .unwrap()
}

fn layer(name: &str, media_type: MediaType) -> LayerMetadata {
    let mut layer = LayerMetadata::new(
        Some(DiffId::sha256_of(name.as_bytes())),
        media_type,
        Digest::sha256_of(name.as_bytes()),
        name.len() as u64,
    );
    layer
        .history
        .push(HistoryEntry::created_by(format!("make {name}")));
    layer
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn options() -> ConfigOptions {
    ConfigOptions {
        platform: Some(Platform::new("linux", "amd64")),
        ..ConfigOptions::default()
    }
}

/// Assembles without layers on a base whose `config` is `base`, and returns the `config` of the result.
fn execution(base: &str, fragment: &str, options: &ConfigOptions) -> String {
    let base = format!(r#"{{"os":"linux","architecture":"amd64","config":{base}}}"#);
    let base = Raw::<Config>::parse(base.as_bytes()).unwrap();
    let fragment = object(&format!(r#"{{"config":{fragment}}}"#));
    match assemble_config(Some(&base), Some(&fragment), options, &[]) {
        Ok(config) => {
            let config = object(std::str::from_utf8(&config).unwrap());
            config.get("config").unwrap().text().to_owned()
        }
        Err(error) => error.to_string(),
    }
}

const WINDOWS_BASE: &str = r#"{
        "architecture": "amd64", "os": "windows", "os.version": "10.0.20348.2700", "os.features": ["win32k"],
        "created": "2020-01-01T00:00:00Z", "author": "them", "docker_version": "20.10.7", "x-unknown": {"b": [1.50], "a": "<"},
        "config": {
            "Hostname": "", "User": "ContainerUser", "ExposedPorts": {"81/tcp": {}, "80/tcp": {}},
            "Env": ["PATH=C:\\Windows", "A=1"], "Entrypoint": ["cmd"], "Cmd": ["/c"], "Volumes": {"C:/b": {}, "C:/a": {}},
            "WorkingDir": "C:\\w", "Labels": {"z": "1", "a": "&"}, "StopSignal": "SIGINT", "ArgsEscaped": true,
            "Shell": ["powershell"], "OnBuild": ["RUN x"], "StopTimeout": 7,
            "Healthcheck": {"Test": ["CMD", "x"], "Interval": 30000000000}, "Image": "sha256:abc"
        },
        "rootfs": {"type": "layers", "diff_ids": []}
    }"#;

#[test]
fn every_member_of_the_base_stays() {
    let base = Raw::<Config>::parse(WINDOWS_BASE.as_bytes()).unwrap();
    let config = assemble_config(Some(&base), None, &ConfigOptions::default(), &[]).unwrap();
    let config = Value::parse(&config, &Limits::default()).unwrap();
    insta::assert_snapshot!(String::from_utf8(config.to_indented()).unwrap(), @r#"
    {
      "author": "them",
      "architecture": "amd64",
      "os": "windows",
      "os.version": "10.0.20348.2700",
      "os.features": [
        "win32k"
      ],
      "config": {
        "User": "ContainerUser",
        "ExposedPorts": {
          "80/tcp": {},
          "81/tcp": {}
        },
        "Env": [
          "PATH=C:\\Windows",
          "A=1"
        ],
        "Entrypoint": [
          "cmd"
        ],
        "Cmd": [
          "/c"
        ],
        "Volumes": {
          "C:/a": {},
          "C:/b": {}
        },
        "WorkingDir": "C:\\w",
        "Labels": {
          "a": "\u0026",
          "z": "1"
        },
        "StopSignal": "SIGINT",
        "ArgsEscaped": true,
        "Healthcheck": {
          "Test": [
            "CMD",
            "x"
          ],
          "Interval": 30000000000
        },
        "OnBuild": [
          "RUN x"
        ],
        "Shell": [
          "powershell"
        ],
        "StopTimeout": 7,
        "Hostname": "",
        "Image": "sha256:abc"
      },
      "rootfs": {
        "type": "layers",
        "diff_ids": []
      },
      "docker_version": "20.10.7",
      "x-unknown": {
        "b": [
          1.50
        ],
        "a": "\u003c"
      }
    }
    "#);
}

#[test]
fn a_config_of_nothing_has_what_every_config_has() {
    let config = assemble_config(None, None, &options(), &[]).unwrap();
    assert_eq!(
        String::from_utf8(config).unwrap(),
        r#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#
    );
}

#[test]
fn a_canonical_config_has_these_bytes() {
    let mut options = options();
    options.platform = Some(Platform::new("linux", "arm64"));
    options.created = Some("2031-05-06T07:08:09.00Z".to_owned());
    options.environment = map(&[("PATH", "/bin"), ("MODE", "prod")]);
    options.labels = map(&[("b", "<1>"), ("a", "2")]);
    options.user = Setting::Set("me".to_owned());
    options.entrypoint = Setting::Set(vec!["/app".to_owned()]);
    options.command = Setting::Set(vec!["-v".to_owned()]);
    options.working_dir = Setting::Set("/w".to_owned());
    options.stop_signal = Setting::Set("SIGINT".to_owned());
    let fragment =
        object(r#"{"author":"a & b","config":{"ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}}}}"#);
    let layers = [layer("app", MediaType::OCI_LAYER_GZIP)];
    let config = assemble_config(None, Some(&fragment), &options, &layers).unwrap();
    insta::assert_snapshot!(String::from_utf8(config.clone()).unwrap(), @r#"{"created":"2031-05-06T07:08:09Z","author":"a \u0026 b","architecture":"arm64","os":"linux","variant":"v8","config":{"User":"me","ExposedPorts":{"80/tcp":{}},"Env":["MODE=prod","PATH=/bin"],"Entrypoint":["/app"],"Cmd":["-v"],"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"a":"2","b":"\u003c1\u003e"},"StopSignal":"SIGINT"},"rootfs":{"type":"layers","diff_ids":["sha256:a172cedcae47474b615c54d510a5d84a8dea3032e958587430b413538be3f333"]},"history":[{"created_by":"make app"}]}"#);
    assert_eq!(
        Digest::sha256_of(&config).to_string(),
        "sha256:4b1393dfd27ab5c6dc7f26d532e0ca76ef45b036f92c3ebe3142fdb72525864a"
    );
}

#[test]
fn variables_are_merged_by_name_in_order() {
    let check = |base: &str, fragment: &str, given: &[(&str, &str)], expected: &str| {
        let mut options = options();
        options.environment = map(given);
        let fragment = format!(r#"{{"Env":{fragment}}}"#);
        assert_eq!(
            execution(&format!(r#"{{"Env":{base}}}"#), &fragment, &options),
            expected
        );
    };
    check(r#"["B=1","A=2"]"#, "null", &[], r#"{"Env":["B=1","A=2"]}"#);
    check("[]", "[]", &[], "{}");
    check(
        r#"["B=1"]"#,
        r#"["D=2","C=3","B=4"]"#,
        &[],
        r#"{"Env":["B=4","D=2","C=3"]}"#,
    );
    check(
        r#"["B=1","A=2"]"#,
        r#"["C=3"]"#,
        &[("Z", "5"), ("C", "6"), ("D", "7"), ("B", "8")],
        r#"{"Env":["B=8","A=2","C=6","D=7","Z=5"]}"#,
    );
    check(
        r#"["A=1=2"]"#,
        "null",
        &[("B", "=")],
        r#"{"Env":["A=1=2","B=="]}"#,
    );
    // Names differ in case, values are escaped.
    check(
        r#"["a=1"]"#,
        "null",
        &[("A", "<")],
        r#"{"Env":["a=1","A=\u003c"]}"#,
    );
    check(
        "[\"A\"]",
        "null",
        &[],
        r#"base config: config: Env[0] is "A", which has no "=""#,
    );
    check(
        "[]",
        "[\"B=1\",\"A\"]",
        &[],
        r#"config fragment: config: Env[1] is "A", which has no "=""#,
    );
    check(
        "[]",
        "null",
        &[("A=B", "")],
        r#"environment variable "A=B" has a name or a value that no program can be given"#,
    );
    check(
        "[]",
        "null",
        &[("", "")],
        r#"environment variable "" has a name or a value that no program can be given"#,
    );
    check(
        "[]",
        "[1]",
        &[],
        "config fragment: config: Env[0] is no string",
    );
}

#[test]
fn entrypoint_and_command_are_kept_replaced_or_removed() {
    let words =
        |words: &[&str]| Setting::from_words(words.iter().map(ToString::to_string).collect());
    let check = |entrypoint: &[&str], command: &[&str], expected: &str| {
        let mut options = options();
        options.entrypoint = words(entrypoint);
        options.command = words(command);
        let base = r#"{"Entrypoint":["/base","-e"],"Cmd":["-c"]}"#;
        assert_eq!(
            execution(base, "{}", &options),
            expected,
            "{entrypoint:?} {command:?}"
        );
    };
    check(
        &[INHERIT],
        &[INHERIT],
        r#"{"Entrypoint":["/base","-e"],"Cmd":["-c"]}"#,
    );
    check(&[], &[], "{}");
    check(&[], &[INHERIT], r#"{"Cmd":["-c"]}"#);
    check(&[INHERIT], &[], r#"{"Entrypoint":["/base","-e"]}"#);
    check(
        &[INHERIT],
        &["x"],
        r#"{"Entrypoint":["/base","-e"],"Cmd":["x"]}"#,
    );
    check(&["/app"], &[INHERIT], r#"{"Entrypoint":["/app"]}"#);
    check(&["/app"], &[], r#"{"Entrypoint":["/app"]}"#);
    check(&["/app"], &["x"], r#"{"Entrypoint":["/app"],"Cmd":["x"]}"#);
    check(
        &["/app"],
        &[INHERIT, "x"],
        r#"{"Entrypoint":["/app"],"Cmd":["-c","x"]}"#,
    );
    check(
        &["/init", INHERIT, "-x"],
        &[INHERIT],
        r#"{"Entrypoint":["/init","/base","-e","-x"]}"#,
    );
    check(
        &[INHERIT, INHERIT],
        &[],
        r#"{"Entrypoint":["/base","-e","/base","-e"]}"#,
    );
}

#[test]
fn an_entrypoint_in_the_fragment_removes_the_bases_command_too() {
    let base = r#"{"Entrypoint":["/base"],"Cmd":["-c"]}"#;
    let check = |fragment: &str, expected: &str| {
        assert_eq!(execution(base, fragment, &options()), expected);
    };
    check(r#"{"Entrypoint":["/app"]}"#, r#"{"Entrypoint":["/app"]}"#);
    check(
        r#"{"Entrypoint":["/app"],"Cmd":["x"]}"#,
        r#"{"Entrypoint":["/app"],"Cmd":["x"]}"#,
    );
    check(
        r#"{"Cmd":["x"]}"#,
        r#"{"Entrypoint":["/base"],"Cmd":["x"]}"#,
    );
}

#[test]
fn single_texts_are_kept_replaced_or_removed() {
    let check = |word: Option<&str>, expected: &str| {
        let mut options = options();
        options.user = Setting::from_word(word.map(str::to_owned));
        options.working_dir = options.user.clone();
        options.stop_signal = options.user.clone();
        let base = r#"{"User":"u","WorkingDir":"/w","StopSignal":"s"}"#;
        assert_eq!(execution(base, "{}", &options), expected);
    };
    check(
        Some(INHERIT),
        r#"{"User":"u","WorkingDir":"/w","StopSignal":"s"}"#,
    );
    check(
        Some("x"),
        r#"{"User":"x","WorkingDir":"x","StopSignal":"x"}"#,
    );
    check(Some(""), "{}");
    check(None, "{}");
}

#[test]
fn a_fragment_replaces_ports_volumes_and_the_rest_and_merges_labels() {
    let base = r#"{"ExposedPorts":{"1/tcp":{}},"Volumes":{"/a":{}},"Labels":{"a":"1","b":"2"},"Shell":["sh"],"X":1}"#;
    let fragment = r#"{"Volumes":{"/c":{},"/b":{}},"Labels":{"b":"3"},"Shell":["bash"],"OnBuild":["x"],"X":null}"#;
    let mut options = options();
    options.labels = map(&[("0", "4")]);
    assert_eq!(
        execution(base, fragment, &options),
        r#"{"ExposedPorts":{"1/tcp":{}},"Volumes":{"/b":{},"/c":{}},"Labels":{"0":"4","a":"1","b":"3"},"OnBuild":["x"],"Shell":["bash"],"X":1}"#
    );
}

#[test]
fn a_fragment_says_when_the_image_was_made_and_the_options_say_it_louder() {
    let created = |options: &ConfigOptions, fragment: &str| {
        let base = Raw::parse(
            br#"{"os":"linux","architecture":"amd64","created":"2001-01-01T00:00:00Z"}"#,
        );
        let config = assemble_config(Some(&base.unwrap()), Some(&object(fragment)), options, &[]);
        let config = config.map(|config| Raw::<Config>::parse(&config).unwrap());
        config.map_or_else(
            |error| error.to_string(),
            |config| format!("{:?}", config.created()),
        )
    };
    let mut options = options();
    assert_eq!(created(&options, "{}"), "None");
    assert_eq!(created(&options, r#"{"created":""}"#), "None");
    let fragment = r#"{"created":"2002-01-01T00:00:00.50+00:00"}"#;
    assert_eq!(
        created(&options, fragment),
        r#"Some("2002-01-01T00:00:00.5Z")"#
    );
    options.created = Some("2003-01-01T00:00:00Z".to_owned());
    assert_eq!(
        created(&options, fragment),
        r#"Some("2003-01-01T00:00:00Z")"#
    );
    options.created = Some("yesterday".to_owned());
    assert_eq!(
        created(&options, fragment),
        r#""yesterday" is no RFC 3339 time such as 2031-05-06T07:08:09Z"#
    );
}

#[test]
fn a_layer_without_diff_id_makes_no_container_image() {
    let mut blob = layer("blob", "application/octet-stream".into());
    blob.diff_id = None;
    let error = assemble_config(None, None, &options(), &[blob.clone()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "layer 0 ({}) has no diff_id, so that no container image can be made of it",
            blob.digest
        )
    );
}

/// A Docker schema 2 manifest with a plain and a foreign layer.
fn docker_base() -> Raw<Manifest> {
    let descriptor = |media_type: &MediaType, name: &str| {
        let mut descriptor = Descriptor::of(media_type.clone(), name.as_bytes());
        if media_type.is_foreign_layer() {
            descriptor
                .urls
                .push("https://example.com/foreign".to_owned());
        }
        descriptor
    };
    let mut manifest = Object::new();
    manifest.set("schemaVersion", 2_u64);
    manifest.set("mediaType", MediaType::DOCKER_MANIFEST.as_str());
    manifest.set("config", descriptor(&MediaType::DOCKER_CONFIG, "{}"));
    manifest.set(
        "layers",
        vec![
            descriptor(&MediaType::DOCKER_FOREIGN_LAYER_GZIP, "foreign"),
            descriptor(&MediaType::DOCKER_LAYER_GZIP, "base"),
        ],
    );
    Raw::parse(&manifest.to_compact()).unwrap()
}

#[test]
fn a_docker_base_becomes_oci_as_a_whole_with_foreign_layers_and_zstd() {
    let base = docker_base();
    let layers = [
        layer("foreign", MediaType::DOCKER_FOREIGN_LAYER_GZIP),
        layer("base", MediaType::DOCKER_LAYER_GZIP),
        layer("app", MediaType::OCI_LAYER_ZSTD),
    ];
    let context = Base {
        config: None,
        manifest: Some(&base),
    };
    let mut options = ImageOptions {
        config: options(),
        ..ImageOptions::default()
    };
    options.config_media_type = Some(MediaType::DOCKER_CONFIG);
    let image = assemble_image(&context, &layers, &options).unwrap();
    let manifest = Value::parse(&image.manifest, &Limits::default()).unwrap();
    insta::assert_snapshot!(String::from_utf8(manifest.to_indented()).unwrap(), @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": "sha256:2b35592bb2a5d89e5bf95578d274bec7d08bbf5ad4f162f26384be7125b5c1eb",
        "size": 406
      },
      "layers": [
        {
          "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
          "digest": "sha256:656771905e1ef731f65cd0a0d9fb061238380a1a012e6abdf846ecc7d2ea36fd",
          "size": 7,
          "urls": [
            "https://example.com/foreign"
          ]
        },
        {
          "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
          "digest": "sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2",
          "size": 4
        },
        {
          "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
          "digest": "sha256:a172cedcae47474b615c54d510a5d84a8dea3032e958587430b413538be3f333",
          "size": 3
        }
      ]
    }
    "#);
    assert_eq!(
        image.descriptor.platform,
        Some(Platform::new("linux", "amd64"))
    );
    assert_eq!(image.descriptor, {
        let mut expected = Descriptor::of(MediaType::OCI_MANIFEST, &image.manifest);
        expected.platform = Some(Platform::new("linux", "amd64"));
        expected
    });
    // The same bytes on every host.
    assert_eq!(
        Digest::sha256_of(&image.manifest).to_string(),
        "sha256:59209513f367c6f7042463aa25126c4d33eda961a6ea688017c7b5c107e66ee7"
    );
}

#[test]
fn an_artifact_has_the_empty_config_inside_its_manifest() {
    let mut blob = layer("blob", "application/vnd.example.model".into());
    blob.diff_id = None;
    blob.annotations = map(&[("org.opencontainers.image.title", "model.bin")]);
    let empty = LayerMetadata::new(None, MediaType::OCI_EMPTY, Digest::sha256_of(b"{}"), 2);
    let mut options = ImageOptions {
        config_media_type: Some(MediaType::OCI_EMPTY),
        ..ImageOptions::default()
    };
    options.manifest.artifact_type = Some("application/vnd.example.model+type".into());
    options.manifest.subject = Some(Descriptor::of(MediaType::OCI_MANIFEST, b"subject"));
    options.manifest.annotations = map(&[("b", "1"), ("a", "2")]);
    let image = assemble_image(&Base::default(), &[blob, empty], &options).unwrap();
    assert_eq!(image.config, b"{}");
    let manifest = Value::parse(&image.manifest, &Limits::default()).unwrap();
    insta::assert_snapshot!(String::from_utf8(manifest.to_indented()).unwrap(), @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "artifactType": "application/vnd.example.model+type",
      "config": {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "size": 2,
        "data": "e30="
      },
      "layers": [
        {
          "mediaType": "application/vnd.example.model",
          "digest": "sha256:fa2c8cc4f28176bbeed4b736df569a34c79cd3723e9ec42f9674b4d46ac6b8b8",
          "size": 4,
          "annotations": {
            "org.opencontainers.image.title": "model.bin"
          }
        },
        {
          "mediaType": "application/vnd.oci.empty.v1+json",
          "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
          "size": 2,
          "data": "e30="
        }
      ],
      "subject": {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:a9491f4c1bf7b0cffbadcba2db8f028e4b3f2867cb59e1f3a0bc1968f3c51242",
        "size": 7
      },
      "annotations": {
        "a": "2",
        "b": "1"
      }
    }
    "#);
    let descriptor = image.descriptor.to_json();
    insta::assert_snapshot!(String::from_utf8(descriptor.to_indented()).unwrap(), @r#"
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": "sha256:525387852ee69c8edd5de50e84c28c6390def8df1b04a72b810598781b507f96",
      "size": 852,
      "annotations": {
        "a": "2",
        "b": "1"
      },
      "artifactType": "application/vnd.example.model+type"
    }
    "#);
}

#[test]
fn a_config_of_another_type_is_the_fragment_byte_for_byte() {
    let mut options = ImageOptions {
        config_media_type: Some("application/vnd.example.config".into()),
        fragment: Some(b"not even { JSON \xff".to_vec()),
        ..ImageOptions::default()
    };
    let image = assemble_image(&Base::default(), &[], &options).unwrap();
    assert_eq!(image.config, b"not even { JSON \xff");
    assert_eq!(image.descriptor.platform, None);
    options.fragment = None;
    let error = assemble_image(&Base::default(), &[], &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "config of type application/vnd.example.config has no content: give it as the config fragment"
    );
}

#[test]
fn a_fragment_that_is_no_config_is_refused() {
    let check = |fragment: &str, expected: &str| {
        let options = ImageOptions {
            config: options(),
            fragment: Some(fragment.as_bytes().to_vec()),
            ..ImageOptions::default()
        };
        let error = assemble_image(&Base::default(), &[], &options).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("{", "config fragment cannot be read");
    check("[]", "config fragment is no JSON object");
    check(
        r#"{"config":[]}"#,
        "config fragment: config is no JSON object",
    );
    check(
        r#"{"config":{"Labels":["a"]}}"#,
        "config fragment: config: Labels is no object",
    );
    check(
        r#"{"os":"windows"}"#,
        "config fragment is for windows/amd64 and the image for linux/amd64",
    );
}

#[test]
fn the_base_is_named_unless_the_annotations_do() {
    let annotations = |own: &[(&str, &str)]| {
        let options = ManifestOptions {
            annotations: map(own),
            base_digest: Some(Digest::sha256_of(b"base")),
            base_name: Some("base.example/os:1".to_owned()),
            ..ManifestOptions::default()
        };
        let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
        let manifest = assemble_manifest(&config, &[], None, &options).unwrap();
        Raw::<Manifest>::parse(&manifest)
            .unwrap()
            .annotations
            .clone()
    };
    let digest = Digest::sha256_of(b"base").to_string();
    let base_digest = "org.opencontainers.image.base.digest";
    let base_name = "org.opencontainers.image.base.name";
    assert_eq!(
        annotations(&[]),
        map(&[(base_digest, &digest), (base_name, "base.example/os:1")])
    );
    assert_eq!(
        annotations(&[(base_digest, "mine"), (base_name, "")]),
        map(&[(base_digest, "mine"), (base_name, "")])
    );
}

#[test]
fn the_digest_of_a_directorys_content_is_its_diff_id() {
    let config = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
    let mut directory = layer("directory", MediaType::OCI_LAYER_GZIP);
    directory.annotations = map(&[("io.deis.oras.content.digest", "DERIVE_FROM_DIFF_ID")]);
    let layers = [directory.clone()];
    let manifest = assemble_manifest(&config, &layers, None, &ManifestOptions::default()).unwrap();
    let manifest = Raw::<Manifest>::parse(&manifest).unwrap();
    assert_eq!(
        manifest.layers[0].annotations["io.deis.oras.content.digest"],
        directory.diff_id.unwrap().to_string()
    );

    directory.diff_id = None;
    let digest = directory.digest;
    let error =
        assemble_manifest(&config, &[directory], None, &ManifestOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("layer 0 ({digest}) has no diff_id for its annotation io.deis.oras.content.digest")
    );
}

#[test]
fn an_index_lists_its_images_in_the_given_order() {
    let mut first = Descriptor::of(MediaType::OCI_MANIFEST, b"first");
    first.platform = Some(Platform::new("linux", "arm64").with_variant("v8"));
    let second = Descriptor::of(MediaType::OCI_MANIFEST, b"second");
    let options = IndexOptions {
        annotations: map(&[("a", "1")]),
        subject: Some(second.clone()),
        ..IndexOptions::default()
    };
    let index = assemble_index(&[second, first], &options);
    let index = Value::parse(&index, &Limits::default()).unwrap();
    insta::assert_snapshot!(String::from_utf8(index.to_indented()).unwrap(), @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.index.v1+json",
      "manifests": [
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "digest": "sha256:16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4",
          "size": 6
        },
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "digest": "sha256:a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
          "size": 5,
          "platform": {
            "architecture": "arm64",
            "os": "linux",
            "variant": "v8"
          }
        }
      ],
      "subject": {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4",
        "size": 6
      },
      "annotations": {
        "a": "1"
      }
    }
    "#);
}

proptest! {
    #[test]
    fn assembly_is_a_fixed_point_of_itself(
        environment in prop::collection::btree_map("[A-Z]{1,3}", ".{0,4}", 0..5),
        labels in prop::collection::btree_map(".{0,4}", ".{0,4}", 0..5),
    ) {
        let mut options = options();
        options.environment = environment.into_iter().filter(|(_, value)| !value.contains('\0')).collect();
        options.labels = labels;
        let layers = [layer("a", MediaType::OCI_LAYER_GZIP)];
        let once = assemble_config(None, None, &options, &layers).unwrap();
        let base = Raw::<Config>::parse(&once).unwrap();
        let twice = assemble_config(Some(&base), None, &ConfigOptions::default(), &layers).unwrap();
        prop_assert_eq!(String::from_utf8(once).unwrap(), String::from_utf8(twice).unwrap());
    }

    #[test]
    fn any_base_and_fragment_are_taken_or_refused(
        base in r#"\{("(os|variant|config|history|created|rootfs)":("linux"|null|\[\]|\{\}|1|\{"(Env|Cmd|Labels|diff_ids)":(null|\["=a"\]|\{"x":"y"\})\}),){0,3}"architecture":"arm64"\}"#,
        fragment in r#"\{("(os|variant|config|history|created|rootfs)":("linux"|null|\[\]|\{\}|1|\{"(Env|Cmd|Labels|diff_ids)":(null|\["=a"\]|\{"x":"y"\})\}),){0,3}"author":""\}"#,
    ) {
        let base = Raw::<Config>::parse(base.as_bytes()).ok();
        let options = ImageOptions {
            fragment: Some(fragment.into_bytes()),
            ..ImageOptions::default()
        };
        let context = Base {
            config: base.as_ref(),
            manifest: None,
        };
        if let Ok(image) = assemble_image(&context, &[], &options) {
            Raw::<Config>::parse(&image.config).unwrap();
            let (document, mismatches) = check_document("image", &image.descriptor, &image.manifest);
            prop_assert!(mismatches.is_empty());
            let Some(Document::Manifest(manifest)) = document else {
                panic!("it is a manifest");
            };
            let parts = ImageParts::new(&manifest).with_config(Some(&image.config));
            let mismatches = check_image("image", &parts);
            prop_assert!(mismatches.is_empty(), "{:?}", mismatches);
        }
    }
}
