//! Moving bytes from a reader to a writer.

use std::io::{self, Read, Write};

/// Large enough that hashing, and not the calls in between, decides how fast it goes.
const BUFFER: usize = 256 * 1024;

/// Copies everything, and returns how many bytes that was.
pub(crate) fn transfer(reader: &mut dyn Read, writer: &mut dyn Write) -> io::Result<u64> {
    for_each_chunk(reader, |chunk| writer.write_all(chunk))
}

/// Hands over everything in chunks, and returns how many bytes that was.
pub(crate) fn for_each_chunk(
    reader: &mut dyn Read,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                each(&buffer[..count])?;
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
