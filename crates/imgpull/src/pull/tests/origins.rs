//! Who is asked, and who goes on where one fails.

use super::*;

#[test]
fn an_origin_that_fails_is_told_and_the_next_one_helps() {
    let (repository, _, _) = three();
    let down = Arc::new(Repository {
        is_down: true,
        ..Repository::default()
    });
    let empty = Arc::new(Repository::default());
    let origins = [
        origin("app@down.example", &down),
        origin("app@empty.example", &empty),
        origin("app@example", &repository),
    ];
    let (pulled, events) = run(
        &origins,
        &latest(),
        &options(Handling::Eager, &[]),
        &memory(),
    );
    let pulled = pulled.unwrap();
    // Whoever lacks the root is not asked for what it leads to, unless nobody else has it.
    assert_eq!((down.asked().len(), empty.asked().len()), (1, 1));
    assert_eq!(pulled.layers[0].sources[0], "app@example");
    let failures = failures(&events);
    assert_eq!(
        failures,
        [
            "app@down.example: status 503: the registry is down",
            "app@empty.example: status 404: MANIFEST_UNKNOWN",
        ]
    );
}

#[test]
fn where_nobody_helps_every_reason_is_told() {
    let down = Arc::new(Repository {
        is_down: true,
        ..Repository::default()
    });
    let empty = Arc::new(Repository::default());
    let (one, two) = (origin("app@one", &empty), origin("app@two", &down));
    let options = options(Handling::Shallow, &[]);
    let error = run(&[one.clone(), two], &latest(), &options, &memory()).0;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    insta::assert_snapshot!(error, @r"
    no source has latest
      app@one: status 404: MANIFEST_UNKNOWN
      app@two: status 503: the registry is down
    ");
    let error = run(&[one], &latest(), &options, &memory()).0.unwrap_err();
    insta::assert_snapshot!(imgstore::with_causes(&error), @"cannot pull one/app:latest: status 404: MANIFEST_UNKNOWN");
}

#[test]
fn where_one_origin_stops_the_next_goes_on() {
    let (repository, images, index) = three();
    let broken = Repository {
        stops_after: Some(10),
        ..Repository::with(&index_of(&images).blobs)
    };
    let broken = Arc::new(broken);
    let origins = [
        origin("app@broken", &broken),
        origin("app@example", &repository),
    ];
    let at = TagOrDigest::Digest(images[0].manifest.digest);
    let store = memory();
    let (pulled, events) = run(&origins, &at, &options(Handling::Eager, &[]), &store);
    pulled.unwrap();
    let layer = &images[0].layers[0];
    let expected = format!("range 10..{} {}", layer.size, layer.digest);
    let asked = repository.asked();
    assert!(asked.contains(&expected), "{asked:#?}");
    assert_eq!(failures(&events)[0], "app@broken: connection reset");
    assert!(has(&*store, layer));
    assert!(index.size > 0);
}

#[test]
fn a_read_goes_on_at_the_next_origin() {
    let (repository, images, _) = three();
    let broken = Arc::new(Repository {
        stops_after: Some(10),
        ..Repository::with(&images[0].blobs)
    });
    let origins = vec![
        origin("app@broken", &broken),
        origin("app@example", &repository),
    ];
    let layer = &images[0].layers[0];
    let source = LayerSource::new(origins, None, Progress::default());
    let bytes = blocking::read_all(&source, layer, u64::MAX).unwrap();
    assert_eq!(bytes, images[0].blob(layer));
    let expected = format!("range 10..{} {}", layer.size, layer.digest);
    assert_eq!(repository.asked(), [expected]);
}

#[test]
fn the_size_of_a_digest_is_found_out() {
    let (repository, images, _) = three();
    let empty = Arc::new(Repository::default());
    let origins = vec![
        origin("app@empty", &empty),
        origin("app@example", &repository),
    ];
    let layer = &images[0].layers[0];
    let source = LayerSource::new(origins, None, Progress::default());
    let described = blocking::block_on(source.describe(&layer.digest)).unwrap();
    assert_eq!(described.size, layer.size);
    let unknown = Digest::sha256_of(b"unknown");
    let error = blocking::block_on(source.describe(&unknown)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.attempts().len(), 2);
}
