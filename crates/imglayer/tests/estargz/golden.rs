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
    gzip libdeflate level=5 members=seekable block=1048576 cut=1 store=1 vector=sha256:aaba368d5c41ac18928777fb3be39406bae2f04b179d57527cf417b476ed78ca estargz=1 chunk=4194304 min=0
      sha256:e455b2529d83775dce0af5fbbae863b5aff125884b3638efa83dfcf1141e82eb 5291305
      sha256:59b4ba15c93f8ec25c096dce583087224802db8f258240f9ff0f5ea92d373719
    gzip libdeflate level=5 members=seekable block=1048576 cut=1 store=1 vector=sha256:aaba368d5c41ac18928777fb3be39406bae2f04b179d57527cf417b476ed78ca estargz=1 chunk=100000 min=50000
      sha256:789fca441ded09c9f1398342f8a810ee02e3cb685accd55ac9b449d381c945f9 5239360
      sha256:ef946bc15ed32ef60d13aafa36ffdf00abeecb8d07f66d1f22e6e74010833743
    gzip libdeflate level=9 members=seekable block=1048576 cut=1 store=1 vector=sha256:b9888f66fa14606d3b9fdde70360918069032aebe678d8e8df13e90a69f37f9e estargz=1 chunk=4194304 min=0
      sha256:8c3fbad4567fd81db7412c599d98a144dfc5e7c85e98b6a698cd6ebf3a600491 5290406
      sha256:ea1d87bba22a99a6e4b72f7cf7cc4dfb7e7b060b45533e682dee3b43d3cb2492
    ");
}
