//! The last bytes of a blob, which say where the TOC is.

/// How many bytes the footer has.
const SIZE: usize = 51;

/// Returns the footer of a blob whose TOC starts at `toc_offset`.
///
/// It is a gzip member without content. The offset stands in the extra field of its header, which decoders skip.
pub(super) fn footer(toc_offset: u64) -> [u8; SIZE] {
    // Deflate, an extra field, no time, no hint of the level, an unknown system; 26 bytes of extra field, all of them
    // the subfield `SG` with 22 bytes.
    const HEAD: [u8; 16] = [
        0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 26, 0, b'S', b'G', 22, 0,
    ];
    // A final stored block of 0 bytes; checksum and length of nothing.
    const TAIL: [u8; 13] = [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut footer = [0; SIZE];
    footer[..16].copy_from_slice(&HEAD);
    footer[16..38].copy_from_slice(format!("{toc_offset:016x}STARGZ").as_bytes());
    footer[38..].copy_from_slice(&TAIL);
    footer
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_footer_is_an_empty_member_with_the_offset_in_its_header() {
        let footer = footer(0x1234_abcd);
        let mut decoder = flate2::bufread::GzDecoder::new(&footer[..]);
        let mut content = Vec::new();
        decoder.read_to_end(&mut content).unwrap();
        assert_eq!(content, b"");
        let extra = decoder.header().and_then(flate2::GzHeader::extra).unwrap();
        assert_eq!(extra, b"SG\x16\x00000000001234abcdSTARGZ");
        assert!(decoder.into_inner().is_empty());
    }
}
