//! A layer in the blocks that are encoded by themselves.

use std::io::{self, BufReader, Read as _};
use std::path::Path;

use fs_err as fs;

use super::value;
use crate::run::Result;

/// Files from this size on begin and end a block.
const OWN_BLOCKS: u64 = 128 << 10;

/// Where blocks end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    block: usize,
    /// Every file begins a block, header and all.
    each_file: bool,
}

impl Rule {
    pub(super) fn of(identity: &str, each_file: bool) -> Self {
        let block = value(identity, "block").and_then(|block| usize::try_from(block).ok());
        Self {
            block: block.unwrap_or(1 << 20),
            each_file,
        }
    }
}

/// Reads the blocks of a tar one after the other.
pub(super) struct Blocks<R> {
    tar: R,
    rule: Rule,
    block: Vec<u8>,
    /// Bytes of a content and its padding that are still to come.
    rest: u64,
    /// Whether a block ends behind them.
    ends: bool,
    /// A header that is read, and begins the next block.
    header: Option<[u8; 512]>,
}

impl Blocks<BufReader<fs::File>> {
    pub(super) fn open(tar: &Path, rule: Rule) -> Result<Self> {
        let file = fs::File::open(tar).map_err(|error| error.to_string())?;
        Ok(Self::new(BufReader::with_capacity(1 << 20, file), rule))
    }
}

impl<R: io::Read> Blocks<R> {
    fn new(tar: R, rule: Rule) -> Self {
        Self {
            tar,
            rule,
            block: Vec::with_capacity(rule.block),
            rest: 0,
            ends: false,
            header: None,
        }
    }

    /// Returns the next block; `None` behind the last one.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.block.clear();
        while self.block.len() < self.rule.block {
            if self.rest > 0 {
                self.fill()?;
                if self.rest == 0 && self.ends {
                    break;
                }
            } else if !self.next_header()? {
                break;
            }
        }
        Ok((!self.block.is_empty()).then_some(&self.block))
    }

    /// Takes as much of a content as there is room for.
    fn fill(&mut self) -> io::Result<()> {
        let room = (self.rule.block - self.block.len()) as u64;
        let taken = (&mut self.tar)
            .take(room.min(self.rest))
            .read_to_end(&mut self.block)? as u64;
        if taken == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.rest -= taken;
        Ok(())
    }

    /// Takes a header into the block. Returns whether the block goes on behind it.
    fn next_header(&mut self) -> io::Result<bool> {
        let header = if let Some(header) = self.header.take() {
            header
        } else {
            let mut header = [0; 512];
            if let Err(error) = self.tar.read_exact(&mut header) {
                let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
                return if is_end { Ok(false) } else { Err(error) };
            }
            // Extended headers belong to the file behind them, and it begins with the first of them.
            if self.rule.each_file && !self.block.is_empty() && matches!(header[156], b'0' | b'x') {
                self.header = Some(header);
                return Ok(false);
            }
            header
        };
        self.block.extend_from_slice(&header);
        let size = size(&header);
        self.rest = size.next_multiple_of(512);
        let is_large = header[156] == b'0' && size >= OWN_BLOCKS;
        self.ends = is_large && !self.rule.each_file;
        Ok(!self.ends)
    }
}

/// The size of the content behind a header.
fn size(header: &[u8; 512]) -> u64 {
    let digits = header[124..136].iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |size, digit| size * 8 + u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use imgtar::{END_OF_ARCHIVE, Header, padding};

    use super::*;

    fn check(sizes: &[u64], rule: Rule, expected: &[usize]) {
        let mut tar = Vec::new();
        for size in sizes {
            Header::file("name", *size).encode(&mut tar).unwrap();
            tar.resize(
                tar.len() + usize::try_from(*size).unwrap() + padding(*size),
                7,
            );
        }
        tar.extend_from_slice(&END_OF_ARCHIVE);
        let mut blocks = Blocks::new(tar.as_slice(), rule);
        let mut seen = Vec::new();
        let mut all = Vec::new();
        while let Some(block) = blocks.next().unwrap() {
            seen.push(block.len());
            all.extend_from_slice(block);
        }
        assert_eq!(seen, expected, "{sizes:?}");
        assert!(all == tar, "the blocks are the tar");
    }

    #[test]
    fn small_files_share_a_block_and_large_ones_have_theirs() {
        let rule = Rule::of("gzip block=262144", false);
        let large = usize::try_from(OWN_BLOCKS).unwrap();
        check(&[5, 600], rule, &[512 + 512 + 512 + 1024 + 1024]);
        check(&[5, OWN_BLOCKS, 5], rule, &[512 * 3, large, 512 * 2 + 1024]);
        check(&[3 * OWN_BLOCKS], rule, &[512, 2 * large, large, 1024]);
    }

    #[test]
    fn every_file_has_its_block_where_the_rule_says_so() {
        let rule = Rule::of("gzip block=262144", true);
        check(&[5, 600], rule, &[1024, 512 + 1024 + 1024]);
    }
}
