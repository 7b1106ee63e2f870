//! Bytes that must not change unnoticed.

use std::fmt::Write as _;

use imglayer::{
    Codec, EncodeOptions, Error, GzipMembers, Level, MetadataPatch, Plan, PlanBuilder, PlanOptions,
    Timestamp, write_layer,
};

use zstd::zstd_safe::find_frame_compressed_size;

use crate::support::path;

/// Bytes that do not compress well and are the same everywhere.
fn noise(size: usize) -> Vec<u8> {
    let mut state: u32 = 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 26) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// Every kind of entry, and content on both sides of every limit of the cut rule.
fn plan() -> Result<Plan, Error> {
    let mut patch = MetadataPatch::default();
    patch.uid = Some(1000);
    patch.user_name = Some(b"user".to_vec());
    patch.mtime = Some(Timestamp {
        secs: 1_700_000_000,
        nanos: 5,
    });
    patch.xattrs.insert("user.note".into(), b"\0\xff".to_vec());
    let mut builder = PlanBuilder::new(PlanOptions::default());
    builder
        .bytes(path("a/small"), "small")?
        .bytes(path("a/same"), "small")?
        .bytes(path("b/nearly"), noise((128 << 10) - 1))?
        .bytes(path("b/own"), noise(128 << 10))?
        .bytes(path("c/large"), noise(5 << 19))?
        .bytes(path("d/zeros"), vec![0; 3 << 20])?
        .empty_file(path("e/empty"))?
        .directory(path("e/directory"))?
        .symlink(path("e/link"), "../a/small")?
        .hard_link(path("e/hard"), path("c/large"))?
        .bytes(path(&["long-name"; 30].join("/")), "long")?
        .bytes(path("e/ünïcode"), "name")?
        .whiteout(&path("f/gone"))?
        .opaque(&path("g"))?
        .metadata(path("a/same"), patch)?;
    builder.finish()
}

#[test]
fn a_plan_gives_the_bytes_that_it_always_gave() -> Result<(), Error> {
    let plan = plan()?;
    let mut golden = String::new();
    let levels = [Level::Fast, Level::Default, Level::Best];
    let mut encodings = vec![EncodeOptions::new(Codec::None, Level::Default)];
    encodings.extend(levels.map(|level| EncodeOptions::new(Codec::Gzip, level)));
    encodings.extend(levels.map(|level| EncodeOptions::new(Codec::Zstd, level)));
    let mut multi = EncodeOptions::new(Codec::Gzip, Level::Default);
    multi.gzip_members = GzipMembers::Multi;
    encodings.push(multi);
    for options in encodings {
        let (written, _) = write_layer(&plan, &options, std::io::sink())?;
        writeln!(golden, "{}", written.encoder).unwrap();
        writeln!(
            golden,
            "  {} {}",
            written.metadata.digest, written.metadata.size
        )
        .unwrap();
    }
    insta::assert_snapshot!(golden, @r"
    none
      sha256:8002f08ada039fd4c1ff1fb90a4bfd05255b8eb811cd169ad6e651d47372df40 6042624
    gzip libdeflate level=1 members=single block=1048576 cut=1 store=1 vector=sha256:645b353409866035c943e6ac934e006ea296e8132dc3212b7cbba7d1528c4b34
      sha256:80831ec3932c8a57bb483c0dbe7951e93aadce04cb90cb6718fbb7b4bc023deb 2173097
    gzip libdeflate level=3 members=single block=1048576 cut=1 store=1 vector=sha256:8fd01ade70a1a3bea3ee3c9265dbbe5e552e13a7fd45b0197cc6fae12a24a67b
      sha256:aff007b7a141995627cb0f69b8cd58e71a6770760763f455f32eaa4b997d3f3f 2172442
    gzip libdeflate level=7 members=single block=1048576 cut=1 store=1 vector=sha256:59a64fd3ca04fdfcdc931c5c3ca66352ed60c989cbd8d7770dbffa0a0500fdd5
      sha256:0bd2425f3f5d07651bd9e65733e5b28ad7522cfd22bfdbbe09ee3489eb6c5018 2171863
    zstd zstd=10507 level=1 match=6 window=21 block=2097152 cut=1 store=1 vector=sha256:054a6303cad4ae97464fccf024f9e4be6d9de8551290e3d72edaa2564f0ad548
      sha256:223d77079e7c7420b2da5d469a94d73b660344f0f1ecf3f80b05181a9d2cdd1a 2164772
    zstd zstd=10507 level=3 chain=15 hash=16 window=21 block=2097152 cut=1 store=1 vector=sha256:86c4ee81a22b5406dbf8bdd5a3fb04441421bb275f79697821d5111289d66108
      sha256:73c7099ab76365a5b8e39faa0f8f6993ceb4eab5b856bd2e8e2c82ee5493bb71 2164721
    zstd zstd=10507 level=9 window=21 block=2097152 cut=1 store=1 vector=sha256:46d5a147c9aa69e0b26cc37d4b471056d69b4ba7be22b2c67f1515bb5b02c168
      sha256:84fdad534730e0a978f00864b82bc6db5278749e8a9ede7bbad398693623973d 2164659
    gzip libdeflate level=3 members=multi block=1048576 cut=1 store=1 vector=sha256:c10dd942641eb34b44e8233556b2387ffde3eadcb03afc7b0dc765ff28a4b1cc
      sha256:7b15950204fb5136c276aed9ae86946ac37033920cdb321987a323810e7e8d9b 2172571
    ");
    Ok(())
}

#[test]
fn the_uncompressed_bytes_are_the_same_under_every_encoder() -> Result<(), Error> {
    let plan = plan()?;
    for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
        let options = EncodeOptions::new(codec, Level::Fast);
        let (written, _) = write_layer(&plan, &options, std::io::sink())?;
        let diff_id = written.metadata.diff_id.unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(diff_id, @"sha256:8002f08ada039fd4c1ff1fb90a4bfd05255b8eb811cd169ad6e651d47372df40");
        }
    }
    Ok(())
}

/// Splits a zstd blob into the frames that it is made of.
fn frames(mut blob: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while !blob.is_empty() {
        let (frame, rest) = blob.split_at(find_frame_compressed_size(blob).unwrap());
        frames.push(frame);
        blob = rest;
    }
    frames
}

#[test]
fn a_large_file_gives_the_same_blocks_wherever_it_stands() -> Result<(), Error> {
    let large = noise((5 << 20) + 100);
    let blob = |others: &[(&str, usize)]| {
        let mut builder = PlanBuilder::new(PlanOptions::default());
        builder.bytes(path("m/large"), large.clone())?;
        for (name, size) in others {
            builder.bytes(path(name), noise(*size))?;
        }
        let options = EncodeOptions::new(Codec::Zstd, Level::Fast);
        Ok::<_, Error>(write_layer(&builder.finish()?, &options, Vec::new())?.1)
    };
    let alone = blob(&[])?;
    // The header, three blocks of content, the end of the archive.
    let [_, content @ .., _] = &frames(&alone)[..] else {
        panic!("there are two frames at least")
    };
    assert_eq!(content.len(), 3);
    let among = blob(&[
        ("a", 7),
        ("b", 200_000),
        ("l", 2_000_000),
        ("z", 9),
        ("zz", 300_000),
    ])?;
    let among = frames(&among);
    assert!(among.windows(3).any(|window| window == content));
    Ok(())
}
