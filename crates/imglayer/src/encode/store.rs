//! Whether a piece can be made smaller at all, told from samples: what cannot is stored as it is.
//!
//! Searching noise for repetitions takes a codec longer than anything else, and gains nothing. A piece is stored when
//! neither its single bytes nor repetitions promise about one per cent, by integers alone, so that every host decides
//! alike. The rule is part of the encoder's identity.

/// The version of the rule.
pub(super) const STORE_RULE: u32 = 1;

/// Pieces that are shorter are always encoded: they take no time, and samples of them would tell little.
const SHORTEST: usize = WINDOWS * WINDOW_SIZE;

/// How many stretches of a piece are looked at, evenly spread.
const WINDOWS: usize = 64;

/// How long they are.
const WINDOW_SIZE: usize = 512;

/// Noise has some 511 pairs of equal bytes in a window, hardly ever 600. With more than this, the window alone can lose
/// a tenth of its length.
const MOST_PAIRS_IN_WINDOW: u32 = 850;

/// How many pairs of equal bytes all windows may have beyond those of noise, in hundredths. Six of them are what saves
/// half a per cent of the length.
const MOST_PERCENT_OF_PAIRS: u64 = 106;

/// Every so many bytes, a word is remembered to find repetitions by.
const WORD_DISTANCE: usize = 32;

/// How many bytes a word has.
const WORD_SIZE: usize = 8;

/// How many remembered words may be found again in the windows: each stands for a repetition of about
/// [`WORD_DISTANCE`] bytes, so this many stand for one and a half per cent.
const MOST_REPETITIONS: usize = 16;

/// Places of remembered words, by their hash.
const PLACES: usize = 1 << 15;

/// Decides which pieces are stored; kept for its memory.
pub(super) struct Probe {
    /// Empty until the first piece that is not told by its bytes.
    places: Vec<u32>,
}

impl Probe {
    pub(super) fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// Whether to store a piece; depends on nothing else.
    pub(super) fn should_store(&mut self, input: &[u8]) -> bool {
        input.len() >= SHORTEST && bytes_are_even(input) && !self.has_repetitions(input)
    }

    /// Whether words of the piece stand in it again, wherever that is.
    fn has_repetitions(&mut self, input: &[u8]) -> bool {
        self.places.clear();
        self.places.resize(PLACES, 0);
        let last = input.len() - WORD_SIZE;
        for place in (0..=last).step_by(WORD_DISTANCE) {
            // A piece is far shorter than 4 GiB.
            self.places[slot(word(input, place))] = u32::try_from(place).unwrap_or(0);
        }
        let mut repetitions = 0;
        for start in window_starts(input) {
            for place in start..(start + WINDOW_SIZE).min(last) {
                let word_here = word(input, place);
                let other = self.places[slot(word_here)] as usize;
                if other != place && word(input, other) == word_here {
                    repetitions += 1;
                }
            }
        }
        repetitions > MOST_REPETITIONS
    }
}

/// Whether all bytes are about as frequent, in every window and in all of them together.
fn bytes_are_even(input: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for start in window_starts(input) {
        let mut window_counts = [0_u32; 256];
        let mut pairs = 0;
        for &byte in &input[start..start + WINDOW_SIZE] {
            let count = &mut window_counts[usize::from(byte)];
            pairs += *count;
            *count += 1;
        }
        // Most pieces are told by their first window.
        if pairs > MOST_PAIRS_IN_WINDOW {
            return false;
        }
        (counts.iter_mut().zip(window_counts)).for_each(|(all, one)| *all += one);
    }
    let total = (WINDOWS * WINDOW_SIZE) as u64;
    let pairs_twice: u64 = (counts.iter().map(|&count| u64::from(count)))
        .map(|count| count * count.saturating_sub(1))
        .sum();
    pairs_twice * 256 * 100 <= total * (total - 1) * MOST_PERCENT_OF_PAIRS
}

fn window_starts(input: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let room = input.len() - WINDOW_SIZE;
    (0..WINDOWS).map(move |number| room * number / (WINDOWS - 1))
}

fn word(input: &[u8], place: usize) -> u64 {
    (input[place..].first_chunk::<WORD_SIZE>()).map_or(0, |word| u64::from_le_bytes(*word))
}

fn slot(word: u64) -> usize {
    let [.., low, high] = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    usize::from(u16::from_le_bytes([low, high])) % PLACES
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const BLOCK: usize = 1 << 20;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x0123_4567_89ab_cdef_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24).to_le_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    fn text(length: usize) -> Vec<u8> {
        let words = noise(length / 4);
        let mut text = Vec::new();
        for word in words {
            text.extend_from_slice(
                ["the ", "layer ", "of ", "an image "][usize::from(word % 4)].as_bytes(),
            );
            text.push(b'a' + word % 26);
        }
        text.truncate(length);
        text
    }

    fn base64(length: usize) -> Vec<u8> {
        (noise(length).iter())
            .map(|byte| b'0' + byte % 64)
            .collect()
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// What compresses well, but not by whole words.
    fn mixed(length: usize) -> Vec<u8> {
        let (noise, text) = (noise(length), text(length));
        let pick = |(number, (&noise, &text)): (usize, (&u8, &u8))| {
            if number % 3 == 0 { noise } else { text }
        };
        noise.iter().zip(&text).enumerate().map(pick).collect()
    }

    fn check(name: &str, input: &[u8], expected: bool) {
        let mut probe = Probe::new();
        assert_eq!(probe.should_store(input), expected, "{name}");
        probe.should_store(&noise(BLOCK));
        assert_eq!(probe.should_store(input), expected, "{name}, again");
    }

    #[test]
    fn what_cannot_be_made_smaller_is_stored() {
        check("noise", &noise(BLOCK), true);
        check("short noise", &noise(SHORTEST), true);
        let compressed = gzip(&mixed(3 * BLOCK));
        assert!(compressed.len() > BLOCK);
        check("gzip", &compressed[..BLOCK], true);
        check("short gzip", &gzip(&mixed(90_000)), true);
        let compressed = zstd::bulk::compress(&mixed(3 * BLOCK), 3).unwrap();
        check("zstd", &compressed[1000..BLOCK], true);
        let mut image = noise(BLOCK);
        // As the chunks of a PNG: a few equal bytes every 8 KiB.
        for chunk in image.chunks_mut(8192) {
            chunk[..12].copy_from_slice(b"\0\0\x20\0IDATabcd");
        }
        check("picture", &image, true);
    }

    #[test]
    fn what_can_be_made_smaller_is_encoded() {
        check("nothing", &[], false);
        check("too short", &noise(SHORTEST - 1), false);
        check("zeros", &vec![0; BLOCK], false);
        check("text", &text(BLOCK), false);
        check("mixed", &mixed(BLOCK), false);
        check("base64", &base64(BLOCK), false);
        check(
            "program",
            &fs_err::read(std::env::current_exe().unwrap()).unwrap()[..BLOCK],
            false,
        );
        check(
            "text after noise",
            &[noise(BLOCK * 9 / 10), text(BLOCK / 10)].concat(),
            false,
        );
        check(
            "noise after text",
            &[text(BLOCK / 20), noise(BLOCK)].concat()[..BLOCK],
            false,
        );
        check(
            "sparse noise",
            &[noise(BLOCK / 2), vec![0; BLOCK / 2]].concat(),
            false,
        );
        check(
            "noise that comes again soon",
            &noise(20_000).repeat(52),
            false,
        );
        check(
            "noise that comes again late",
            &noise(BLOCK / 2).repeat(2),
            false,
        );
    }
}
