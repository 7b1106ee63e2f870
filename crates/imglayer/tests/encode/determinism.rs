//! The same bytes and cuts give the same blob, whatever else differs.

use imgcore::{DiffId, Digest};
use imglayer::encode::{Blob, BlobWriter, Codec, EncodeOptions, Level, Threads, recompress};
use proptest::prelude::*;

use crate::content::{BLOCK, block_size, bytes, encode, encoders, noise, with_threads};

const THREADS: [usize; 4] = [1, 2, 3, 64];

#[test]
fn threads_change_no_byte_at_any_length() {
    for options in encoders() {
        let block = block_size(options.codec);
        for length in [0, 1, 100, block - 1, block, block + 1, 3 * block + 77] {
            let content = bytes(length);
            let expected = encode(&content, &with_threads(&options, 1));
            check_blob(&expected, &content);
            for threads in THREADS {
                let options = with_threads(&options, threads);
                assert_eq!(encode(&content, &options), expected, "{length} {options:?}");
            }
        }
    }
}

fn check_blob((blob, encoded): &(Blob, Vec<u8>), content: &[u8]) {
    assert_eq!(blob.digest, Digest::sha256_of(encoded));
    assert_eq!(blob.size, encoded.len() as u64);
    assert_eq!(blob.diff_id, DiffId::sha256_of(content));
    assert_eq!(blob.uncompressed_size, content.len() as u64);
}

#[test]
fn threads_that_writers_share_change_no_byte() {
    let contents = [0, 100, BLOCK + 1, 9 * BLOCK].map(bytes);
    let threads = Threads::new(3.try_into().unwrap());
    std::thread::scope(|scope| {
        for content in &contents {
            let threads = &threads;
            scope.spawn(move || {
                for options in encoders().into_iter().take(4) {
                    let mut shared = with_threads(&options, 2);
                    shared.shared_threads = Some(threads.clone());
                    let expected = encode(content, &with_threads(&options, 1));
                    assert_eq!(encode(content, &shared), expected, "{options:?}");
                }
            });
        }
    });
}

#[test]
fn noise_grows_by_less_than_a_thousandth() {
    for length in [33_000, BLOCK, 2 * BLOCK + 40_000] {
        let content = noise(length);
        for options in encoders() {
            let one = encode(&content, &with_threads(&options, 1));
            check_blob(&one, &content);
            assert_eq!(one, encode(&content, &with_threads(&options, 3)));
            assert!(one.1.len() <= length + length / 1000 + 64, "{options:?}");
        }
    }
}

#[test]
fn more_blocks_than_the_pipeline_holds_come_in_order() {
    let content = bytes(23 * BLOCK + 5);
    for options in encoders().into_iter().take(4) {
        let one = encode(&content, &with_threads(&options, 1));
        let two = encode(&content, &with_threads(&options, 2));
        check_blob(&two, &content);
        assert_eq!(one.0, two.0);
    }
}

#[test]
fn uncompressed_bytes_pass_through_and_have_one_digest() {
    let content = bytes(BLOCK + 9);
    let (blob, encoded) = encode(&content, &EncodeOptions::new(Codec::None, Level::Default));
    assert!(encoded == content);
    assert_eq!(blob.digest.to_string(), blob.diff_id.to_string());
}

#[test]
fn an_empty_block_is_never_made() {
    for options in encoders() {
        let mut writer = BlobWriter::new(Vec::new(), &options).unwrap();
        writer.cut().unwrap();
        writer.write_all(b"content").unwrap();
        writer.cut().unwrap();
        writer.cut().unwrap();
        let cut = writer.finish().unwrap();
        assert_eq!(cut, encode(b"content", &options), "{options:?}");
    }
}

#[test]
fn a_cut_starts_a_block_that_is_the_same_wherever_it_stands() {
    let file = bytes(200_000);
    for options in encoders() {
        let encode_behind = |before: &[u8]| {
            let mut writer = BlobWriter::new(Vec::new(), &options).unwrap();
            writer.write_all(before).unwrap();
            writer.cut().unwrap();
            writer.write_all(&file).unwrap();
            writer.cut().unwrap();
            writer.finish().unwrap().1
        };
        let (one, two) = (encode_behind(b"x"), encode_behind(&bytes(3000)));
        // All but head and tail is the block, which is longer than 10,000 bytes in any encoding.
        let block = &one[one.len() - 10_000..one.len() - 100];
        assert!(
            two.windows(block.len()).any(|window| window == block),
            "{options:?}"
        );
    }
}

#[test]
fn recompressing_is_writing_with_plain_blocks() {
    let content = bytes(2 * BLOCK + 3);
    for options in encoders() {
        let recompressed = recompress(&mut &content[..], Vec::new(), &options).unwrap();
        assert_eq!(recompressed, encode(&content, &options));
    }
}

/// One call to a writer.
#[derive(Clone, Debug)]
enum Call {
    Cut,
    Spare(usize),
    Write(usize),
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        1 => Just(Call::Cut),
        3 => (0..400_000_usize).prop_map(Call::Spare),
        3 => (0..400_000_usize).prop_map(Call::Write),
        1 => (BLOCK..2 * BLOCK).prop_map(Call::Write),
    ]
}

fn perform(calls: &[Call], content: &[u8], options: &EncodeOptions) -> (Blob, Vec<u8>) {
    let mut writer = BlobWriter::new(Vec::new(), options).unwrap();
    let mut rest = content;
    for call in calls {
        match *call {
            Call::Cut => writer.cut().unwrap(),
            Call::Spare(length) => {
                let spare = writer.spare().unwrap();
                let length = length.min(spare.len());
                spare[..length].copy_from_slice(&rest[..length]);
                writer.advance(length);
                rest = &rest[length..];
            }
            Call::Write(length) => {
                writer.write_all(&rest[..length]).unwrap();
                rest = &rest[length..];
            }
        }
    }
    writer.finish().unwrap()
}

/// Joins the writes between two cuts.
fn without_chops(calls: &[Call], content: &[u8], options: &EncodeOptions) -> (Blob, Vec<u8>) {
    let mut writer = BlobWriter::new(Vec::new(), options).unwrap();
    let block = block_size(options.codec);
    let (mut start, mut end, mut filled) = (0, 0, 0);
    for call in calls {
        match *call {
            Call::Cut => {
                writer.write_all(&content[start..end]).unwrap();
                writer.cut().unwrap();
                (start, filled) = (end, 0);
            }
            Call::Spare(length) => {
                // What a full block has left is a whole new one.
                let length = length.min(block - filled % block);
                (end, filled) = (end + length, filled + length);
            }
            Call::Write(length) => (end, filled) = (end + length, filled + length),
        }
    }
    writer.write_all(&content[start..end]).unwrap();
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn how_writes_are_chopped_changes_no_byte(
        calls in prop::collection::vec(call(), 0..=6),
        encoder in any::<prop::sample::Index>(),
    ) {
        let content = bytes(6 * 2 * BLOCK);
        let encoders = encoders();
        let options = encoder.get(&encoders);
        let expected = without_chops(&calls, &content, &with_threads(options, 1));
        for threads in THREADS {
            let blob = perform(&calls, &content, &with_threads(options, threads));
            prop_assert!(blob == expected, "{threads} threads");
        }
    }
}
