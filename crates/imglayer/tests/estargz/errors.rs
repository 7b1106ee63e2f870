//! What is no eStargz layer.

use imglayer::estargz::EstargzOptions;
use imglayer::{
    Codec, EncodeOptions, ErrorKind, LayerFormat, LayerPath, MetadataPatch, Plan, write_layer_as,
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
fn error_after(change: impl FnOnce(&mut imglayer::PlanBuilder)) -> String {
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
