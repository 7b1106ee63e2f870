//! Inflates bit by bit, and says where the blocks are: slow, and written for itself, so that it can judge.

/// What a stream holds.
#[derive(Debug)]
pub(super) struct Inflated {
    pub(super) content: Vec<u8>,
    /// The position of the last block's header, in bits.
    pub(super) last_header: u64,
    /// The position after the last block, in bits.
    pub(super) end: u64,
}

/// Inflates the stream at the start of `stream`; `None` when it is not valid.
pub(super) fn inflate(stream: &[u8]) -> Option<Inflated> {
    let mut bits = Bits {
        stream,
        position: 0,
    };
    let mut content = Vec::new();
    loop {
        let last_header = bits.position;
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, &mut content)?,
            1 => {
                let lengths = [[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat();
                symbols(
                    &mut bits,
                    &mut content,
                    &Code::new(&lengths)?,
                    &Code::new(&[5; 32])?,
                )?;
            }
            2 => {
                let (literals, distances) = codes(&mut bits)?;
                symbols(&mut bits, &mut content, &literals, &distances)?;
            }
            _ => return None,
        }
        if is_last {
            let end = bits.position;
            return Some(Inflated {
                content,
                last_header,
                end,
            });
        }
    }
}

struct Bits<'a> {
    stream: &'a [u8],
    position: u64,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<usize> {
        let mut value = 0;
        for place in 0..count {
            let byte = self.stream.get(usize::try_from(self.position / 8).ok()?)?;
            value |= usize::from(byte >> (self.position % 8) & 1) << place;
            self.position += 1;
        }
        Some(value)
    }
}

/// The words of a code by length, each with its symbol.
struct Code(Vec<Vec<(usize, usize)>>);

impl Code {
    fn new(lengths: &[usize]) -> Option<Self> {
        let mut words = vec![Vec::new(); 16];
        let (mut word, mut room) = (0, 1 << 15);
        for (length, words) in words.iter_mut().enumerate().skip(1) {
            word <<= 1;
            for (symbol, _) in lengths
                .iter()
                .enumerate()
                .filter(|&(_, &each)| each == length)
            {
                words.push((word, symbol));
                word += 1;
                room -= 1 << (15 - length);
            }
        }
        let only_one_bit = words[2..].iter().all(Vec::is_empty);
        (room == 0 || room > 0 && only_one_bit).then_some(Self(words))
    }

    fn take(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let mut word = 0;
        for words in &self.0[1..] {
            word = word << 1 | bits.take(1)?;
            if let Ok(place) = words.binary_search_by_key(&word, |&(word, _)| word) {
                return Some(words[place].1);
            }
        }
        None
    }
}

fn stored(bits: &mut Bits<'_>, content: &mut Vec<u8>) -> Option<()> {
    bits.position = bits.position.next_multiple_of(8);
    let (length, check) = (bits.take(16)?, bits.take(16)?);
    (length ^ check == 0xffff).then_some(())?;
    for _ in 0..length {
        content.push(bits.take(8)? as u8);
    }
    Some(())
}

fn codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    let (literals, distances) = (bits.take(5)? + 257, bits.take(5)? + 1);
    (literals <= 286 && distances <= 30).then_some(())?;
    let mut of_lengths = [0; 19];
    let order = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    for symbol in order.into_iter().take(bits.take(4)? + 4) {
        of_lengths[symbol] = bits.take(3)?;
    }
    let full: usize = of_lengths
        .iter()
        .map(|&length| if length == 0 { 0 } else { 128 >> length })
        .sum();
    (full == 128).then_some(())?;
    let of_lengths = Code::new(&of_lengths)?;
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (value, times) = match of_lengths.take(bits)? {
            16 => (*lengths.last()?, bits.take(2)? + 3),
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            value => (value, 1),
        };
        lengths.extend(std::iter::repeat_n(value, times));
    }
    (lengths.len() == literals + distances && lengths[256] != 0).then_some(())?;
    Some((
        Code::new(&lengths[..literals])?,
        Code::new(&lengths[literals..])?,
    ))
}

fn symbols(
    bits: &mut Bits<'_>,
    content: &mut Vec<u8>,
    literals: &Code,
    distances: &Code,
) -> Option<()> {
    loop {
        let symbol = literals.take(bits)?;
        let length = match symbol {
            0..=255 => {
                content.push(symbol as u8);
                continue;
            }
            256 => return Some(()),
            257..=264 => symbol - 254,
            265..=284 => {
                let extra = (symbol - 261) / 4;
                ((4 + (symbol - 265) % 4) << extra) + 3 + bits.take(extra as u32)?
            }
            285 => 258,
            _ => return None,
        };
        let distance = match distances.take(bits)? {
            symbol @ 0..=3 => symbol + 1,
            symbol @ 4..=29 => {
                let extra = symbol / 2 - 1;
                ((2 + symbol % 2) << extra) + 1 + bits.take(extra as u32)?
            }
            _ => return None,
        };
        let start = content.len().checked_sub(distance)?;
        for place in start..start + length {
            content.push(content[place]);
        }
    }
}
