//! Seekable blobs: every member can be decoded by itself, from its offset to that of the next.

use std::io::{Read, Write};

use imgcore::{DiffId, Digest};
use imglayer::ErrorKind;
use imglayer::encode::{Blob, BlobWriter, Codec, EncodeOptions, EncoderIdentity, Level};
use proptest::prelude::*;

use crate::content::{BLOCK, bytes, noise, with_threads};

const FOOTER: &[u8] = b"a footer";
const CODECS: [Codec; 3] = [Codec::Gzip, Codec::None, Codec::Zstd];

/// A seekable blob, the offsets of its members, and where the footer begins.
#[derive(PartialEq)]
struct Seekable {
    blob: Blob,
    bytes: Vec<u8>,
    offsets: Vec<u64>,
    end: usize,
}

/// How a caller may begin and fill members, none of which changes a byte.
#[derive(Clone, Copy, Debug)]
struct Habits {
    threads: usize,
    tells_sizes: bool,
    /// How much is written at once.
    chunk: usize,
    /// Whether it asks for space before it knows that there is more to write.
    asks_early: bool,
}

const PLAIN: Habits = Habits {
    threads: 1,
    tells_sizes: true,
    chunk: usize::MAX,
    asks_early: false,
};

fn write(members: &[Vec<u8>], options: &EncodeOptions, habits: Habits) -> Seekable {
    let options = with_threads(options, habits.threads);
    let mut writer = BlobWriter::seekable(Vec::new(), &options).unwrap();
    for (number, member) in members.iter().enumerate() {
        let size = if habits.tells_sizes { member.len() } else { 0 };
        assert_eq!(writer.start_member(size as u64).unwrap(), number as u64);
        for chunk in member.chunks(habits.chunk) {
            writer.write_all(chunk).unwrap();
            if habits.asks_early {
                writer.spare().unwrap();
                writer.cut().unwrap();
            }
        }
    }
    writer.sync().unwrap();
    let end = usize::try_from(writer.size()).unwrap();
    let offsets = writer.member_offsets().to_vec();
    writer.write_raw(FOOTER).unwrap();
    let (blob, bytes) = writer.finish().unwrap();
    Seekable {
        blob,
        bytes,
        offsets,
        end,
    }
}

/// Decodes a member that ends with the input.
fn decode_member(codec: Codec, mut encoded: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    if codec == Codec::Gzip && !encoded.is_empty() {
        flate2::bufread::GzDecoder::new(&mut encoded)
            .read_to_end(&mut content)
            .unwrap();
        assert!(encoded.is_empty(), "one member and no more");
        return content;
    }
    if encoded.is_empty() {
        return content;
    }
    let limits = imgtar::DecodeLimits::default();
    imgtar::Decoder::with_codec(encoded, codec, limits)
        .unwrap()
        .read_to_end(&mut content)
        .unwrap();
    content
}

fn check(members: &[Vec<u8>], seekable: &Seekable, codec: Codec) {
    let Seekable {
        blob,
        bytes,
        offsets,
        end,
    } = seekable;
    let content = members.concat();
    assert_eq!(blob.diff_id, DiffId::sha256_of(&content));
    assert_eq!(blob.uncompressed_size, content.len() as u64);
    assert_eq!(blob.digest, Digest::sha256_of(bytes));
    assert_eq!(blob.size, bytes.len() as u64);
    assert_eq!(&bytes[*end..], FOOTER);
    assert_eq!(offsets.len(), members.len());
    for (number, member) in members.iter().enumerate() {
        let start = usize::try_from(offsets[number]).unwrap();
        let next = (offsets.get(number + 1)).map_or(*end, |next| usize::try_from(*next).unwrap());
        let decoded = decode_member(codec, &bytes[start..next]);
        assert!(decoded == *member, "member {number} of {}", members.len());
    }
}

fn encoders() -> Vec<EncodeOptions> {
    CODECS
        .map(|codec| EncodeOptions::new(codec, Level::Fast))
        .into()
}

/// Members of lengths at which something changes.
fn lengths() -> Vec<usize> {
    let mut lengths = vec![
        0,
        1,
        BLOCK,
        0,
        0,
        BLOCK - 1,
        1,
        BLOCK + 1,
        3 * BLOCK + 5,
        2 * BLOCK - 1,
        2 * BLOCK,
        2 * BLOCK,
        2 * BLOCK + 1,
        700_000,
        700_000,
    ];
    lengths.extend((0..300).map(|number| number * 7));
    lengths.extend([BLOCK, 0]);
    lengths
}

fn members(lengths: &[usize]) -> Vec<Vec<u8>> {
    let content = bytes(4 * BLOCK);
    let member = |(number, &length): (usize, &usize)| content[number..number + length].to_vec();
    lengths.iter().enumerate().map(member).collect()
}

#[test]
fn members_of_all_lengths_are_whole_at_any_number_of_threads() {
    let members = members(&lengths());
    for options in encoders() {
        let expected = write(&members, &options, PLAIN);
        check(&members, &expected, options.codec);
        for threads in [2, 3, 16] {
            let habits = Habits { threads, ..PLAIN };
            assert!(write(&members, &options, habits) == expected, "{habits:?}");
        }
    }
}

#[test]
fn habits_of_the_caller_change_no_byte() {
    let members = members(&lengths());
    for options in encoders() {
        let expected = write(&members, &options, PLAIN);
        for threads in [1, 2] {
            for tells_sizes in [false, true] {
                for asks_early in [false, true] {
                    for chunk in [333_333, BLOCK] {
                        let habits = Habits {
                            threads,
                            tells_sizes,
                            chunk,
                            asks_early,
                        };
                        assert!(write(&members, &options, habits) == expected, "{habits:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_encoding_of_a_member_does_not_depend_on_where_it_stands() {
    for length in [
        1,
        5000,
        BLOCK - 1,
        BLOCK,
        BLOCK + 1,
        2 * BLOCK,
        2 * BLOCK + 77,
    ] {
        let member = bytes(length);
        for options in encoders() {
            let alone = write(std::slice::from_ref(&member), &options, PLAIN);
            let alone = &alone.bytes[..alone.end];
            for before in [1, 300_000, BLOCK, BLOCK + 5] {
                let both = write(&[bytes(before), member.clone()], &options, PLAIN);
                let start = usize::try_from(both.offsets[1]).unwrap();
                assert!(both.bytes[start..both.end] == *alone, "{before} {length}");
            }
        }
    }
}

#[test]
fn a_whole_gzip_blob_decompresses_to_its_members() {
    let members = members(&lengths());
    let seekable = write(&members, &EncodeOptions::default(), PLAIN);
    let mut content = Vec::new();
    flate2::read::MultiGzDecoder::new(&seekable.bytes[..seekable.end])
        .read_to_end(&mut content)
        .unwrap();
    assert!(content == members.concat());
}

#[test]
fn members_of_noise_are_stored_and_whole() {
    for length in [
        40_000,
        BLOCK - 1,
        BLOCK,
        2 * BLOCK,
        2 * BLOCK + 5,
        3 * BLOCK - 5,
    ] {
        let members = [bytes(10), noise(length), noise(length + 1), bytes(10)];
        for options in encoders() {
            let seekable = write(&members, &options, PLAIN);
            check(&members, &seekable, options.codec);
            let habits = Habits {
                threads: 3,
                ..PLAIN
            };
            assert!(write(&members, &options, habits) == seekable);
            let bound = 2 * length + 2 * length / 10_000 + 300;
            assert!(seekable.bytes.len() <= bound, "{length} {options:?}");
        }
    }
}

#[test]
fn more_tiny_members_than_a_block_holds_pieces() {
    let members = vec![b"x".to_vec(); 10_000];
    for options in encoders() {
        for threads in [1, 2] {
            let seekable = write(&members, &options, Habits { threads, ..PLAIN });
            check(&members, &seekable, options.codec);
        }
    }
}

#[test]
fn writing_goes_on_after_a_sync_and_offsets_with_it() {
    for options in encoders() {
        for threads in [1, 2] {
            let options = with_threads(&options, threads);
            let mut writer = BlobWriter::seekable(Vec::new(), &options).unwrap();
            writer.write_all(b"without a number").unwrap();
            let mut expected = Vec::new();
            for round in 0..5 {
                writer.start_member(0).unwrap();
                writer.write_all(&bytes(round * 700_000)).unwrap();
                writer.sync().unwrap();
                expected.push(writer.size());
                assert_eq!(writer.member_offsets().len(), round + 1);
            }
            assert_eq!(writer.member_offsets()[1..], expected[..4]);
            assert!(writer.member_offsets()[0] > 0);
            writer.finish().unwrap();
        }
    }
}

#[test]
fn a_seekable_blob_without_members_tells_its_codec() {
    for options in encoders() {
        let writer = BlobWriter::seekable(Vec::new(), &options).unwrap();
        let (blob, bytes) = writer.finish().unwrap();
        assert_eq!(decode_member(options.codec, &bytes), b"");
        assert_eq!(bytes.is_empty(), options.codec == Codec::None);
        assert_eq!(blob.uncompressed_size, 0);
    }
}

#[test]
fn a_plain_blob_has_no_members() {
    let mut writer = BlobWriter::new(Vec::new(), &EncodeOptions::default()).unwrap();
    let error = writer.start_member(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    insta::assert_snapshot!(error, @"only a seekable blob has members");
    assert!(writer.sync().is_err());
    assert!(writer.write_raw(b"x").is_err());
    writer.write_all(b"goes on").unwrap();
    writer.finish().unwrap();
}

#[test]
fn identity_tells_a_seekable_blob_from_others() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let options = EncodeOptions::new(codec, Level::Fast);
        let seekable = EncoderIdentity::of_seekable(&options).unwrap();
        assert!(seekable.as_str().contains(" members=seekable "));
        assert_ne!(seekable, EncoderIdentity::of(&options).unwrap());
    }
}

/// Fails when it is written to.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_fails_is_an_error_of_the_sync() {
    let mut writer = BlobWriter::seekable(Broken, &EncodeOptions::default()).unwrap();
    writer.start_member(0).unwrap();
    writer.write_all(b"x").unwrap();
    assert_eq!(writer.sync().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(
        writer.start_member(0).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        2 => Just(0_usize),
        2 => Just(1_usize),
        6 => 0..5000_usize,
        3 => 0..400_000_usize,
        1 => BLOCK - 2..BLOCK + 3,
        1 => 2 * BLOCK - 2..2 * BLOCK + 3,
        1 => BLOCK..3 * BLOCK,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn offsets_point_to_members(
        lengths in prop::collection::vec(length(), 0..=24),
        codec in prop::sample::select(CODECS.to_vec()),
        threads in 1..5_usize,
        tells_sizes: bool,
        chunk in 1000..2 * BLOCK,
    ) {
        let members = members(&lengths);
        let options = EncodeOptions::new(codec, Level::Fast);
        let habits = Habits { threads, tells_sizes, chunk, asks_early: false };
        let seekable = write(&members, &options, habits);
        check(&members, &seekable, codec);
        prop_assert!(seekable == write(&members, &options, PLAIN));
    }
}
