//! Readers of others read what is written here, whole.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use imglayer::encode::{BlobWriter, Codec, EncodeOptions, GzipMembers};

use crate::content::{BLOCK, bytes, encoders, noise as stored};

/// Contents of several blocks and kinds, with cuts at their pieces' ends.
fn contents() -> Vec<Vec<Vec<u8>>> {
    let mut noise = bytes(300_000);
    noise.iter_mut().enumerate().for_each(|(place, byte)| {
        *byte ^= place.wrapping_mul(2_654_435_761).to_le_bytes()[3];
    });
    vec![
        vec![],
        vec![b"a".to_vec()],
        vec![vec![0; BLOCK + 1]],
        vec![
            bytes(BLOCK - 1),
            bytes(1),
            noise.clone(),
            vec![0; 5],
            bytes(2 * BLOCK),
        ],
        (1..80).map(bytes).collect(),
        vec![noise.repeat(4)],
        vec![
            stored(2 * BLOCK + 70_000),
            bytes(1000),
            stored(40_000),
            stored(BLOCK),
        ],
    ]
}

fn encode(pieces: &[Vec<u8>], options: &EncodeOptions) -> Vec<u8> {
    let mut writer = BlobWriter::new(Vec::new(), options).unwrap();
    for piece in pieces {
        writer.write_all(piece).unwrap();
        writer.cut().unwrap();
    }
    writer.finish().unwrap().1
}

fn check(codec: Codec, members: Option<GzipMembers>, read: impl Fn(&[u8]) -> Vec<u8>) {
    for options in encoders() {
        if options.codec != codec || members.is_some_and(|members| members != options.gzip_members)
        {
            continue;
        }
        for pieces in contents() {
            let content = pieces.concat();
            let result = read(&encode(&pieces, &options));
            assert!(result == content, "{options:?}, {} bytes", content.len());
        }
    }
}

#[test]
fn flate2_reads_a_single_member_to_its_last_byte() {
    check(Codec::Gzip, Some(GzipMembers::Single), |mut encoded| {
        let mut content = Vec::new();
        flate2::bufread::GzDecoder::new(&mut encoded)
            .read_to_end(&mut content)
            .unwrap();
        assert_eq!(encoded, b"", "bytes after the only member");
        content
    });
}

#[test]
fn flate2_reads_all_members() {
    check(Codec::Gzip, None, |encoded| {
        let mut content = Vec::new();
        flate2::read::MultiGzDecoder::new(encoded)
            .read_to_end(&mut content)
            .unwrap();
        content
    });
}

#[test]
fn our_own_decoder_reads_every_encoding() {
    for codec in [Codec::Gzip, Codec::None, Codec::Zstd] {
        check(codec, None, |encoded| {
            let mut content = Vec::new();
            let limits = imgtar::DecodeLimits::default();
            imgtar::Decoder::with_codec(encoded, codec, limits)
                .unwrap()
                .read_to_end(&mut content)
                .unwrap();
            content
        });
    }
}

#[test]
fn zstd_frames_tell_the_size_of_their_content() {
    for options in encoders()
        .iter()
        .filter(|options| options.codec == Codec::Zstd)
    {
        let encoded = encode(&[bytes(BLOCK), bytes(77)], options);
        let size = |frame: &[u8]| zstd::zstd_safe::get_frame_content_size(frame).unwrap();
        let first = zstd::zstd_safe::find_frame_compressed_size(&encoded).unwrap();
        assert_eq!(size(&encoded), Some(BLOCK as u64));
        assert_eq!(size(&encoded[first..]), Some(77));
    }
}

#[test]
fn gzip_headers_tell_no_time_name_or_system() {
    for options in encoders()
        .iter()
        .filter(|options| options.codec == Codec::Gzip)
    {
        let encoded = encode(&[], options);
        assert_eq!(encoded[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }
}

#[test]
fn gzip_and_zstd_programs_read_every_encoding() {
    check_program(Codec::Gzip, None, "gzip", &["-dc"]);
    check_program(Codec::Zstd, None, "zstd", &["-dcq"]);
}

/// Python's zlib ends at the end of the first member and tells what is left over.
#[test]
fn zlib_reads_a_single_member_to_its_last_byte() {
    const SCRIPT: &str = "\
import sys, zlib
reader = zlib.decompressobj(31)
content = reader.decompress(sys.stdin.buffer.read())
assert reader.eof and not reader.unused_data
sys.stdout.buffer.write(content)
";
    let members = Some(GzipMembers::Single);
    check_program(Codec::Gzip, members, "python3", &["-c", SCRIPT]);
}

/// Pipes every encoding through a program.
fn check_program(codec: Codec, members: Option<GzipMembers>, name: &str, arguments: &[&str]) {
    let Some(program) = imgtest::oracle::tool(name) else {
        return;
    };
    check(codec, members, |encoded| {
        let mut child = Command::new(&program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(encoded));
            child.wait_with_output().unwrap()
        });
        assert!(output.status.success(), "{name} refuses a blob");
        output.stdout
    });
}
