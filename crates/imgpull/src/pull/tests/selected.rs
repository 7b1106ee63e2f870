//! Which documents are read, and what is refused of them.

use super::*;

#[test]
fn one_platform_costs_three_requests() {
    let (repository, images, _) = three();
    let store = memory();
    let origins = [origin("app@example", &repository)];
    let options = options(Handling::Shallow, &["linux/arm64"]);
    let pulled = run(&origins, &latest(), &options, &store).0.unwrap();
    assert_eq!(repository.asked().len(), 3);
    assert!(!pulled.is_complete);
    let [only] = pulled.images.as_slice() else {
        panic!("{:#?}", pulled.images);
    };
    assert_eq!(only.descriptor.digest, images[1].manifest.digest);
    assert_eq!(only.config.platform().architecture, "arm64");
    assert_eq!(pulled.layers.len(), 2);
}

#[test]
fn a_platform_without_an_image_is_an_error_that_lists_the_others() {
    let (repository, images, _) = three();
    let check = |at: &TagOrDigest| {
        let origins = [origin("app@example", &repository)];
        let options = options(Handling::Shallow, &["linux/s390x"]);
        let error = run(&origins, at, &options, &memory()).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        error.to_string()
    };
    insta::assert_snapshot!(check(&latest()), @"no image is for linux/s390x; there are images for linux/amd64, linux/arm64, linux/riscv64");
    let single = TagOrDigest::Digest(images[0].manifest.digest);
    insta::assert_snapshot!(check(&single), @"no image is for linux/s390x; there are images for linux/amd64");
}

#[test]
fn attestations_are_no_choice_and_come_with_their_image() {
    let (repository, images, _) = three();
    let in_toto = tar_of([file("attestation", "signed")]);
    let attestation = |image: &Image, number: &str| {
        let attestation = ImageBuilder::new()
            .platform("unknown", "unknown", None)
            .config("number", number)
            .layer(&in_toto, Codec::None)
            .build();
        repository.add(&attestation.blobs);
        let mut entry = attestation.manifest;
        entry.platform = Some(Platform::new("unknown", "unknown"));
        let about = [
            (
                "vnd.docker.reference.digest",
                image.manifest.digest.to_string(),
            ),
            (
                "vnd.docker.reference.type",
                "attestation-manifest".to_owned(),
            ),
        ];
        entry.annotations = about.map(|(key, value)| (key.to_owned(), value)).into();
        entry
    };
    let of = |image: &Image, architecture: &str| {
        let mut entry = image.manifest.clone();
        entry.platform = Some(Platform::new("linux", architecture));
        entry
    };
    let entries = [
        of(&images[0], "amd64"),
        of(&images[1], "arm64"),
        attestation(&images[0], "0"),
        attestation(&images[1], "1"),
    ];
    index_as_latest(&repository, &entries);
    let store = memory();
    let origins = [origin("app@example", &repository)];
    let options = options(Handling::Shallow, &["linux/arm64"]);
    let pulled = run(&origins, &latest(), &options, &store).0.unwrap();
    assert_eq!(pulled.images.len(), 1);
    assert_eq!(
        pulled.images[0].descriptor.digest,
        images[1].manifest.digest
    );
    assert_eq!(pulled.layers.len(), 3, "the attestation's layer is one");
    assert!(has(&*store, &entries[3]) && !has(&*store, &entries[2]));
    assert_eq!(repository.asked().len(), 5);
}

#[test]
fn nested_indexes_and_entries_without_platform_are_read_once() {
    let (repository, images, _) = three();
    let inner = index_as_latest(&repository, &[images[2].manifest.clone()]);
    let entries = [images[0].manifest.clone(), inner.clone()];
    index_as_latest(&repository, &entries);
    let store = memory();
    let origins = [origin("app@example", &repository)];
    for platforms in [
        &["linux/riscv64"][..],
        &["linux/riscv64", "linux/amd64"],
        &[],
    ] {
        let options = options(Handling::Shallow, platforms);
        let pulled = run(&origins, &latest(), &options, &store).0.unwrap();
        assert!(has(&*store, &inner));
        // All of them are in the order of the index.
        let riscv64 = &pulled.images[usize::from(platforms.is_empty())];
        assert_eq!(riscv64.descriptor.digest, images[2].manifest.digest);
    }
    let mut asked = repository.asked();
    asked.retain(|it| it != "manifest latest");
    asked.sort_unstable();
    let count = asked.len();
    asked.dedup();
    assert_eq!(asked.len(), count, "{asked:#?}");
    assert_eq!(count, 5);
}

#[test]
fn a_tower_of_indexes_is_refused() {
    let (repository, images, _) = three();
    let mut root = images[0].manifest.clone();
    for _ in 0..=imgcore::document::Nesting::MAX_DEPTH {
        root = index_as_latest(&repository, &[root]);
    }
    let origins = [origin("app@example", &repository)];
    let options = options(Handling::Shallow, &[]);
    let error = run(&origins, &latest(), &options, &memory()).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

/// An image whose manifest says that its config has another size, in a repository.
fn with_config_of_size(size: u64) -> (Arc<Repository>, Descriptor) {
    let image = image("amd64");
    let text = String::from_utf8(image.blob(&image.manifest).to_vec()).unwrap();
    let told = format!("\"size\":{}", image.config.size);
    let text = text.replacen(&told, &format!("\"size\":{size}"), 1);
    let repository = Repository::with(&image.blobs);
    let manifest = Descriptor::of(image.manifest.media_type, text.as_bytes());
    repository.put(&manifest.digest.to_string(), text.as_bytes());
    repository.put("latest", text.as_bytes());
    (Arc::new(repository), manifest)
}

#[test]
fn a_config_that_is_said_to_be_huge_is_refused_before_it_is_fetched() {
    let (repository, manifest) = with_config_of_size(1 << 40);
    let origins = [origin("app@example", &repository)];
    let check = |options: &PullOptions, documents: usize| {
        let error = run(&origins, &latest(), options, &memory()).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let asked = repository.asked();
        assert_eq!(asked.len(), documents, "{asked:#?}");
        assert!(asked.iter().all(|it| it.starts_with("manifest ")));
        error.to_string()
    };
    let text = check(&options(Handling::Shallow, &[]), 1);
    let expected = "is said to have 1099511627776 bytes, which is more than 8388608";
    assert!(text.ends_with(expected), "{text}");
    check(&options(Handling::Eager, &[]), 1);
    // Where entries of an index do not say their platform, configs are read for it.
    index_as_latest(&repository, &[manifest]);
    check(&options(Handling::Shallow, &[]), 2);
    check(&options(Handling::Eager, &["linux/amd64"]), 2);
}

#[test]
fn configs_that_are_huge_together_are_refused_before_they_are_fetched() {
    let entries = (0..10).map(|number| {
        // The sizes differ, so that the manifests do; their config has one digest in each.
        let mut config = image("amd64").config;
        config.size = MAX_DOCUMENT - number;
        config.digest = Digest::sha256_of(number.to_string().as_bytes());
        config
    });
    let mut budget = documents::ConfigBudget::default();
    let taken = entries.map(|config| budget.take(&config).is_ok());
    let taken: Vec<bool> = taken.collect();
    assert_eq!(taken.iter().filter(|it| **it).count(), 8, "{taken:?}");
}

#[test]
fn another_document_than_the_one_of_the_digest_is_refused() {
    let (repository, images, index) = three();
    let store = memory();
    let other = images[0].blob(&images[0].manifest).to_vec();
    repository.put(&index.digest.to_string(), &other);
    let origins = [origin("app@example", &repository)];
    let (at, options) = (
        TagOrDigest::Digest(index.digest),
        options(Handling::Shallow, &[]),
    );
    let error = run(&origins, &at, &options, &store).0.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::DigestMismatch { .. }),
        "{error:?}"
    );
    assert!(!has(&*store, &index));
}
