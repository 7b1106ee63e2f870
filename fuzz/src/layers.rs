//! What imgtar, imglayer and imgstore read.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use imgcore::{Digest, Document};
use imglayer::encode::BlobWriter;
use imglayer::filesystem::{Contents, Entry, FileSystem, entries_of};
use imglayer::{Codec, EncodeOptions, Level, mtree};
use imgstore::archive::Image;
use imgstore::{LocalSourceExt, MAX_DOCUMENT};
use imgtar::{DecodeLimits, Decoder, END_OF_ARCHIVE, Header, Reader, padding};

/// Archives: every header that is read can be written, and is read the same again.
///
/// A layer that is read can also be applied, in time and memory that its size allows.
pub fn tar(bytes: &[u8]) {
    if let Ok(entries) = entries_of(bytes, Contents::Hash) {
        let mut files = FileSystem::default();
        let _ = files.apply(entries);
        let paths: Vec<_> = files.entries().map(|entry| entry.header.path).collect();
        assert!(paths.iter().all(|path| !path.starts_with(b"/")));
    }
    let mut reader = Reader::new(bytes);
    let mut before = 0;
    while let Ok(Some(mut entry)) = reader.next_entry() {
        assert!(entry.header_offset() >= before, "entries stand in a row");
        before = entry.content_offset();
        round_trip(entry.header());
        let size = entry.header().size;
        match io::copy(&mut entry, &mut io::sink()) {
            Ok(read) => assert_eq!(read, size),
            Err(_) => break,
        }
    }
}

/// PAX records without the trouble of a checksum around them.
pub fn pax(bytes: &[u8]) {
    let mut archive = Vec::new();
    let header = Header::file("records", bytes.len() as u64);
    header
        .encode(&mut archive)
        .expect("a plain header can be written");
    archive[156] = b'x';
    fix_checksum(&mut archive);
    archive.extend_from_slice(bytes);
    archive.resize(archive.len() + padding(bytes.len() as u64), 0);
    Header::file("entry", 0)
        .encode(&mut archive)
        .expect("a plain header can be written");
    archive.extend_from_slice(&END_OF_ARCHIVE);
    tar(&archive);
}

fn fix_checksum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block[..512].iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn round_trip(header: &Header) {
    let mut archive = Vec::new();
    // Some archives have what we never write, such as device numbers of 32 bits.
    if header.encode(&mut archive).is_ok() {
        let mut reader = Reader::new(archive.as_slice());
        let entry = reader.next_entry().expect("what was written is read");
        assert_eq!(entry.expect("one header was written").header(), header);
    }
}

/// Compressed streams: the size of the reads does not matter, limits hold.
pub fn decoder(bytes: &[u8]) {
    const MAX_OUTPUT: u64 = 1 << 20;
    let mut limits = DecodeLimits::default();
    limits.output = MAX_OUTPUT;
    let decode = |step: usize| {
        let mut decoder = Decoder::new(bytes, limits)?;
        let (mut out, mut buffer) = (Vec::new(), vec![0; step]);
        loop {
            match decoder.read(&mut buffer)? {
                0 => return Ok::<_, io::Error>(out),
                read => out.extend_from_slice(&buffer[..read]),
            }
        }
    };
    let (whole, parts) = (decode(64 << 10), decode(1000));
    match (whole, parts) {
        (Ok(whole), Ok(parts)) => {
            assert_eq!(whole, parts);
            assert!(whole.len() as u64 <= MAX_OUTPUT);
        }
        (Err(_), Err(_)) => {}
        (whole, parts) => panic!(
            "reads of one size fail: {} {}",
            whole.is_ok(),
            parts.is_ok()
        ),
    }
}

/// The scanner that stitches deflate streams into one member: any bytes, cut anywhere, come back
/// from a reader that stops at the first member.
pub fn gzip_stitch(bytes: &[u8]) {
    let levels = [Level::Fast, Level::Default, Level::Best];
    let level = levels[bytes.first().map_or(0, |&byte| usize::from(byte) % 3)];
    let mut options = EncodeOptions::new(Codec::Gzip, level);
    options.threads = NonZeroUsize::MIN;
    let mut writer = BlobWriter::new(Vec::new(), &options).expect("the options are fine");
    for part in bytes.split(|&byte| byte == b'|') {
        writer.write_all(part).expect("memory takes all bytes");
        writer.cut().expect("memory takes all bytes");
    }
    let (blob, out) = writer.finish().expect("memory takes all bytes");
    assert_eq!(blob.size, out.len() as u64);
    let mut read = Vec::new();
    let mut single = flate2::read::GzDecoder::new(out.as_slice());
    single
        .read_to_end(&mut read)
        .expect("one member is proper gzip");
    let expected: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != b'|').collect();
    assert_eq!(read, expected);
}

/// Archives of images: OCI layouts and what `docker save` writes.
pub fn archive(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("the host has temporary files");
    file.write_all(bytes).expect("the host has temporary files");
    let Ok(image) = Image::open(file.path()) else {
        return;
    };
    for descriptor in image.index().descriptors() {
        let Ok(document) = image.read_all_blocking(descriptor, MAX_DOCUMENT) else {
            continue;
        };
        assert_eq!(Digest::sha256_of(&document), descriptor.digest);
        let Ok(Document::Manifest(manifest)) = Document::classify(&document, None) else {
            continue;
        };
        for layer in &manifest.layers {
            if let Ok(mut reader) = image.open_blocking(layer) {
                let _ = io::copy(&mut reader, &mut io::sink());
            }
        }
    }
}

/// Listings in the form of `mtree`: what was read can be written, and is read the same again.
pub fn mtree(bytes: &[u8]) {
    let Ok(entries) = mtree::parse(bytes) else {
        return;
    };
    let keywords = "type,size,mode,uid,gid,uname,gname,time,link,nlink,xattr,sha256";
    let keywords = keywords.parse().expect("these are keywords");
    let written = |entries: &[Entry]| {
        let mut text = Vec::new();
        mtree::write(entries, "./", &keywords, &mut text).expect("memory takes all bytes");
        text
    };
    let text = written(&entries);
    let again = mtree::parse(&text).expect("what was written is read");
    assert_eq!(written(&again), text);
}
