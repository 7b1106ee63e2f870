//! Which layers are fetched, and how often.

use super::*;

#[test]
fn a_shallow_pull_asks_once_for_each_document_and_for_nothing_else() {
    let (repository, images, index) = three();
    let store = memory();
    let origins = [origin("app@example", &repository)];
    let (pulled, events) = run(
        &origins,
        &latest(),
        &options(Handling::Shallow, &[]),
        &store,
    );
    let pulled = pulled.unwrap();
    let asked = repository.asked();
    assert_eq!(asked.len(), 7, "{asked:#?}");
    assert!(!asked.contains(&"stat".to_owned()), "{asked:#?}");
    assert_eq!(pulled.root.digest, index.digest);
    assert!(pulled.is_complete);
    let found: Vec<_> = pulled
        .images
        .iter()
        .map(|it| it.descriptor.digest)
        .collect();
    assert_eq!(
        found,
        images
            .iter()
            .map(|it| it.manifest.digest)
            .collect::<Vec<_>>()
    );
    assert_eq!(pulled.layers.len(), 4, "one layer is shared");
    for layer in &pulled.layers {
        assert!(!layer.is_present && !has(&*store, &layer.descriptor));
        assert_eq!(layer.sources, ["app@example"]);
    }
    for image in &images {
        assert!(has(&*store, &image.manifest) && has(&*store, &image.config));
    }
    let resolved = Event::Resolved {
        root: Box::new(pulled.root),
        origin: "app@example".into(),
    };
    assert!(events.contains(&resolved), "{events:#?}");
}

#[test]
fn an_eager_pull_fetches_each_layer_once_and_a_second_one_nothing() {
    let (repository, images, index) = three();
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(DirectoryStore::create(directory.path()).unwrap());
    let origins = [origin("app@example", &repository)];
    let options = PullOptions {
        durability: Durability::Machine,
        ..options(Handling::Eager, &[])
    };
    let at = TagOrDigest::Digest(index.digest);
    let (pulled, events) = run(&origins, &at, &options, &store);
    assert!(pulled.unwrap().layers.iter().all(|layer| layer.is_present));
    assert_eq!(repository.asked().len(), 11);
    let layer = &images[0].layers[0];
    assert_eq!(
        blocking::read_all(&*store, layer, u64::MAX).unwrap(),
        images[0].blob(layer)
    );
    let finished = Event::Finished {
        digest: layer.digest,
        size: layer.size,
        from: From::Origin("app@example".into()),
    };
    assert_eq!(events.iter().filter(|it| **it == finished).count(), 1);
    let (pulled, _) = run(&origins, &at, &options, &store);
    assert_eq!(pulled.unwrap().images.len(), 3);
    assert_eq!(repository.asked(), Vec::<String>::new());
}

#[test]
fn what_is_damaged_in_the_store_is_fetched_again() {
    let (repository, images, index) = three();
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(DirectoryStore::create(directory.path()).unwrap());
    let origins = [origin("app@example", &repository)];
    let (at, options) = (
        TagOrDigest::Digest(index.digest),
        options(Handling::Eager, &[]),
    );
    run(&origins, &at, &options, &store).0.unwrap();
    repository.asked();
    let damaged = [
        &index,
        &images[1].manifest,
        &images[1].config,
        &images[1].layers[1],
    ];
    for blob in damaged {
        let length = usize::try_from(blob.size).unwrap();
        fs_err::write(store.blob_path(&blob.digest), vec![b'x'; length]).unwrap();
    }
    run(&origins, &at, &options, &store).0.unwrap();
    assert_eq!(repository.asked().len(), damaged.len());
    for blob in damaged {
        blocking::read_all(&*store, blob, u64::MAX).unwrap();
    }
}

#[test]
fn what_the_store_cannot_read_is_an_error_and_not_fetched() {
    let image = image("amd64");
    let repository = Arc::new(Repository::with(&image.blobs));
    let origins = [origin("app@example", &repository)];
    let at = TagOrDigest::Digest(image.manifest.digest);
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    for blob in [&image.manifest, &image.config, &image.layers[0]] {
        for cache in [None, Some(cache.clone())] {
            let store = Tampered::unreadable(&image, blob);
            let options = PullOptions {
                cache,
                ..options(Handling::Eager, &[])
            };
            let error = run(&origins, &at, &options, &store).0.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert_eq!(
                imgstore::with_causes(&error),
                format!(
                    "{} is in the store and cannot be read: input/output error",
                    blob.digest
                )
            );
        }
    }
}

/// An image whose only layer is foreign, in a repository without that layer.
fn with_foreign_layer() -> (Repository, Descriptor) {
    let image = ImageBuilder::new()
        .layer(&tar_of([file("windows", "licensed")]), Codec::None)
        .build();
    let text = String::from_utf8(image.blob(&image.manifest).to_vec()).unwrap();
    let foreign = MediaType::OCI_FOREIGN_LAYER_TAR;
    let text = text.replace(image.layers[0].media_type.as_str(), foreign.as_str());
    let mut blobs = image.blobs.clone();
    blobs.remove(&image.layers[0].digest);
    let repository = Repository::with(&blobs);
    repository.put("latest", text.as_bytes());
    (repository, image.layers[0].clone())
}

#[test]
fn a_foreign_layer_that_nobody_has_is_left_out_and_told() {
    let (repository, layer) = with_foreign_layer();
    let origins = [origin("app@example", &Arc::new(repository))];
    let directory = tempfile::tempdir().unwrap();
    for cache in [None, Some(Cache::open(directory.path()).unwrap())] {
        let options = PullOptions {
            cache,
            ..options(Handling::Eager, &[])
        };
        let (pulled, events) = run(&origins, &latest(), &options, &memory());
        assert!(!pulled.unwrap().layers[0].is_present);
        let skipped = Event::Skipped {
            digest: layer.digest,
            size: layer.size,
        };
        assert!(events.contains(&skipped), "{events:#?}");
    }
}

#[test]
fn a_foreign_layer_that_fails_for_another_reason_is_an_error() {
    let check = |repository: Repository, store: &Arc<Tampered>| {
        let origins = [origin("app@example", &Arc::new(repository))];
        let options = options(Handling::Eager, &[]);
        let (pulled, events) = run(&origins, &latest(), &options, store);
        let is_skipped = |event: &Event| matches!(event, Event::Skipped { .. });
        assert!(!events.iter().any(is_skipped), "{events:#?}");
        pulled.unwrap_err().kind()
    };
    let (mut repository, layer) = with_foreign_layer();
    repository.refuses = Some((layer.digest, ErrorKind::Denied));
    let kind = check(repository, &Tampered::none());
    assert_eq!(kind, ErrorKind::Denied);
    let (mut repository, layer) = with_foreign_layer();
    repository.refuses = Some((layer.digest, ErrorKind::Unavailable));
    let kind = check(repository, &Tampered::none());
    assert_eq!(kind, ErrorKind::Unavailable);
    // The disk is full.
    let (repository, layer) = with_foreign_layer();
    let kind = check(repository, &Tampered::unwritable(&layer, ErrorKind::Io));
    assert_eq!(kind, ErrorKind::Io);
    // Its directory is gone.
    let (repository, layer) = with_foreign_layer();
    let kind = check(
        repository,
        &Tampered::unwritable(&layer, ErrorKind::NotFound),
    );
    assert_eq!(kind, ErrorKind::NotFound);
}

#[test]
fn layers_left_behind_can_be_fetched_later() {
    let (repository, images, _) = three();
    let origins = [origin("app@example", &repository)];
    let options = options(Handling::Shallow, &["linux/amd64"]);
    let store = memory();
    let pulled = run(&origins, &latest(), &options, &store).0.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let layers = &images[0].layers;
    let progress = Progress::default();
    let fetch = pulled.fetch_layers(
        layers,
        &options,
        Arc::<MemoryStore>::clone(&store),
        &progress,
    );
    runtime.block_on(fetch).unwrap();
    assert!(layers.iter().all(|layer| has(&*store, layer)));
}

#[test]
fn layers_are_read_from_whoever_has_them() {
    let (repository, images, _) = three();
    let empty = Arc::new(Repository::default());
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    let origins = vec![
        origin("app@empty", &empty),
        origin("app@example", &repository),
    ];
    let layer = &images[0].layers[0];
    for cache in [None, Some(cache)] {
        let source = LayerSource::new(origins.clone(), cache, Progress::default());
        let bytes = blocking::read_all(&source, layer, u64::MAX).unwrap();
        assert_eq!(bytes, images[0].blob(layer));
        let part = blocking::block_on(async {
            let mut part = source.open_range(layer, 1..3).await.unwrap();
            part.next().await.unwrap().unwrap()
        });
        assert_eq!(part, images[0].blob(layer)[1..3]);
        imgstore::conformance::source(&source, images[0].blob(layer));
    }
    let nowhere = LayerSource::new(vec![origins[0].clone()], None, Progress::default());
    let error = blocking::read_all(&nowhere, layer, u64::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn futures_of_a_pull_can_be_sent() {
    fn is_sent<T: Send>(_: T) {}
    let (repository, _, _) = three();
    let origins = [origin("app@example", &repository)];
    let (at, options, progress) = (latest(), PullOptions::default(), Progress::default());
    is_sent(pull(&origins, &at, &options, memory(), &progress));
}
