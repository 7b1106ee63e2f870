use std::thread;

use imgcore::MediaType;

use super::*;
use crate::conformance;

fn layout(root: &Path) -> OciLayout {
    OciLayout::create(root.join("image")).unwrap()
}

fn manifest(layout: &OciLayout, text: &str) -> Descriptor {
    layout.blobs().insert(text.as_bytes()).unwrap();
    Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes())
}

#[test]
fn it_conforms() {
    let root = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    let factory = || {
        count.set(count.get() + 1);
        OciLayout::create(root.path().join(count.get().to_string())).unwrap()
    };
    conformance::all(factory);
    let layout = factory();
    conformance::damage_is_found(&layout, |digest, bytes| {
        fs_err::write(layout.blobs().blob_path(digest), bytes).unwrap();
    });
}

#[test]
fn a_new_layout_has_marker_and_empty_index() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    let read = |name| fs_err::read_to_string(layout.root().join(name)).unwrap();
    insta::assert_snapshot!(read("oci-layout"), @r#"
    {
      "imageLayoutVersion": "1.0.0"
    }
    "#);
    insta::assert_snapshot!(read("index.json"), @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.index.v1+json",
      "manifests": []
    }
    "#);
}

#[test]
fn names_are_added_replaced_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    layout.add(&manifest(&layout, "1"), Some("a")).unwrap();
    layout.add(&manifest(&layout, "2"), Some("b")).unwrap();
    layout.add(&manifest(&layout, "3"), Some("a")).unwrap();
    layout.add(&manifest(&layout, "4"), None).unwrap();
    layout.add(&manifest(&layout, "4"), None).unwrap();
    let index = fs_err::read_to_string(layout.root().join(INDEX)).unwrap();
    insta::assert_snapshot!(index, @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.index.v1+json",
      "manifests": [
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "size": 1,
          "digest": "sha256:4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce",
          "annotations": {
            "org.opencontainers.image.ref.name": "a"
          }
        },
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "size": 1,
          "digest": "sha256:d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35",
          "annotations": {
            "org.opencontainers.image.ref.name": "b"
          }
        },
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "size": 1,
          "digest": "sha256:4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a"
        }
      ]
    }
    "#);
    assert!(layout.remove("b").unwrap());
    assert!(!layout.remove("b").unwrap());
    assert_eq!(layout.index().unwrap().descriptors().len(), 2);
}

#[test]
fn an_image_becomes_the_only_one_without_a_name() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    layout.add(&manifest(&layout, "1"), None).unwrap();
    layout.add(&manifest(&layout, "2"), Some("a")).unwrap();
    layout.set_unnamed(&manifest(&layout, "3")).unwrap();
    let index = layout.index().unwrap();
    let digests: Vec<_> = index.descriptors().iter().map(|it| it.digest).collect();
    assert_eq!(
        digests,
        ["2", "3"].map(|it| Digest::sha256_of(it.as_bytes()))
    );
    let missing = Descriptor::of(MediaType::OCI_MANIFEST, b"missing");
    let error = layout.set_unnamed(&missing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn an_image_that_is_not_there_is_not_named() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    let missing = Descriptor::of(MediaType::OCI_MANIFEST, b"missing");
    let error = layout.add(&missing, Some("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn images_are_selected_by_name_reference_digest_and_uniqueness() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    let mut one = manifest(&layout, "1");
    one.annotations = name_annotations("r.example/app:v1", "v1");
    layout.add(&one, None).unwrap();
    layout.add(&manifest(&layout, "1"), Some("latest")).unwrap();
    let select = |text: &str| {
        let found = layout.index()?.select(&Selector::parse(text))?;
        assert_eq!(found.len(), 1, "{text}");
        Ok::<_, Error>(found[0].digest)
    };
    for text in [
        "v1",
        "latest",
        "r.example/app:v1",
        "",
        &one.digest.to_string(),
    ] {
        assert_eq!(select(text).unwrap(), one.digest, "{text}");
    }
    let error = select("v2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    insta::assert_snapshot!(error, @r#"image "v2" is not in the index, which has "v1" (sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b), "latest" (sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b)"#);
}

#[test]
fn members_that_nobody_knows_survive_a_change() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    let text = br#"{"schemaVersion":2,"manifests":[],"x-note":{"b":1.50}}"#;
    layout.set_index(text).unwrap();
    layout.add(&manifest(&layout, "1"), Some("a")).unwrap();
    let index = fs_err::read_to_string(layout.root().join(INDEX)).unwrap();
    assert!(index.contains("\"b\": 1.50"), "{index}");
}

#[test]
fn concurrent_changes_of_the_index_are_all_kept() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    let image = manifest(&layout, "1");
    thread::scope(|scope| {
        for thread in 0..4 {
            let (layout, image) = (&layout, &image);
            scope.spawn(move || {
                for round in 0..10 {
                    let name = format!("{thread}-{round}");
                    layout.add(image, Some(&name)).unwrap();
                }
            });
        }
    });
    assert_eq!(layout.index().unwrap().descriptors().len(), 40);
    assert_eq!(layout.remove_leftovers().unwrap(), 0);
}

#[test]
fn leftovers_of_a_crash_are_invisible_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    layout.add(&manifest(&layout, "1"), Some("a")).unwrap();
    let leftover = format!("{}x", directory::LEFTOVER_PREFIX);
    fs_err::write(layout.root().join(&leftover), b"{half").unwrap();
    fs_err::write(layout.root().join("blobs").join(&leftover), b"half").unwrap();
    let layout = OciLayout::open(layout.root()).unwrap();
    assert_eq!(layout.index().unwrap().descriptors().len(), 1);
    assert_eq!(layout.remove_leftovers().unwrap(), 2);
}

#[test]
fn what_is_no_layout_is_refused() {
    let cases = [
        (None, "it has no file oci-layout"),
        (Some("{}"), "version"),
        (Some(r#"{"imageLayoutVersion":"2.0.0"}"#), "2.0.0"),
        (Some("1.0.0 x"), "oci-layout"),
        (
            Some(r#"{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"1.0.0"}"#),
            "imageLayoutVersion",
        ),
    ];
    for (marker, expected) in cases {
        let root = tempfile::tempdir().unwrap();
        fs_err::create_dir(root.path().join("blobs")).unwrap();
        if let Some(text) = marker {
            fs_err::write(root.path().join(MARKER), text).unwrap();
        }
        let error = OciLayout::open(root.path()).unwrap_err();
        assert!(error.to_string().contains(expected), "{marker:?}: {error}");
    }
}

#[test]
fn hostile_indexes_are_refused() {
    let many = format!(r#"{{"manifests":[{}{{}}]}}"#, "{},".repeat(10_000));
    let cases = [
        ("[]", ErrorKind::Malformed),
        (r#"{"manifests":{}}"#, ErrorKind::Malformed),
        (r#"{"manifests":["x"]}"#, ErrorKind::Malformed),
        (
            r#"{"manifests":[{"mediaType":"x","size":1,"digest":"sha256:../../x"}]}"#,
            ErrorKind::Malformed,
        ),
        (r#"{"manifests":[],"manifests":[]}"#, ErrorKind::Malformed),
        (&many, ErrorKind::TooLarge),
    ];
    for (text, kind) in cases {
        let error = LayoutIndex::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_layout_of_links_is_read_when_links_are_followed() {
    use crate::archive::{ArchiveLimits, Image};
    use crate::{DirectoryOptions, LocalSourceExt as _, OutsideLinks};

    let root = tempfile::tempdir().unwrap();
    let real = layout(&root.path().join("real"));
    real.add(&manifest(&real, "1"), Some("a")).unwrap();
    // As a build's sandbox has its inputs: every file is a link to somewhere else.
    let linked = root.path().join("linked");
    let blob = real.index().unwrap().descriptors()[0].digest;
    let blob = format!("blobs/sha256/{}", blob.hex());
    for name in [MARKER, INDEX, &blob] {
        let link = linked.join(name);
        fs_err::create_dir_all(link.parent().unwrap()).unwrap();
        sys::symlink_file(&real.root().join(name), &link).unwrap();
    }
    let error = OciLayout::open(&linked).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let options = DirectoryOptions::default().with_outside_links(OutsideLinks::Follow);
    let layout = OciLayout::open_with(&linked, options).unwrap();
    let index = layout.index().unwrap();
    let entry = &index.descriptors()[0];
    assert_eq!(layout.read_all_blocking(entry, 1).unwrap(), b"1");
    assert!(Image::open_with(&linked, options, &ArchiveLimits::default()).is_ok());
}
