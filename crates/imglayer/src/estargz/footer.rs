//! The last bytes of a blob, which say where the TOC is.

/// How many bytes the footer of an eStargz blob has.
pub const FOOTER_SIZE: usize = 51;

/// Where the subfield with the offset begins, in the header of the footer.
const SUBFIELD: usize = 12;

/// Returns where the TOC of a blob starts, if the blob ends with these bytes and they are the footer of eStargz.
///
/// # Examples
///
/// ```
/// use imglayer::estargz::{EstargzOptions, FOOTER_SIZE, toc_offset};
/// use imglayer::{EncodeOptions, LayerFormat, PlanBuilder, PlanOptions, write_layer_as};
///
/// let plan = PlanBuilder::new(PlanOptions::default()).finish()?;
/// let format = LayerFormat::Estargz(EstargzOptions::default());
/// let (_, blob) = write_layer_as(&plan, &format, &EncodeOptions::default(), Vec::new())?;
/// let end = &blob[blob.len() - FOOTER_SIZE..];
/// assert!(toc_offset(end).is_some_and(|offset| offset < blob.len() as u64));
/// assert_eq!(toc_offset(b"anything else"), None);
/// # Ok::<(), imglayer::Error>(())
/// ```
pub fn toc_offset(end: &[u8]) -> Option<u64> {
    let footer: &[u8; FOOTER_SIZE] = end.last_chunk()?;
    let subfield = footer[SUBFIELD..].strip_prefix(b"SG\x16\x00")?;
    let (digits, rest) = subfield.split_first_chunk::<16>()?;
    let is_footer = footer.starts_with(&[0x1f, 0x8b]) && rest.starts_with(b"STARGZ");
    // A number may have a sign in front of it, which these digits have not.
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|it| !it.starts_with('+'))?;
    is_footer.then(|| u64::from_str_radix(digits, 16).ok())?
}

/// Returns the footer of a blob whose TOC starts at `toc_offset`.
///
/// It is a gzip member without content. The offset stands in the extra field of its header, which decoders skip.
pub(super) fn footer(toc_offset: u64) -> [u8; FOOTER_SIZE] {
    // Deflate, an extra field, no time, no hint of the level, an unknown system; 26 bytes of extra field, all of them
    // the subfield `SG` with 22 bytes.
    const HEAD: [u8; 16] = [
        0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 26, 0, b'S', b'G', 22, 0,
    ];
    // A final stored block of 0 bytes; checksum and length of nothing.
    const TAIL: [u8; 13] = [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut footer = [0; FOOTER_SIZE];
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

    #[test]
    fn the_offset_is_read_back_from_the_end_of_a_blob() {
        for offset in [0, 1, 0x1234_abcd, u64::MAX] {
            let blob = [b"blob".as_slice(), &footer(offset)].concat();
            assert_eq!(toc_offset(&blob), Some(offset));
        }
        let good = footer(7);
        assert_eq!(toc_offset(&good[1..]), None);
        for place in [0, SUBFIELD, 16, 32] {
            let mut bad = good;
            bad[place] = b'+';
            assert_eq!(toc_offset(&bad), None, "{place}");
        }
    }
}
