//! Contents with a fixed seed.

use std::ops::RangeInclusive;

/// A generator of numbers (SplitMix64): tiny, and the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Bytes that no codec makes smaller.
pub(in crate::bench) fn noise(seed: u64, size: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    fill(size, |content| {
        content.extend_from_slice(&numbers.next().to_le_bytes());
    })
}

/// Words and numbers, which compress to about a third.
pub(super) fn words(seed: u64, size: u64) -> Vec<u8> {
    let mut numbers = Numbers(!seed);
    fill(size, |content| {
        let number = numbers.next();
        // Few words are frequent, many are rare.
        let word = (number % 4096) * (number >> 12) % 4096 / (1 + (number >> 40) % 64);
        content.extend_from_slice(format!("{:x} ", word.wrapping_mul(0x9e37_79b9)).as_bytes());
    })
}

/// A size in a range, small ones more often.
pub(super) fn size(seed: u64, sizes: &RangeInclusive<u64>) -> u64 {
    let number = Numbers(seed).next();
    let span = (sizes.end() - sizes.start()) >> (number % 4);
    sizes.start() + (number >> 8) % (span + 1)
}

fn fill(size: u64, mut more: impl FnMut(&mut Vec<u8>)) -> Vec<u8> {
    let size = usize::try_from(size).expect("because generated files are a few MiB");
    let mut content = Vec::with_capacity(size + 16);
    while content.len() < size {
        more(&mut content);
    }
    content.truncate(size);
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_depend_on_the_seed_alone() {
        assert_eq!(noise(1, 100), noise(1, 100));
        assert_ne!(noise(1, 100), noise(2, 100));
        assert_eq!(words(1, 99).len(), 99);
        assert_ne!(words(1, 99), words(2, 99));
    }

    #[test]
    fn noise_stays_as_large_as_it_is_and_words_do_not() {
        let mut codec = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let mut compressed = |content: &[u8]| {
            let mut output = vec![0; codec.deflate_compress_bound(content.len())];
            codec.deflate_compress(content, &mut output).unwrap()
        };
        assert!(compressed(&noise(7, 1 << 16)) >= 1 << 16);
        let words = compressed(&words(7, 1 << 16));
        assert!((10_000..40_000).contains(&words), "{words}");
    }

    #[test]
    fn sizes_stay_in_their_range() {
        for seed in 0..1000 {
            assert!((10..=20).contains(&size(seed, &(10..=20))));
        }
    }
}
