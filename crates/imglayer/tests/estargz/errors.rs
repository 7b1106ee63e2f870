//! What is no eStargz layer.

use imglayer::estargz::{EstargzOptions, RESERVED_NAMES};
use imglayer::{
    Codec, EncodeOptions, ErrorKind, ImportOptions, LayerFormat, LayerPath, MetadataPatch, Plan,
    PlanBuilder, PlanOptions, write_layer_as,
};

use crate::support::{builder, options, path};

fn error(plan: &Plan, options: EstargzOptions, encode: &EncodeOptions) -> String {
    let format = LayerFormat::Estargz(options);
    let error = write_layer_as(plan, &format, encode, std::io::sink())
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.to_string()
}

fn error_of(change: impl FnOnce(&mut EstargzOptions)) -> String {
    let plan = builder().finish().unwrap();
    error(&plan, options(change), &EncodeOptions::default())
}

#[test]
fn sizes_that_chunks_cannot_have_are_refused() {
    insta::assert_snapshot!(error_of(|it| it.chunk_size = 0), @"chunk size 0 of an eStargz layer is not between 512 and 1073741824 bytes");
    insta::assert_snapshot!(error_of(|it| it.chunk_size = 511), @"chunk size 511 of an eStargz layer is not between 512 and 1073741824 bytes");
    insta::assert_snapshot!(error_of(|it| it.chunk_size = u32::MAX), @"chunk size 4294967295 of an eStargz layer is not between 512 and 1073741824 bytes");
    insta::assert_snapshot!(error_of(|it| it.min_chunk_size = u32::MAX), @"smallest chunk size 4294967295 of an eStargz layer is more than 1073741824 bytes");
}

#[test]
fn prioritized_files_that_are_not_there_are_listed() {
    let change = |it: &mut EstargzOptions| it.prioritized_files = vec![path("a/b"), path("c")];
    insta::assert_snapshot!(error_of(change), @"prioritized files without entry: a/b, c");

    let mut builder = builder();
    builder.bytes(path("c"), "c").unwrap();
    let options = options(|options| {
        change(options);
        options.allow_missing = true;
    });
    let (written, ..) = crate::support::write(&builder.finish().unwrap(), &options);
    assert_eq!(written.missing, [path("a/b")]);
}

#[test]
fn other_codecs_are_refused() {
    let plan = builder().finish().unwrap();
    let mut encode = EncodeOptions::default();
    let mut check = |codec| {
        encode.codec = codec;
        error(&plan, EstargzOptions::default(), &encode)
    };
    insta::assert_snapshot!(check(Codec::Zstd), @"an eStargz layer is compressed with gzip, not zstd");
    insta::assert_snapshot!(check(Codec::None), @"an eStargz layer is compressed with gzip, not uncompressed");
}

/// Returns the error of a plan that `change` makes.
fn error_after(change: impl FnOnce(&mut PlanBuilder)) -> String {
    let mut builder = builder();
    change(&mut builder);
    let plan = builder.finish().unwrap();
    error(&plan, EstargzOptions::default(), &EncodeOptions::default())
}

#[test]
fn names_that_json_cannot_hold_are_refused() {
    insta::assert_snapshot!(
        error_after(|builder| _ = builder.bytes(LayerPath::parse(b"a\xff").unwrap(), "").unwrap()),
        @r#"entry name "a\xff" is not UTF-8, as eStargz wants it"#
    );
    insta::assert_snapshot!(
        error_after(|builder| _ = builder.symlink(path("a"), b"\xc3(").unwrap()),
        @r#"symlink a: text "\xc3(" is not UTF-8, as eStargz wants it"#
    );
    insta::assert_snapshot!(
        error_after(|builder| {
            let mut patch = MetadataPatch::default();
            patch.group_name = Some(b"\xff".to_vec());
            builder.directory(path("a")).unwrap().metadata_of_last(&patch).unwrap();
        }),
        @r#"a: owner name "\xff" is not UTF-8, as eStargz wants it"#
    );
}

#[test]
fn directories_in_the_place_of_the_formats_files_are_refused() {
    insta::assert_snapshot!(
        error_after(|builder| _ = builder.directory(path("stargz.index.json")).unwrap()),
        @r#"stargz.index.json: "stargz.index.json" is a file in every eStargz layer"#
    );
    insta::assert_snapshot!(
        error_after(|builder| _ = builder.bytes(path(".prefetch.landmark/a"), "a").unwrap()),
        @r#".prefetch.landmark/a: ".prefetch.landmark" is a file in every eStargz layer"#
    );
}

#[test]
fn reserved_names_are_for_nobody_else() {
    for name in RESERVED_NAMES {
        let message = error_after(|builder| _ = builder.bytes(path(name), "mine").unwrap());
        assert!(
            message.starts_with(&format!("{name}: the name is reserved by eStargz")),
            "{message}"
        );
    }
    insta::assert_snapshot!(
        error_after(|builder| _ = builder.symlink(path(".prefetch.landmark"), "a").unwrap()),
        @".prefetch.landmark: the name is reserved by eStargz for a file of its own; give the file another name, or leave it out"
    );
    // Elsewhere than at the root they mean nothing.
    let mut builder = builder();
    builder.bytes(path("a/.prefetch.landmark"), "mine").unwrap();
    let (_, _, toc) = crate::support::write(&builder.finish().unwrap(), &options(|_| {}));
    assert_eq!(
        toc.names(),
        [".no.prefetch.landmark", "a/.prefetch.landmark"]
    );
}

#[test]
fn a_reserved_name_over_that_of_an_archive_is_an_error() {
    let mut first = builder();
    first.bytes(path("a"), "a").unwrap();
    let (_, layer, _) = crate::support::write(&first.finish().unwrap(), &options(|_| {}));
    let spool = tempfile::tempdir().unwrap();
    let mut plan_options = PlanOptions::default();
    plan_options.spool_directory = Some(spool.path().to_owned());
    let mut builder = PlanBuilder::new(plan_options);
    builder
        .import_tar_stream("layer", layer.as_slice(), &ImportOptions::default())
        .and_then(|builder| builder.bytes(path("stargz.index.json"), "mine"))
        .unwrap();
    let plan = builder.finish().unwrap();
    let message = error(&plan, EstargzOptions::default(), &EncodeOptions::default());
    assert!(
        message.starts_with("stargz.index.json: the name is reserved"),
        "{message}"
    );
}
