//! What the cache spares.

use super::*;

#[test]
fn the_cache_spares_the_second_pull_the_layers() {
    let (repository, _, _) = three();
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    let origins = [origin("app@example", &repository)];
    let options = PullOptions {
        cache: Some(cache.clone()),
        ..options(Handling::Eager, &[])
    };
    let first = run(&origins, &latest(), &options, &memory()).0.unwrap();
    repository.asked();
    let damaged = &first.layers[0].descriptor;
    let length = usize::try_from(damaged.size).unwrap();
    fs_err::write(cache.blob_path(&damaged.digest), vec![b'x'; length]).unwrap();
    let store = memory();
    let (second, events) = run(&origins, &latest(), &options, &store);
    let blobs: Vec<_> = repository.asked();
    let blobs: Vec<_> = blobs.iter().filter(|it| it.starts_with("blob")).collect();
    assert_eq!(blobs, [&format!("blob {}", damaged.digest)]);
    let second = second.unwrap();
    assert!(second.layers.iter().all(|it| has(&*store, &it.descriptor)));
    let from_cache =
        |event: &&Event| matches!(event, Event::Finished { from, .. } if *from == From::Cache);
    // Three manifests, three configs, and the three other layers.
    assert_eq!(events.iter().filter(from_cache).count(), 9);
}

#[test]
fn a_digest_leads_to_a_whole_image_of_the_cache_without_any_origin() {
    let (repository, images, index) = three();
    let directory = tempfile::tempdir().unwrap();
    let options = PullOptions {
        cache: Some(Cache::open(directory.path()).unwrap()),
        ..options(Handling::Eager, &[])
    };
    let origins = [origin("app@example", &repository)];
    run(&origins, &latest(), &options, &memory()).0.unwrap();
    let store = memory();
    let at = TagOrDigest::Digest(index.digest);
    let pulled = run(&[], &at, &options, &store).0.unwrap();
    assert_eq!(pulled.images.len(), 3);
    assert!(has(&*store, &images[2].layers[1]));
    let unknown = TagOrDigest::Digest(Digest::sha256_of(b"unknown"));
    let error = run(&[], &unknown, &options, &store).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_cache_out_of_service_is_told_and_done_without() {
    let (repository, _, _) = three();
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    fs_err::remove_dir_all(directory.path().join("tmp")).unwrap();
    fs_err::write(directory.path().join("tmp"), "in the way").unwrap();
    let origins = [origin("app@example", &repository)];
    let options = PullOptions {
        cache: Some(cache),
        ..options(Handling::Eager, &[])
    };
    let store = memory();
    let (pulled, events) = run(&origins, &latest(), &options, &store);
    assert!(
        pulled
            .unwrap()
            .layers
            .iter()
            .all(|it| has(&*store, &it.descriptor))
    );
    let failures = failures(&events);
    assert!(failures[0].starts_with("the cache "), "{failures:#?}");
}

#[test]
fn a_store_that_cannot_be_written_is_not_blamed_on_the_cache() {
    let (repository, images, _) = three();
    let directory = tempfile::tempdir().unwrap();
    let options = PullOptions {
        cache: Some(Cache::open(directory.path()).unwrap()),
        ..options(Handling::Eager, &[])
    };
    let layer = &images[0].layers[1];
    let store = Tampered::unwritable(layer, ErrorKind::Io);
    let origins = [origin("app@example", &repository)];
    let (pulled, events) = run(&origins, &latest(), &options, &store);
    assert_eq!(pulled.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(failures(&events), [""; 0]);
    let asked = repository.asked();
    let of_layer = asked
        .iter()
        .filter(|it| it.contains(&layer.digest.to_string()));
    assert_eq!(of_layer.count(), 1, "{asked:#?}");
}
