//! Outputs and inputs that fail: an error soon, and never a wait.

use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use imglayer::ErrorKind;
use imglayer::encode::{BlobWriter, EncodeOptions, recompress};

use crate::content::{BLOCK, bytes, encoders, with_threads};

/// Takes so many bytes, then fails.
#[derive(Debug)]
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let count = bytes.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fails the test instead of waiting for ever.
fn within_a_minute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(work());
    });
    receiver
        .recv_timeout(Duration::from_secs(60))
        .expect("the work ends")
}

#[test]
fn an_output_that_fails_is_an_error_wherever_it_fails() {
    for options in encoders().into_iter().take(4) {
        for threads in [1, 2, 5] {
            for room in [0, 1, 10, 11, 1000, 150_000, 400_000] {
                let options = with_threads(&options, threads);
                let block = bytes(BLOCK);
                let error = within_a_minute(move || {
                    let mut writer = BlobWriter::new(Full(room), &options).unwrap();
                    let result = (0..12).try_for_each(|_| writer.write_all(&block));
                    result.and_then(|()| writer.finish()).map(drop).unwrap_err()
                });
                assert_eq!(error.kind(), ErrorKind::Io);
                insta::allow_duplicates! { insta::assert_snapshot!(error, @"write a layer blob"); }
                assert!(std::error::Error::source(&error).is_some());
            }
        }
    }
}

#[test]
fn an_output_that_failed_stops_a_writer_long_before_its_end() {
    for threads in [1, 2] {
        let options = with_threads(&EncodeOptions::default(), threads);
        let blocks = within_a_minute(move || {
            let mut writer = BlobWriter::new(Full(0), &options).unwrap();
            let block = bytes(BLOCK);
            (0..1000).find(|_| writer.write_all(&block).is_err())
        });
        assert!(blocks.unwrap() <= threads + 7, "{blocks:?}");
    }
}

#[test]
fn a_writer_that_failed_refuses_everything() {
    let options = with_threads(&EncodeOptions::default(), 1);
    let mut writer = BlobWriter::new(Full(0), &options).unwrap();
    writer.write_all(b"a").unwrap();
    assert_eq!(writer.cut().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(
        writer.write_all(b"a").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(writer.spare().unwrap_err().kind(), ErrorKind::InvalidInput);
    let error = writer.finish().unwrap_err();
    insta::assert_snapshot!(error, @"a blob writer was used after it had failed");
}

#[test]
fn a_writer_that_is_dropped_stops() {
    within_a_minute(|| {
        let content = bytes(9 * BLOCK);
        for options in encoders() {
            for blocks in [0, 1, 2, 9] {
                let options = with_threads(&options, 3);
                let mut writer = BlobWriter::new(Vec::new(), &options).unwrap();
                writer.write_all(&content[..blocks * BLOCK]).unwrap();
                drop(writer);
            }
        }
    });
}

#[test]
#[should_panic(expected = "more than the block has left")]
fn advancing_beyond_the_spare_space_panics() {
    let mut writer = BlobWriter::new(Vec::new(), &EncodeOptions::default()).unwrap();
    let room = writer.spare().unwrap().len();
    writer.advance(room + 1);
}

/// Is interrupted once, gives some bytes, then fails.
struct Broken(u32);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0 += 1;
        match self.0 {
            1 => Err(io::ErrorKind::Interrupted.into()),
            2 => Ok(buffer.len()),
            _ => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
}

#[test]
fn an_input_that_fails_is_an_error() {
    let error = recompress(&mut Broken(0), Vec::new(), &EncodeOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    insta::assert_snapshot!(error, @"read a layer");
}
