mod inflate;

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{CompressionLvl, Compressor};
use proptest::prelude::*;

use super::walk::{LastBlock, Walker};
use super::{FINAL_BLOCK, JOINT_SIZE, Joint, PADDING};

/// Inflates a whole stream with another implementation, and returns the content and the length of the stream.
fn inflate(stream: &[u8]) -> Option<(Vec<u8>, u64)> {
    let mut decoder = Decompress::new(false);
    // A few megabytes are more than any test here needs, and random bytes may inflate to a lot.
    let mut content = Vec::with_capacity(4 << 20);
    let status = decoder
        .decompress_vec(stream, &mut content, FlushDecompress::Finish)
        .ok()?;
    (status == Status::StreamEnd).then(|| (content, decoder.total_in()))
}

fn deflate(content: &[u8], level: i32) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::new(level).unwrap());
    let mut stream = vec![0; compressor.deflate_compress_bound(content.len())];
    let length = compressor.deflate_compress(content, &mut stream).unwrap();
    stream.truncate(length);
    stream
}

fn deflate_otherwise(content: &[u8], level: u32) -> Vec<u8> {
    let mut stream = Vec::new();
    flate2::read::DeflateEncoder::new(content, flate2::Compression::new(level))
        .read_to_end(&mut stream)
        .unwrap();
    stream
}

fn open_end(joint: &mut Joint, stream: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = stream.to_vec();
    // Whatever stood behind the stream must not matter.
    buffer.resize(stream.len() + PADDING, 0xa5);
    let length = joint.open_end(&mut buffer, stream.len())?;
    buffer.truncate(length);
    Some(buffer)
}

/// Opens the end of `stream` and checks that it goes on with whatever follows it.
fn check_joint(joint: &mut Joint, stream: &[u8], content: &[u8]) {
    let open = open_end(joint, stream).expect("the stream is whole");
    assert!(open.len() <= stream.len() + JOINT_SIZE);
    assert!(open.ends_with(&[0, 0, 0xff, 0xff]));
    check_inflates(&[&open[..], &FINAL_BLOCK].concat(), content);
    let twice = [content, content].concat();
    check_inflates(&[&open[..], &open, &FINAL_BLOCK].concat(), &twice);
}

/// Checks that the whole of `stream`, and nothing less, inflates to `content`.
fn check_inflates(stream: &[u8], content: &[u8]) {
    let (inflated, length) = inflate(stream).expect("the stream is whole");
    assert!(inflated == content, "the content is another");
    assert_eq!(length, stream.len() as u64, "bytes are left over");
}

/// Checks the positions that were found against those that reading every bit leads to.
fn check_positions(stream: &[u8]) {
    let expected = inflate::inflate(stream).expect("the stream is whole");
    assert_eq!(
        last_block(stream),
        Some(LastBlock {
            header: expected.last_header,
            end: expected.end
        })
    );
}

fn last_block(stream: &[u8]) -> Option<LastBlock> {
    let mut buffer = stream.to_vec();
    buffer.resize(stream.len() + PADDING, 0);
    Walker::new().find_last_block(&buffer, stream.len())
}

/// Contents that make a compressor choose every kind of block.
fn contents() -> Vec<Vec<u8>> {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u8
    };
    let noise: Vec<u8> = (0..150_000).map(|_| random()).collect();
    let skewed: Vec<u8> = (0..150_000)
        .map(|_| random().leading_zeros() as u8 * 3)
        .collect();
    // A Fibonacci distribution makes the longest code words.
    let mut steep = Vec::new();
    let (mut now, mut before) = (1, 1);
    for symbol in 0..22 {
        steep.extend(std::iter::repeat_n(symbol, now));
        (now, before) = (now + before, now);
    }
    for place in (1..steep.len()).rev() {
        let other = (usize::from(random()) << 8 | usize::from(random())) % (place + 1);
        steep.swap(place, other);
    }
    let text =
        b"the quick brown fox jumps over the lazy dog, and then it does so again; ".repeat(900);
    let nested = [
        deflate(&text, 6),
        noise[..3000].to_vec(),
        deflate(&skewed, 1),
    ]
    .concat();
    let mixed = [
        &noise[..70_000],
        &text[..],
        &vec![0; 70_000],
        &skewed[..],
        &nested,
    ]
    .concat();
    // Words of one length: readers that began at different bits never meet.
    let even: Vec<u8> = noise.iter().map(|byte| byte & 0x7f).collect();
    let hexadecimal: Vec<u8> = noise
        .iter()
        .map(|byte| b"0123456789abcdef"[usize::from(byte & 15)])
        .collect();
    let mut contents = vec![
        noise,
        skewed,
        steep,
        text,
        nested,
        mixed,
        even,
        hexadecimal,
        vec![0; 300_000],
    ];
    // Short inputs bypass the compressor, up to 55 bytes at level 0.
    contents.extend((0..70).map(|length| vec![b'a'; length]));
    contents.extend((0..70).map(|length: u8| (0..length).collect()));
    contents
}

#[test]
fn streams_of_every_level_and_kind_can_be_joined() {
    let mut joint = Joint::new();
    for content in contents() {
        for level in 0..=12 {
            check_joint(&mut joint, &deflate(&content, level), &content);
        }
    }
}

#[test]
fn positions_in_every_kind_of_stream_are_those_that_every_bit_leads_to() {
    for content in contents() {
        for level in [1, 5, 9] {
            check_positions(&deflate(&content, level));
        }
        check_positions(&deflate_otherwise(&content, 6));
    }
}

#[test]
fn streams_of_another_compressor_can_be_joined() {
    let mut joint = Joint::new();
    for content in contents() {
        for level in 0..=9 {
            check_joint(&mut joint, &deflate_otherwise(&content, level), &content);
        }
    }
}

#[test]
fn a_stream_that_is_cut_short_or_followed_by_bytes_is_seen() {
    let content = &contents()[5][..40_000];
    let stream = deflate(content, 6);
    let mut joint = Joint::new();
    for length in [0, 1, 2, 100, stream.len() / 2, stream.len() - 1] {
        assert_eq!(open_end(&mut joint, &stream[..length]), None, "{length}");
    }
    let followed = [&stream[..], b"more"].concat();
    check_joint(&mut joint, &followed, content);
}

#[test]
fn blocks_that_the_format_forbids_are_refused() {
    let mut joint = Joint::new();
    let refused: [(&str, &[u8]); 5] = [
        ("type 3", &[0b111, 0]),
        (
            "lengths of a stored block that differ",
            &[1, 1, 0, 0, 0, b'a'],
        ),
        (
            "a stored block beyond the end",
            &[1, 9, 0, 0xf6, 0xff, b'a'],
        ),
        ("no last block", &[0, 0, 0, 0xff, 0xff]),
        ("no code for lengths", &[0b101, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (what, stream) in refused {
        assert_eq!(open_end(&mut joint, stream), None, "{what}");
    }
}

#[test]
fn a_buffer_without_room_for_padding_is_refused() {
    let stream = deflate(
        b"content that is long enough to be compressed, enough, enough, enough",
        6,
    );
    let mut buffer = stream.clone();
    buffer.resize(stream.len() + PADDING - 1, 0);
    assert_eq!(Joint::new().open_end(&mut buffer, stream.len()), None);
    assert_eq!(Walker::new().find_last_block(&buffer, stream.len()), None);
}

/// Contents of all sorts, long enough for blocks in which the word for the end is a long one.
fn any_content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        (any::<u8>(), 0..3000_usize).prop_map(|(byte, count)| vec![byte; count]),
        prop::collection::vec(0..4_u8, 0..4000),
        prop::collection::vec(b' '..b' ' + 64, 0..9000),
        prop::collection::vec(
            prop::num::u32::ANY.prop_map(|bits| bits.leading_zeros() as u8),
            0..20_000
        ),
        prop::collection::vec(
            prop::sample::select(vec!["the", " ", "quick", "e", "fox", "\n", "zz"]),
            0..6000
        )
        .prop_map(|words| words.concat().into_bytes()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// What compresses: libdeflate at its levels 0 to 12, or another compressor at 0 to 9.
fn any_stream() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (any_content(), 0..=12_i32, any::<bool>()).prop_map(|(content, level, other)| {
        let stream = if other {
            deflate_otherwise(&content, level.min(9).cast_unsigned())
        } else {
            deflate(&content, level)
        };
        (content, stream)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_contents_at_any_levels_can_be_joined(
        pieces in prop::collection::vec(any_stream(), 1..5),
    ) {
        let mut joint = Joint::new();
        let (mut contents, mut streams) = (Vec::new(), Vec::new());
        for (content, stream) in pieces {
            contents.extend(content);
            streams.extend(open_end(&mut joint, &stream).expect("the stream is whole"));
        }
        streams.extend(FINAL_BLOCK);
        check_inflates(&streams, &contents);
    }

    #[test]
    fn positions_are_those_that_every_bit_leads_to((_, stream) in any_stream()) {
        check_positions(&stream);
    }

    /// Whatever another implementation inflates is walked, to the same end; and nothing ever panics or hangs.
    #[test]
    fn damaged_streams_are_judged_as_another_implementation_does(
        (_, mut stream) in any_stream(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        for (place, byte) in damage {
            if !stream.is_empty() {
                let place = place.index(stream.len());
                stream[place] = byte;
            }
        }
        check_judgement(&stream);
    }

    #[test]
    fn random_bytes_are_judged_as_another_implementation_does(
        stream in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        check_judgement(&stream);
    }
}

/// What two others inflate is taken and goes on to inflate to the same bytes.
///
/// Not the other way round: distances that reach back before the start are not seen here, and symbols that were
/// passed over may be none of the format. Such a stream does not inflate before, and what becomes of it is no matter.
fn check_judgement(stream: &[u8]) {
    let opened = open_end(&mut Joint::new(), stream);
    let slowly = inflate::inflate(stream);
    let Some((content, length)) = inflate(stream) else {
        assert!(slowly.is_none());
        return;
    };
    let slowly = slowly.expect("another implementation inflates it");
    assert!(slowly.content == content);
    assert_eq!(slowly.end.div_ceil(8), length);
    let opened = opened.expect("what inflates is a whole stream");
    check_positions(stream);
    check_inflates(&[&opened[..], &FINAL_BLOCK].concat(), &content);
}
