//! Files that change, and files that are too large to hold.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imglayer::{Codec, Content, EncodeOptions, Error, ErrorKind, ImportOptions, Plan, write_layer};

use crate::support::{Disk, builder, failure, list, path, write};

/// Content that says that it has `size` bytes and has `real` ones.
#[derive(Debug)]
struct Zeros {
    size: u64,
    real: u64,
}

impl Content for Zeros {
    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(io::repeat(0).take(self.real)))
    }
}

/// Plans a file, lets `change` do something to it, and returns why it cannot be written.
fn refusal(change: impl FnOnce(&std::path::Path)) -> Result<String, Error> {
    let disk = Disk::new();
    let file = disk.write("file", "0123456789");
    let mut builder = builder();
    builder.file(path("a/b"), &file)?;
    let plan = builder.finish()?;
    change(&file);
    let error = failure(&plan);
    let text = crate::errors::chain(&error);
    let what = error.kind();
    Ok(format!(
        "{what:?}: {}",
        text.replace(&disk.root().display().to_string(), "DISK")
    ))
}

#[test]
fn a_file_that_is_no_longer_what_was_planned_is_an_error_that_names_it() -> Result<(), Error> {
    let append = |text: &'static str| {
        move |file: &std::path::Path| {
            let mut file = fs_err::OpenOptions::new().append(true).open(file).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
    };
    insta::assert_snapshot!(refusal(append("more"))?, @"Changed: file DISK/file, for a/b, changed while the layer was made: it has 14 bytes instead of 10");
    let shorten = |file: &std::path::Path| fs_err::write(file, "012").unwrap();
    insta::assert_snapshot!(refusal(shorten)?, @"Changed: file DISK/file, for a/b, changed while the layer was made: it has 3 bytes instead of 10");
    let touch = |file: &std::path::Path| {
        let file = fs_err::OpenOptions::new().append(true).open(file).unwrap();
        file.file()
            .set_modified(SystemTime::now() + Duration::from_secs(60))
            .unwrap();
    };
    insta::assert_snapshot!(refusal(touch)?, @"Changed: file DISK/file, for a/b, changed while the layer was made: it was written to");
    let remove = |file: &std::path::Path| fs_err::remove_file(file).unwrap();
    insta::assert_snapshot!(refusal(remove)?, @"NotFound: content of a/b: failed to open file `DISK/file`: No such file or directory (os error 2)");
    Ok(())
}

#[test]
fn a_file_that_was_empty_and_is_no_more_is_an_error() -> Result<(), Error> {
    let disk = Disk::with(&[("file", "")]);
    let mut builder = builder();
    builder.file(path("a"), disk.path("file"))?;
    let plan = builder.finish()?;
    disk.write("file", "content");
    assert_eq!(failure(&plan).kind(), ErrorKind::Changed);
    Ok(())
}

/// An output that does something to a file as soon as the first block of a layer is written.
struct Meddler<'a> {
    file: &'a std::path::Path,
    meddle: Option<fn(&std::path::Path)>,
}

impl Write for Meddler<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(meddle) = self.meddle.take() {
            meddle(self.file);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() -> Result<(), Error> {
    const SIZE: usize = 5 << 20;
    let outcome = |meddle: fn(&std::path::Path)| {
        let disk = Disk::new();
        let file = disk.write("file", vec![0; SIZE]);
        let mut builder = builder();
        builder.file(path("a"), &file)?;
        let plan = builder.finish()?;
        let mut options = EncodeOptions::default();
        options.codec = Codec::None;
        let out = Meddler {
            file: &file,
            meddle: Some(meddle),
        };
        let error = write_layer(&plan, &options, out).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Changed);
        Ok::<_, Error>(
            error
                .to_string()
                .replace(&disk.root().display().to_string(), "DISK"),
        )
    };
    let cut = |file: &std::path::Path| {
        fs_err::OpenOptions::new()
            .write(true)
            .open(file)
            .unwrap()
            .set_len(2 << 20)
            .unwrap();
    };
    insta::assert_snapshot!(outcome(cut)?, @"file DISK/file, for a, changed while the layer was made: it ends early");
    let grow = |file: &std::path::Path| {
        fs_err::OpenOptions::new()
            .write(true)
            .open(file)
            .unwrap()
            .set_len(6 << 20)
            .unwrap();
    };
    insta::assert_snapshot!(outcome(grow)?, @"file DISK/file, for a, changed while the layer was made: it goes on after the planned end");
    Ok(())
}

#[test]
fn content_that_has_not_its_size_is_an_error() -> Result<(), Error> {
    let short = |real| {
        let mut builder = builder();
        builder.content(path("a"), Arc::new(Zeros { size: 10, real }))?;
        Ok::<_, Error>(failure(&builder.finish()?).to_string())
    };
    insta::assert_snapshot!(short(9)?, @"content, for a, changed while the layer was made: it ends early");
    insta::assert_snapshot!(short(11)?, @"content, for a, changed while the layer was made: it goes on after the planned end");
    Ok(())
}

#[test]
fn content_is_read_from_wherever_it_is() -> Result<(), Error> {
    let mut builder = builder();
    builder
        .content(path("b"), Arc::new(Zeros { size: 5, real: 5 }))?
        .bytes(path("a"), [0; 5])?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a "\0\0\0\0\0"
    h 644 b -> a
    "#);
    Ok(())
}

/// An output that keeps what it was given when the writing failed.
struct Shared<'a>(&'a std::sync::Mutex<Vec<u8>>);

impl Write for Shared<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn files_over_8_gib_get_a_size_that_every_reader_takes() -> Result<(), Error> {
    // Their first MiBs are enough to see it.
    let size = (8 << 30) + 1;
    let mut builder = builder();
    builder.content(
        path("huge"),
        Arc::new(Zeros {
            size,
            real: 3 << 20,
        }),
    )?;
    let plan: Plan = builder.finish()?;
    let mut options = EncodeOptions::default();
    options.codec = Codec::None;
    let out = std::sync::Mutex::new(Vec::new());
    let error = write_layer(&plan, &options, Shared(&out)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Changed);
    let start = out.into_inner().unwrap();
    let mut reader = imgtar::Reader::new(&start[..]);
    let entry = reader.next_entry().unwrap().unwrap();
    assert_eq!(
        (entry.header().path.as_slice(), entry.header().size),
        (&b"huge"[..], size)
    );
    Ok(())
}

#[test]
fn a_plan_can_be_written_twice_at_once() -> Result<(), Error> {
    let disk = Disk::new();
    let mut builder = builder();
    let archive: Vec<_> = (0..50)
        .map(|at| imgtest::tar::file(format!("f{at}"), format!("{at}").repeat(1000 + at)))
        .collect();
    let archive = disk.write("in.tar", imgtest::tar::tar_of(archive));
    builder.import_tar(archive, &ImportOptions::default())?;
    let plan = builder.finish()?;
    let layers: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| crate::support::write_plan(&plan).1))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(layers.windows(2).all(|pair| pair[0] == pair[1]));
    Ok(())
}

#[test]
fn content_of_every_size_around_a_block_is_written_as_it_is() -> Result<(), Error> {
    let disk = Disk::new();
    for size in [
        1,
        511,
        512,
        513,
        (128 << 10) - 1,
        128 << 10,
        (1 << 20) - 1,
        1 << 20,
        3_000_001,
    ] {
        let content: Vec<u8> = (0..=250).cycle().take(size).collect();
        let mut builder = builder();
        builder.file(path("a"), disk.write("file", &content))?;
        let (_, layer) = write(builder);
        assert_eq!(layer.len(), 512 + size.next_multiple_of(512) + 1024);
        assert_eq!(layer[512..512 + size], content);
    }
    Ok(())
}
