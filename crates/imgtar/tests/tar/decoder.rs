//! All members and frames, checked, and no more than the limits allow.

use std::io::{self, Read};

use imgtar::{Codec, DecodeLimits, Decoder, Error, ErrorKind};
use imgtest::image::compress;
use proptest::prelude::*;

fn decode_with(bytes: &[u8], limits: DecodeLimits) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let result = Decoder::new(bytes, limits)?.read_to_end(&mut out);
    result
        .map(|_| out)
        .map_err(|error| error.downcast().expect("input in memory does not fail"))
}

fn decode(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    decode_with(bytes, DecodeLimits::default())
}

#[track_caller]
fn fails(bytes: &[u8], kind: ErrorKind, text: &str) {
    let error = decode(bytes).expect_err("the stream is refused");
    assert_eq!((error.to_string().as_str(), error.kind()), (text, kind));
}

fn skippable(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[0x5e, 0x2a, 0x4d, 0x18], &length[..], content].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_sequence_of_members_is_read_whole(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 1..6),
        codec in prop_oneof![Just(Codec::Gzip), Just(Codec::Zstd)],
        step in 1_usize..3000,
    ) {
        let members: Vec<u8> = parts.iter().flat_map(|part| compress(part, codec)).collect();
        prop_assert_eq!(Codec::detect(&members), codec);
        prop_assert_eq!(decode(&members).unwrap(), parts.concat());
        // The same bytes through small reads on both sides.
        let slow = Trickle { bytes: &members, step };
        let mut decoder = Decoder::new(slow, DecodeLimits::default()).unwrap();
        let mut out = Vec::new();
        let mut buffer = vec![0; step];
        while let read @ 1.. = decoder.read(&mut buffer).unwrap() {
            out.extend_from_slice(&buffer[..read]);
        }
        prop_assert_eq!(out, parts.concat());
    }

    #[test]
    fn a_cut_is_always_noticed(
        content in prop::collection::vec(any::<u8>(), 1..3000),
        codec in prop_oneof![Just(Codec::Gzip), Just(Codec::Zstd)],
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = compress(&content, codec);
        // Four bytes are enough to be taken for a compressed stream.
        let length = 4 + cut.index(whole.len() - 4);
        let error = decode(&whole[..length]).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Truncated, "{}", error);
    }
}

struct Trickle<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.step);
        self.bytes.read(&mut buffer[..length])
    }
}

#[test]
fn uncompressed_bytes_pass_as_they_are() {
    for bytes in [
        &b""[..],
        b"a",
        b"BZh9 is a name",
        b"\x1f\x8b",
        &vec![0; 100_000],
    ] {
        assert_eq!(decode(bytes).unwrap(), bytes);
    }
}

#[test]
fn other_compressions_are_refused_by_name() {
    let check = |bytes: &[u8], name: &str| {
        let text = format!("the input is compressed with {name}, and no layer may be");
        fails(bytes, ErrorKind::Unsupported, &text);
    };
    check(b"\xfd7zXZ\0\0\x04", "xz");
    check(b"BZh91AY&SY", "bzip2");
    check(b"BZh9\x17\x72\x45\x38\x50\x90", "bzip2");
}

#[test]
fn optional_fields_of_a_gzip_header_are_passed_over() {
    // Extra field, name, comment and a checksum of the header.
    let mut header = b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff\x03\0abcname\0comment\0".to_vec();
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let plain = compress(b"content", Codec::Gzip);
    let with = |sum: u32| [&header[..], &sum.to_le_bytes()[..2], &plain[10..]].concat();
    assert_eq!(decode(&with(crc.sum())).unwrap(), b"content");
    fails(
        &with(crc.sum() ^ 1),
        ErrorKind::Malformed,
        "gzip stream: a member's header has the wrong checksum, at offset 30",
    );
    header[3] = 0x20;
    fails(
        &header,
        ErrorKind::Malformed,
        "gzip stream: a member's header has reserved flags, at offset 10",
    );
    let endless = [&b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"[..], &vec![b'n'; 200_000]].concat();
    fails(
        &endless,
        ErrorKind::TooLarge,
        "gzip stream: a member's header has a text of more than 65536 bytes",
    );
}

#[test]
fn after_the_last_gzip_member_only_zeros_may_stand() {
    let member = compress(b"content", Codec::Gzip);
    let with = |tail: &[u8]| [&member[..], tail].concat();
    assert_eq!(decode(&with(&[0; 1])).unwrap(), b"content");
    assert_eq!(decode(&with(&vec![0; 200_000])).unwrap(), b"content");
    let end = member.len();
    let behind = "gzip stream: there is something else after the last member, at offset";
    fails(
        &with(b"x"),
        ErrorKind::Malformed,
        &format!("{behind} {end}"),
    );
    fails(
        &with(b"\x1f"),
        ErrorKind::Malformed,
        &format!("{behind} {end}"),
    );
    // A member behind zeros would be read by some and not by others.
    let hidden = with(&[&[0; 3], &member[..]].concat());
    fails(
        &hidden,
        ErrorKind::Malformed,
        &format!("{behind} {}", end + 3),
    );
}

#[test]
fn damage_is_noticed() {
    let gzip = compress(&b"content".repeat(100), Codec::Gzip);
    let flip = |bytes: &[u8], from_end: usize| {
        let mut bytes = bytes.to_vec();
        let index = bytes.len() - from_end;
        bytes[index] ^= 1;
        bytes
    };
    let end = gzip.len();
    let text = |what: &str| format!("gzip stream: a member has the wrong {what}, at offset {end}");
    fails(&flip(&gzip, 8), ErrorKind::Malformed, &text("checksum"));
    fails(&flip(&gzip, 1), ErrorKind::Malformed, &text("length"));
    fails(
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xff",
        ErrorKind::Malformed,
        "gzip stream: the compressed data is damaged, at offset 11",
    );
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    io::copy(&mut &b"content".repeat(100)[..], &mut encoder).unwrap();
    let frame = encoder.finish().unwrap();
    assert_eq!(
        decode(&flip(&frame, 1)).unwrap_err().kind(),
        ErrorKind::Malformed
    );
}

#[test]
fn zstd_frames_may_have_skippable_ones_among_them() {
    let frame = compress(b"content", Codec::Zstd);
    let note = skippable(&vec![7; 100_000]);
    let stream = [&note[..], &frame, &note, &skippable(b""), &frame, &note].concat();
    assert_eq!(Codec::detect(&stream), Codec::Zstd);
    assert_eq!(decode(&stream).unwrap(), b"contentcontent");
    fails(
        &[&frame[..], b"\0\0\0\0"].concat(),
        ErrorKind::Malformed,
        &format!(
            "zstd stream: there is something else after the last frame, at offset {}",
            frame.len()
        ),
    );
    // It declares four gigabytes and has ten bytes.
    fails(
        b"\x50\x2a\x4d\x18\xff\xff\xff\xff0123456789",
        ErrorKind::Truncated,
        "zstd stream: the input ends at offset 18 within a skippable frame",
    );
}

#[test]
fn a_window_beyond_the_limit_is_refused() {
    // A frame header with a window of 2 GiB (exponent 21), and nothing behind it.
    let declared = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
    let error = decode(declared).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("too much memory"), "{error}");
    let mut limits = DecodeLimits::default();
    limits.window = 1 << 16;
    let large = compress(&vec![7; 1 << 20], Codec::Zstd);
    assert!(decode_with(&large, limits).is_err());
    assert_eq!(decode(&large).unwrap().len(), 1 << 20);
}

#[test]
fn limits_are_kept() {
    let check = |bytes: &[u8], limits: DecodeLimits, text: &str| {
        let error = decode_with(bytes, limits).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.kind()),
            (text, ErrorKind::TooLarge)
        );
    };
    let bomb = vec![0; 8 << 20];
    for codec in [Codec::Gzip, Codec::None, Codec::Zstd] {
        let mut limits = DecodeLimits::default();
        limits.output = (8 << 20) - 1;
        let text = format!("{codec} stream: the output is larger than 8388607 bytes");
        check(&compress(&bomb, codec), limits, &text);
        limits.output += 1;
        assert_eq!(
            decode_with(&compress(&bomb, codec), limits).unwrap().len(),
            bomb.len()
        );
    }
    let mut limits = DecodeLimits::default();
    limits.ratio = Some(100);
    let text = "the output is more than 100 times as large as the input";
    check(
        &compress(&bomb, Codec::Gzip),
        limits,
        &format!("gzip stream: {text}"),
    );
    check(
        &compress(&bomb, Codec::Zstd),
        limits,
        &format!("zstd stream: {text}"),
    );
    assert!(decode_with(&compress(&bomb[..1 << 20], Codec::Zstd), limits).is_ok());
    let mut limits = DecodeLimits::default();
    limits.members = 2;
    let members = compress(b"", Codec::Gzip).repeat(3);
    check(
        &members,
        limits,
        "gzip stream: there are more than 2 members",
    );
    check(
        &skippable(b"").repeat(3),
        limits,
        "zstd stream: there are more than 2 frames",
    );
}

#[test]
fn a_decoder_that_failed_stays_failed() {
    let mut decoder = Decoder::new(&b"\x1f\x8b\x08\xff"[..], DecodeLimits::default()).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(
        decoder.read(&mut buffer).unwrap_err().kind(),
        io::ErrorKind::UnexpectedEof
    );
    let error = decoder.read(&mut buffer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "gzip stream: this decoder has already failed"
    );
}

#[test]
fn a_codec_that_is_told_is_not_guessed() {
    let mut out = Vec::new();
    let limits = DecodeLimits::default();
    let mut decoder = Decoder::with_codec(&b"\x1f\x8b\x08"[..], Codec::None, limits).unwrap();
    decoder.read_to_end(&mut out).unwrap();
    assert_eq!(out, b"\x1f\x8b\x08");
    let mut decoder = Decoder::with_codec(&b"plain text"[..], Codec::Zstd, limits).unwrap();
    let error = decoder.read_to_end(&mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "zstd stream: a frame does not start with the zstd magic, at offset 0"
    );
}
