use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use imgcore::document::{Manifest, Raw};
use imgcore::{Descriptor, Digest, MediaType};
use imgtar::{END_OF_ARCHIVE, Header, Reader, padding};

use super::*;
use crate::{ErrorKind, LocalSourceExt, OciLayout, Placement, conformance};

const LAYER: &[u8] = b"layer";

/// Puts an archive together: content for files, a target after `->` for symbolic links.
fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in entries {
        if let Some((name, target)) = name.split_once(" -> ") {
            Header::symlink(name, target).encode(&mut out).unwrap();
            continue;
        }
        if let Some((name, target)) = name.split_once(" == ") {
            Header::hard_link(name, target).encode(&mut out).unwrap();
            continue;
        }
        let size = content.len() as u64;
        Header::file(*name, size).encode(&mut out).unwrap();
        out.extend_from_slice(content);
        out.resize(out.len() + padding(size), 0);
    }
    out.extend_from_slice(&END_OF_ARCHIVE);
    out
}

fn open(bytes: &[u8]) -> Result<(tempfile::NamedTempFile, Image), crate::Error> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let image = Image::open(file.path())?;
    Ok((file, image))
}

fn names(archive: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut reader = Reader::new(archive);
    while let Some(entry) = reader.next_entry().unwrap() {
        let header = entry.header();
        assert_eq!((header.uid, header.gid, header.mtime.secs), (0, 0, 0));
        let name = String::from_utf8(header.path.clone()).unwrap();
        names.push(format!("{:o} {name}", header.mode));
    }
    names
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| format!(r#""{}""#, Digest::sha256_of(layer)))
        .collect();
    let diff_ids = diff_ids.join(",");
    format!(r#"{{"architecture":"arm64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#)
        .into_bytes()
}

fn manifest(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            Descriptor::of(MediaType::OCI_LAYER_TAR, layer)
                .to_json()
                .to_compact()
        })
        .map(|json| String::from_utf8(json).unwrap())
        .collect();
    let config = Descriptor::of(MediaType::OCI_CONFIG, config)
        .to_json()
        .to_compact();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
        String::from_utf8(config).unwrap(),
        layers.join(",")
    )
    .into_bytes()
}

/// An image of one layer, as a Docker archive with two tags.
fn export() -> Export {
    let config = config(&[LAYER]);
    let manifest = manifest(&config, &[LAYER]);
    let parsed = Raw::<Manifest>::parse(&manifest).unwrap();
    let tags = ["r.example/app:v1".to_owned(), "app:latest".to_owned()];
    let index = docker_index(&describe_manifest(&parsed), &tags, false);
    let mut export = Export::docker(
        index,
        docker_manifest(&[DockerImage::new(&parsed, tags.to_vec())]),
    );
    export.document(&manifest);
    export.document(&config);
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, LAYER);
    export.blob(&layer, Content::Bytes(Bytes::from_static(LAYER)));
    export
}

#[test]
fn an_archive_has_its_entries_in_the_fixed_order() {
    let archive = export().write_tar(Vec::new()).unwrap();
    let found = names(&archive).join("\n");
    insta::assert_snapshot!(found, @r"
    755 blobs/
    755 blobs/sha256/
    644 oci-layout
    644 index.json
    644 manifest.json
    644 blobs/sha256/6c2a139ee895e880da09c5d9c8e6be325dd0c0e48d6000ab51cb145e9374ee1b
    644 blobs/sha256/d51aff08bf67afbc6e7e540470878e4438e0824ff21ea8bfebe7c72f22825419
    644 blobs/sha256/dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85
    ");
    let golden = "sha256:5869195eab1d133bf76558db8b4c804034937588ac1ed57bfc484563a7b2d8d8";
    assert_eq!(Digest::sha256_of(&archive).to_string(), golden);
}

#[test]
fn the_documents_of_a_docker_archive_are_written_as_ever() {
    let archive = export().write_tar(Vec::new()).unwrap();
    let (_file, image) = open(&archive).unwrap();
    insta::assert_snapshot!(String::from_utf8(image.index().to_bytes()).unwrap(), @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.index.v1+json",
      "manifests": [
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "size": 394,
          "digest": "sha256:d51aff08bf67afbc6e7e540470878e4438e0824ff21ea8bfebe7c72f22825419",
          "annotations": {
            "com.apple.containerization.image.name": "r.example/app:v1",
            "io.containerd.image.name": "r.example/app:v1",
            "org.opencontainers.image.ref.name": "r.example/app:v1"
          }
        },
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "size": 394,
          "digest": "sha256:d51aff08bf67afbc6e7e540470878e4438e0824ff21ea8bfebe7c72f22825419",
          "annotations": {
            "com.apple.containerization.image.name": "app:latest",
            "io.containerd.image.name": "app:latest",
            "org.opencontainers.image.ref.name": "app:latest"
          }
        }
      ]
    }
    "#);
    let parsed = Raw::<Manifest>::parse(&manifest(&config(&[LAYER]), &[LAYER, LAYER])).unwrap();
    let text = docker_manifest(&[DockerImage::new(&parsed, Vec::new())]);
    insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
    [
      {
        "Config": "blobs/sha256/6c2a139ee895e880da09c5d9c8e6be325dd0c0e48d6000ab51cb145e9374ee1b",
        "RepoTags": [
          "image:latest"
        ],
        "Layers": [
          "blobs/sha256/dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85",
          "blobs/sha256/dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85"
        ]
      }
    ]
    "#);
    let parsed = Raw::<Manifest>::parse(&manifest(&config(&[]), &[])).unwrap();
    let text = docker_manifest(&[DockerImage::new(&parsed, Vec::new())]);
    assert!(
        String::from_utf8(text)
            .unwrap()
            .contains("\"Layers\": null")
    );
}

#[test]
fn the_order_of_adding_changes_no_byte() {
    let index = layout_index(&[]);
    let write = |blobs: &[&[u8]]| {
        let mut export = Export::oci(index.clone());
        for blob in blobs {
            export.document(blob);
        }
        export.write_tar(Vec::new()).unwrap()
    };
    assert_eq!(write(&[b"1", b"2", b"3"]), write(&[b"3", b"1", b"1", b"2"]));
}

#[test]
fn an_archive_that_was_written_is_read() {
    let archive = export().write_tar(Vec::new()).unwrap();
    let (_file, image) = open(&archive).unwrap();
    conformance::source(&image, LAYER);
    let names: Vec<_> = image.index().names().map(|(name, _)| name).collect();
    assert_eq!(names, ["r.example/app:v1", "app:latest"]);
}

#[test]
fn a_compressed_archive_is_read() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(&export().write_tar(Vec::new()).unwrap())
        .unwrap();
    let (_file, image) = open(&encoder.finish().unwrap()).unwrap();
    conformance::source(&image, LAYER);
}

#[test]
fn a_directory_has_the_files_of_the_archive_and_is_a_layout() {
    for placement in [Placement::Copy, Placement::Link, Placement::Symlink] {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("out");
        let file = root.path().join("layer.tar");
        fs_err::write(&file, b"another").unwrap();
        let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"another");
        let mut export = export();
        export.blob(&layer, Content::File(file));
        export.write_directory(&directory, placement).unwrap();
        let options =
            crate::DirectoryOptions::default().with_outside_links(crate::OutsideLinks::Follow);
        let layout = OciLayout::open(&directory).unwrap().with_options(options);
        assert_eq!(layout.index().unwrap().descriptors().len(), 2);
        assert_eq!(layout.read_all_blocking(&layer, 100).unwrap(), b"another");
        assert!(directory.join("manifest.json").is_file());
    }
}

#[test]
fn a_directory_that_cannot_be_completed_is_left_as_it_was() {
    let mut export = export();
    let missing = Descriptor::of(MediaType::OCI_LAYER_TAR, b"missing");
    export.blob(&missing, Content::File("no/such/file".into()));
    let root = tempfile::tempdir().unwrap();
    let absent = root.path().join("absent");
    let empty = root.path().join("empty");
    fs_err::create_dir(&empty).unwrap();
    for directory in [&absent, &empty] {
        let error = export
            .write_directory(directory, Placement::Link)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    assert!(!absent.exists());
    assert_eq!(fs_err::read_dir(&empty).unwrap().count(), 0);

    fs_err::write(empty.join("precious"), b"").unwrap();
    let error = export.write_directory(&empty, Placement::Link).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(empty.join("precious").exists());
}

#[test]
fn a_blob_that_is_another_one_fails_the_archive() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("layer");
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"right");
    for content in ["wrong", "righ", "right!"] {
        fs_err::write(&file, content).unwrap();
        let mut export = Export::oci(layout_index(&[]));
        export.blob(&layer, Content::File(file.clone()));
        assert!(export.write_tar(Vec::new()).is_err(), "{content}");
    }
}

#[test]
fn a_sparse_layout_notes_layers_without_their_bytes() {
    let mut layer = Descriptor::of(MediaType::OCI_LAYER_GZIP, LAYER);
    layer.annotations.insert("a".into(), "b".into());
    let manifest = manifest(&config(&[LAYER]), &[LAYER]);
    let mut export = Export::sparse(&Descriptor::of(MediaType::OCI_MANIFEST, &manifest));
    export.document(&manifest);
    export.layer_note(&layer);
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("out");
    export.write_directory(&directory, Placement::Copy).unwrap();
    let read = |name: &str| fs_err::read_to_string(directory.join(name)).unwrap();
    insta::assert_snapshot!(read("root.descriptor.json"), @r#"
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "size": 394,
      "digest": "sha256:d51aff08bf67afbc6e7e540470878e4438e0824ff21ea8bfebe7c72f22825419"
    }
    "#);
    let note = format!("blobs/sha256/{}.descriptor.json", layer.digest.hex());
    insta::assert_snapshot!(read(&note), @r#"
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85",
      "size": 5,
      "annotations": {
        "a": "b"
      }
    }
    "#);
    assert!(!directory.join("index.json").exists());

    let image = Image::open(&directory).unwrap();
    assert!(image.is_sparse() && Image::is_at(&directory).unwrap());
    let roots = [("image".to_owned(), image.index().descriptors()[0].clone())];
    let found = |report: crate::check::Report| {
        let found: Vec<_> = report.mismatches.iter().map(ToString::to_string).collect();
        found.join(", ")
    };
    let documents = crate::check::check_documents(&image, &roots);
    assert_eq!((documents.images, documents.layers), (1, 0));
    assert_eq!(found(documents), "image: config: is missing");
    let all = crate::check::check(&image, &roots);
    assert_eq!(
        found(all),
        "image: config: is missing, image: layer 0: is missing"
    );
}

/// An archive as Docker wrote them before version 25, with a layer that is a link to another image's.
fn old_archive(layer: &[u8], config: &[u8]) -> Vec<u8> {
    let manifest =
        r#"[{"Config":"c.json","RepoTags":["app:v1"],"Layers":["1/layer.tar","2/layer.tar"]}]"#;
    tar(&[
        ("1/VERSION", b"1.0"),
        ("1/json", b"{}"),
        ("1/layer.tar", layer),
        ("2/layer.tar -> ../1/layer.tar", b""),
        ("c.json", config),
        ("manifest.json", manifest.as_bytes()),
        ("repositories", b"{}"),
    ])
}

#[test]
fn an_archive_of_the_old_generation_gets_a_manifest() {
    let (_file, image) = open(&old_archive(LAYER, &config(&[LAYER, LAYER]))).unwrap();
    let [entry] = image.index().descriptors() else {
        panic!("one image")
    };
    assert_eq!(
        entry.annotations["org.opencontainers.image.ref.name"],
        "app:v1"
    );
    let bytes = image.read_all_blocking(entry, 10_000).unwrap();
    let made = Raw::<Manifest>::parse(&bytes).unwrap();
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, LAYER);
    assert_eq!(made.layers, [layer.clone(), layer]);
    assert_eq!(
        made.config,
        Descriptor::of(MediaType::OCI_CONFIG, &config(&[LAYER, LAYER]))
    );
    conformance::source(&image, LAYER);
    conformance::source(&image, &config(&[LAYER, LAYER]));
    conformance::source(&image, &bytes);
}

#[test]
fn a_compressed_layer_of_an_old_archive_keeps_its_bytes() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(LAYER).unwrap();
    let layer = encoder.finish().unwrap();
    let (_file, image) = open(&old_archive(&layer, &config(&[LAYER, LAYER]))).unwrap();
    let entry = &image.index().descriptors()[0];
    let made = Raw::<Manifest>::parse(&image.read_all_blocking(entry, 10_000).unwrap()).unwrap();
    assert_eq!(
        made.layers[0],
        Descriptor::of(MediaType::OCI_LAYER_GZIP, &layer)
    );
    conformance::source(&image, &layer);
}

#[test]
fn a_layer_that_its_config_does_not_list_is_refused() {
    for config in [config(&[LAYER, b"other"]), config(&[LAYER]), config(&[])] {
        let error = open(&old_archive(LAYER, &config)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    }
}

#[test]
fn a_blob_with_a_wrong_name_is_found_when_it_is_read() {
    let descriptor = Descriptor::of(MediaType::OCI_LAYER_TAR, LAYER);
    let path = format!("blobs/sha256/{}", descriptor.digest.hex());
    let archive = tar(&[
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        ("index.json", br#"{"schemaVersion":2,"manifests":[]}"#),
        (&path, b"lazer"),
    ]);
    let (_file, image) = open(&archive).unwrap();
    let error = image.read_all_blocking(&descriptor, 5).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::DigestMismatch { .. }),
        "{error}"
    );
}

#[test]
fn an_archive_of_the_first_generation_is_named_as_such() {
    let error = open(&tar(&[("repositories", b"{}"), ("1/json", b"{}")])).unwrap_err();
    assert!(
        error.to_string().contains("a Docker before 1.10"),
        "{error}"
    );
}

#[test]
fn an_image_is_told_from_a_layer() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    for (content, expected) in [
        (export().write_tar(Vec::new()).unwrap(), true),
        (old_archive(LAYER, b"{}"), true),
        (tar(&[("bin/tool", b"")]), false),
        // A layer without its end.
        (tar(&[("bin/tool", b"")])[..512].to_vec(), false),
        (tar(&[("etc/manifest.json", b"")]), false),
    ] {
        fs_err::write(&file, content).unwrap();
        assert_eq!(Image::is_at(&file).unwrap(), expected);
    }
    assert!(!Image::is_at(root.path()).unwrap());
    OciLayout::create(root.path()).unwrap();
    assert!(Image::is_at(root.path()).unwrap());
}

fn check_refused(cases: Vec<(&str, Vec<u8>, ErrorKind)>) {
    for (name, bytes, kind) in cases {
        let error = open(&bytes)
            .err()
            .unwrap_or_else(|| panic!("{name}: was opened"));
        assert_eq!(error.kind(), kind, "{name}: {error}");
    }
}

#[test]
fn archives_with_hostile_entries_are_refused() {
    let chain: Vec<String> = (0..40).map(|i| format!("l{i} -> l{}", i + 1)).collect();
    let mut links: Vec<(&str, &[u8])> =
        chain.iter().map(|link| (link.as_str(), &b""[..])).collect();
    let listed = br#"[{"Config":"l0","RepoTags":null,"Layers":[]}]"#;
    links.push(("manifest.json", listed));
    let cases: Vec<(&str, Vec<u8>, ErrorKind)> = vec![
        ("nothing", Vec::new(), ErrorKind::Malformed),
        ("no tar", b"hello".repeat(200), ErrorKind::Malformed),
        ("no documents", tar(&[("a", b"")]), ErrorKind::Malformed),
        (
            "cut short",
            export().write_tar(Vec::new()).unwrap()[..3000].to_vec(),
            ErrorKind::Malformed,
        ),
        (
            "name above the top",
            tar(&[("../a", b"")]),
            ErrorKind::Malformed,
        ),
        (
            "name from the root",
            tar(&[("/a", b"")]),
            ErrorKind::Malformed,
        ),
        (
            "link above the top",
            tar(&[("a -> ../../etc/passwd", b"")]),
            ErrorKind::Malformed,
        ),
        (
            "link from the root",
            tar(&[("a -> /etc/passwd", b"")]),
            ErrorKind::Malformed,
        ),
        (
            "hard link above the top",
            tar(&[("a == ../b", b"")]),
            ErrorKind::Malformed,
        ),
        (
            "two contents of a name",
            tar(&[("a", b"1"), ("./a", b"2")]),
            ErrorKind::Malformed,
        ),
        (
            "manifest links to itself",
            tar(&[("manifest.json -> manifest.json", b"")]),
            ErrorKind::Malformed,
        ),
        (
            "links in a circle",
            tar(&[("manifest.json -> b", b""), ("b -> manifest.json", b"")]),
            ErrorKind::Malformed,
        ),
        ("a long chain of links", tar(&links), ErrorKind::Malformed),
    ];
    check_refused(cases);
}

#[test]
fn archives_with_hostile_documents_are_refused() {
    let image = |text: &str| tar(&[("manifest.json", text.as_bytes())]);
    let huge = format!(
        "[{}]",
        vec![r#"{"Config":"c","Layers":[]}"#; 1001].join(",")
    );
    let many_layers = format!(
        r#"[{{"Config":"c","Layers":[{}]}}]"#,
        vec![r#""l""#; 1001].join(",")
    );
    let cases: Vec<(&str, Vec<u8>, ErrorKind)> = vec![
        ("manifest is no list", image("{}"), ErrorKind::Malformed),
        ("manifest is no JSON", image("["), ErrorKind::Malformed),
        (
            "image without config",
            image(r#"[{"Layers":[]}]"#),
            ErrorKind::Malformed,
        ),
        (
            "config that is not there",
            image(r#"[{"Config":"c","Layers":[]}]"#),
            ErrorKind::Malformed,
        ),
        (
            "config outside",
            image(r#"[{"Config":"../../etc/passwd","Layers":[]}]"#),
            ErrorKind::Malformed,
        ),
        ("too many images", image(&huge), ErrorKind::TooLarge),
        ("too many layers", image(&many_layers), ErrorKind::TooLarge),
        (
            "marker of another version",
            tar(&[
                ("oci-layout", br#"{"imageLayoutVersion":"9"}"#),
                ("index.json", b"{}"),
            ]),
            ErrorKind::Malformed,
        ),
        (
            "index is no JSON",
            tar(&[
                ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
                ("index.json", b"x"),
            ]),
            ErrorKind::Malformed,
        ),
        (
            "document too large",
            tar(&[("manifest.json", &vec![b' '; 8 * 1024 * 1024 + 1])]),
            ErrorKind::TooLarge,
        ),
    ];
    check_refused(cases);
}

#[test]
fn limits_hold() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(&mut file, flate2::Compression::fast());
    encoder.write_all(&tar(&[("a", b""), ("b", b"")])).unwrap();
    encoder.finish().unwrap();
    let open = |limits: &ArchiveLimits| {
        Image::open_with(file.path(), crate::DirectoryOptions::default(), limits)
            .unwrap_err()
            .kind()
    };
    let entries = ArchiveLimits {
        entries: 1,
        ..ArchiveLimits::default()
    };
    assert_eq!(open(&entries), ErrorKind::TooLarge);
    let names = ArchiveLimits {
        names: 1,
        ..ArchiveLimits::default()
    };
    assert_eq!(open(&names), ErrorKind::TooLarge);
    let decompressed = ArchiveLimits {
        decompressed: 1000,
        ..ArchiveLimits::default()
    };
    assert_eq!(open(&decompressed), ErrorKind::TooLarge);
    assert_eq!(
        Image::open(Path::new("/no/such/archive"))
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}

proptest::proptest! {
    /// Whatever happens to the bytes of an archive, it is read or refused, and so is every blob in it.
    #[test]
    fn a_damaged_archive_is_an_error_and_never_a_panic(
        old in proptest::bool::ANY,
        damage in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 1..8),
        cut in proptest::num::usize::ANY,
    ) {
        let mut bytes = if old {
            old_archive(LAYER, &config(&[LAYER, LAYER]))
        } else {
            export().write_tar(Vec::new()).unwrap()
        };
        for (place, value) in damage {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        if cut % 3 == 0 {
            bytes.truncate(cut % bytes.len());
        }
        if let Ok((_file, image)) = open(&bytes) {
            let named = |it: &Descriptor| ("image".to_owned(), it.clone());
            let roots: Vec<_> = image.index().descriptors().iter().map(named).collect();
            let report = crate::check::check(&image, &roots);
            let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, LAYER);
            if let Ok(read) = image.read_all_blocking(&layer, 5) {
                proptest::prop_assert_eq!(read, LAYER);
            }
            drop(report);
        }
    }
}
