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
    gzip libdeflate level=5 members=single block=1048576 cut=1 store=1 vector=sha256:a01f55af69d18bbfa84808a3fd3525faa3a8e0125cc081a1ba3fc96b7df93142
      sha256:4296e1cee82298df976164f3806fd5155c655297e6f06e54dd269abc635a141f 2171893
    gzip libdeflate level=9 members=single block=1048576 cut=1 store=1 vector=sha256:92c64a431c8c10ef3fcb845be314769dffdb13428f28e5bedb8713c33eb9a98e
      sha256:3b70f0f34cad318e6af0f6f413c1ea60562409e3246ef16aed46a644efc5c613 2171850
    zstd zstd=10507 level=1 window=20 block=1048576 cut=1 store=1 vector=sha256:6792b36aa73cc95cef7d425233c084dbcd5fce79708e7a789be865d29872b895
      sha256:f512b5764f187a93c53ed06fc45b121724d4cb3ff715556612ca29fcf53d7c7b 2164845
    zstd zstd=10507 level=3 window=20 block=1048576 cut=1 store=1 vector=sha256:40fc976078384c7a25c090acfa29a259e9b56d89a7732f83969646d1238bee17
      sha256:386d2506eb6ccf7115a4b06cc06f618c5ef6952325a173e6e1415f1d58103e98 2164781
    zstd zstd=10507 level=9 window=20 block=1048576 cut=1 store=1 vector=sha256:46d5a147c9aa69e0b26cc37d4b471056d69b4ba7be22b2c67f1515bb5b02c168
      sha256:d997e3e59a16082033d27d5af1add746caac22e5958c934de62321d405ea265a 2164718
    gzip libdeflate level=5 members=multi block=1048576 cut=1 store=1 vector=sha256:aaba368d5c41ac18928777fb3be39406bae2f04b179d57527cf417b476ed78ca
      sha256:882b33211b98b8648fed937428273f7aa526b51b24f3ac68c7671bd2b311091c 2172023
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
    let large = noise((5 << 19) + 100);
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
