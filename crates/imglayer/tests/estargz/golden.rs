//! Bytes that must not change unnoticed, with any number of threads.

use std::fmt::Write as _;

use imglayer::estargz::EstargzOptions;
use imglayer::{EncodeOptions, Level, MetadataPatch, Plan, Timestamp, write_layer_as};

use crate::support::{builder, options, path, text};

/// Every kind of entry, and content on both sides of the limits of chunks and of blocks.
fn plan() -> Plan {
    let mut patch = MetadataPatch::default();
    patch.uid = Some(1000);
    patch.user_name = Some(b"user".to_vec());
    patch.mtime = Some(Timestamp {
        secs: 1_700_000_000,
        nanos: 5,
    });
    patch.xattrs.insert("user.note".into(), b"\0\xff".to_vec());
    let mut builder = builder();
    for number in 0..600 {
        let name = format!("many/{number}");
        builder.bytes(path(&name), text(number, number)).unwrap();
    }
    builder
        .bytes(path("a/small"), "small")
        .and_then(|builder| builder.bytes(path("a/same"), "small"))
        .and_then(|builder| builder.bytes(path("c/block"), text(1 << 20, 1)))
        .and_then(|builder| builder.bytes(path("c/chunk"), text(4 << 20, 2)))
        .and_then(|builder| builder.bytes(path("c/large"), text(5 << 20, 3)))
        .and_then(|builder| builder.bytes(path("d/zeros"), vec![0; 3 << 20]))
        .and_then(|builder| builder.empty_file(path("e/empty")))
        .and_then(|builder| builder.directory(path("e/directory")))
        .and_then(|builder| builder.symlink(path("e/link"), "../a/small"))
        .and_then(|builder| builder.hard_link(path("e/hard"), path("c/large")))
        .and_then(|builder| builder.bytes(path(&["long-name"; 30].join("/")), "long"))
        .and_then(|builder| builder.bytes(path("e/ünïcode"), "name"))
        .and_then(|builder| builder.whiteout(&path("f/gone")))
        .and_then(|builder| builder.opaque(&path("g")))
        .and_then(|builder| builder.metadata(path("a/same"), patch))
        .unwrap();
    builder.finish().unwrap()
}

#[test]
fn a_plan_gives_the_bytes_that_it_always_gave() {
    let plan = plan();
    let shared = options(|options| {
        options.chunk_size = 100_000;
        options.min_chunk_size = 50_000;
        options.prioritized_files = vec![path("e/link"), path("c/large")];
    });
    let mut golden = String::new();
    for (level, estargz) in [
        (Level::Fast, EstargzOptions::default()),
        (Level::Default, EstargzOptions::default()),
        (Level::Default, shared),
        (Level::Best, EstargzOptions::default()),
    ] {
        let format = imglayer::LayerFormat::Estargz(estargz);
        let mut digests = Vec::new();
        for threads in [1, 2, 3, 64] {
            let mut encode = EncodeOptions::default();
            encode.level = level;
            encode.threads = threads.try_into().unwrap();
            let (written, _) = write_layer_as(&plan, &format, &encode, std::io::sink()).unwrap();
            digests.push(format!(
                "{}\n  {} {}\n  {}",
                written.encoder,
                written.metadata.digest,
                written.metadata.size,
                written.metadata.annotations[imglayer::estargz::TOC_DIGEST]
            ));
        }
        digests.dedup();
        writeln!(golden, "{}", digests.join("\n")).unwrap();
    }
    insta::assert_snapshot!(golden, @r"
    gzip libdeflate level=1 members=seekable block=1048576 cut=1 store=1 vector=sha256:dd9da1b1e40eb5fad7b3b00851b65e4bcd6026662dd193a0cd67da3cf8ee9472 estargz=1 chunk=4194304 min=0
      sha256:ebaffb818a1289a647c1643711503ef377e1de044c14878f91525557ab4930cd 4849834
      sha256:a971b80553772851e8f11929864760c95db728c82083273d7645f2534321535d
    gzip libdeflate level=6 members=seekable block=1048576 cut=1 store=1 vector=sha256:f0b5b1caa6accb3b4589d1a1360b847dc7c923d96f990f7963b9a5e68a75af33 estargz=1 chunk=4194304 min=0
      sha256:8c34843899d3d74e4f598695bee67dabf32f9f1bff0a8446cf1d6b49c94d2285 5290695
      sha256:de436309e07aac36bbc6e74d78765409fa5c20f8d269951e3ad9cfc5bd469bad
    gzip libdeflate level=6 members=seekable block=1048576 cut=1 store=1 vector=sha256:f0b5b1caa6accb3b4589d1a1360b847dc7c923d96f990f7963b9a5e68a75af33 estargz=1 chunk=100000 min=50000
      sha256:32f28fb0fb80d2809f7aab04c08da2ebf14280a3096d59ce1b52348b41becaee 5238959
      sha256:a7e4c61afa7efcdbd66aff8f3c4da24da4ed36c097c111ea38e1422f69a836f7
    gzip libdeflate level=7 members=seekable block=1048576 cut=1 store=1 vector=sha256:b47e2ea92015d0d6545d9982e2cad95419e353cb0417497f932b4a95259c2588 estargz=1 chunk=4194304 min=0
      sha256:205592c02fdb0a9a872e9d5552f29453eb9560a7cbffa542b2ce793e91213e1b 5290542
      sha256:1b9666d230f1f3ce6d7229eb0513c87d10eabbc5a71488db6dff5a8c219f4619
    ");
}
