use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{CompressionLvl, Compressor};
use proptest::prelude::*;

use super::walk::Walker;
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

    let ended = [&open[..], &FINAL_BLOCK].concat();
    assert_eq!(
        inflate(&ended),
        Some((content.to_vec(), ended.len() as u64))
    );

    let twice = [&open[..], &open, &FINAL_BLOCK].concat();
    assert_eq!(
        inflate(&twice),
        Some(([content, content].concat(), twice.len() as u64))
    );
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
    let mut contents = vec![noise, skewed, steep, text, nested, mixed, vec![0; 300_000]];
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
fn streams_of_another_compressor_can_be_joined() {
    let mut joint = Joint::new();
    for content in contents() {
        for level in [0, 1, 6, 9] {
            let level = flate2::Compression::new(level);
            let mut stream = Vec::new();
            flate2::read::DeflateEncoder::new(&content[..], level)
                .read_to_end(&mut stream)
                .unwrap();
            check_joint(&mut joint, &stream, &content);
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
    assert!(
        Walker::new()
            .find_last_block(&buffer, stream.len())
            .is_none()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_content_at_any_level_can_be_joined(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..400),
                (any::<u8>(), 0..3000_usize).prop_map(|(byte, count)| vec![byte; count]),
                prop::collection::vec(0..4_u8, 0..4000),
            ],
            0..8,
        ),
        level in 0..=12,
    ) {
        let content = pieces.concat();
        check_joint(&mut Joint::new(), &deflate(&content, level), &content);
    }

    /// Whatever another implementation inflates is walked, to the same end; and nothing ever panics or hangs.
    #[test]
    fn damaged_streams_are_judged_as_another_implementation_does(
        content in prop::collection::vec(0..40_u8, 100..3000),
        level in 1..=12,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut stream = deflate(&content, level);
        for (place, byte) in damage {
            let place = place.index(stream.len());
            stream[place] = byte;
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

fn check_judgement(stream: &[u8]) {
    let opened = open_end(&mut Joint::new(), stream);
    let Some((content, length)) = inflate(stream) else {
        // It looks at distances as well, so it may refuse what is walked here.
        return;
    };
    let opened = opened.expect("what inflates is a whole stream");
    let mut buffer = stream.to_vec();
    buffer.resize(stream.len() + PADDING, 0);
    let last = Walker::new()
        .find_last_block(&buffer, stream.len())
        .unwrap();
    assert_eq!(last.end.div_ceil(8), length);
    let ended = [&opened[..], &FINAL_BLOCK].concat();
    assert_eq!(inflate(&ended), Some((content, ended.len() as u64)));
}
