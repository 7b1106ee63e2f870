//! Layers of many small files, which several threads read.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use imglayer::{
    Codec, Content, EncodeOptions, Error, ErrorKind, ImportOptions, LayerPath, Plan, TreeOptions,
    Written, write_layer,
};

use crate::support::{Disk, builder, path};

/// Enough for several threads to have something to do.
const FILES: usize = 2_000;

fn name(number: usize) -> String {
    format!("d{:02}/f{number:04}", number % 7)
}

/// Every third file is equal to the one before it; sizes go from 0 on.
fn content(number: usize) -> Vec<u8> {
    let number = if number % 3 == 2 { number - 1 } else { number };
    format!("{number:04}").repeat(number % 91).into_bytes()
}

fn many() -> Disk {
    let disk = Disk::new();
    for number in 0..FILES {
        disk.write(&name(number), content(number));
    }
    disk
}

fn plan(disk: &Disk) -> Result<Plan, Error> {
    let mut builder = builder();
    builder.tree(LayerPath::root(), disk.root(), &TreeOptions::default())?;
    builder.finish()
}

fn write_with(plan: &Plan, threads: usize) -> Result<(Written, Vec<u8>), Error> {
    let mut options = EncodeOptions::default();
    options.codec = Codec::None;
    options.threads = NonZeroUsize::new(threads).unwrap();
    write_layer(plan, &options, Vec::new())
}

#[test]
fn the_layer_and_what_was_read_for_it_do_not_depend_on_threads() -> Result<(), Error> {
    let disk = many();
    let plan = plan(&disk)?;
    let (alone, layer) = write_with(&plan, 1)?;
    let mut files = 0;
    for entry in tar::Archive::new(&layer[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type() == tar::EntryType::Regular {
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let mut read = Vec::new();
            Read::read_to_end(&mut entry, &mut read).unwrap();
            assert_eq!(read, content(name[5..].parse().unwrap()), "{name}");
            files += 1;
        }
    }
    let counts = alone.counts;
    assert_eq!(counts.files, files);
    assert_eq!(counts.files + counts.linked, FILES as u64);
    assert!(counts.linked >= FILES as u64 / 4);
    assert_eq!(counts.files_read_twice, 0);
    for threads in [2, 3, 16] {
        let (written, other) = write_with(&plan, threads)?;
        assert!(other == layer, "{threads} threads wrote another layer");
        assert_eq!(written.counts, counts);
    }
    Ok(())
}

#[test]
fn of_several_files_that_changed_the_first_one_in_the_layer_is_named() -> Result<(), Error> {
    let disk = many();
    let plan = plan(&disk)?;
    // In the order of the layer 1 and 1009 stand in one directory, and 6 after both.
    for number in [1, 1009] {
        disk.write(
            &name(number),
            "grown beyond what a file of this test can be".repeat(20),
        );
    }
    fs_err::remove_file(disk.path(&name(6))).unwrap();
    for threads in [1, 2, 16] {
        let error = write_with(&plan, threads).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Changed);
        let text = error.to_string();
        assert!(text.contains("for d01/f0001, changed while"), "{text}");
    }
    disk.write(
        &name(0),
        "grown as well, and in the very first batch".repeat(20),
    );
    let text = write_with(&plan, 2).err().unwrap().to_string();
    assert!(text.contains("for d00/f0000, changed while"), "{text}");
    Ok(())
}

#[test]
fn a_file_that_is_gone_is_named_though_another_thread_looked_for_it() -> Result<(), Error> {
    let disk = many();
    let plan = plan(&disk)?;
    fs_err::remove_file(disk.path(&name(1001))).unwrap();
    for threads in [1, 4] {
        let error = write_with(&plan, threads).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), "content of d00/f1001");
    }
    Ok(())
}

/// Takes nothing.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_fails_ends_the_reading() -> Result<(), Error> {
    let disk = Disk::new();
    // Some ten blocks, so that there are files that nobody has read when the first one is written.
    for number in 0..1_000 {
        disk.write(&name(number), vec![b'x'; 10_000 + number]);
    }
    let plan = plan(&disk)?;
    for threads in [1, 2, 16] {
        let mut options = EncodeOptions::default();
        options.codec = Codec::None;
        options.threads = NonZeroUsize::new(threads).unwrap();
        let error = write_layer(&plan, &options, Full).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Io);
    }
    Ok(())
}

/// Cannot be read at all.
#[derive(Debug)]
struct Panics;

impl Content for Panics {
    fn size(&self) -> u64 {
        1
    }

    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        panic!("this content panics")
    }
}

#[test]
fn a_content_that_panics_ends_the_reading_and_panics_in_the_caller() -> Result<(), Error> {
    let disk = many();
    let mut builder = builder();
    builder.tree(LayerPath::root(), disk.root(), &TreeOptions::default())?;
    builder.content(path("d03/middle"), Arc::new(Panics))?;
    let plan = builder.finish()?;
    for threads in [1, 2, 16] {
        let written = panic::catch_unwind(AssertUnwindSafe(|| write_with(&plan, threads).is_ok()));
        let message = written.unwrap_err();
        assert_eq!(message.downcast_ref(), Some(&"this content panics"));
    }
    Ok(())
}

#[test]
fn contents_are_hashed_only_where_sizes_collide() -> Result<(), Error> {
    let disk = Disk::with(&[
        ("a", "1"),
        ("b", "22"),
        ("c", "333"),
        ("d", "444"),
        ("e", ""),
    ]);
    disk.write("f", vec![b'x'; 200_000]);
    let (written, _) = write_with(&plan(&disk)?, 2)?;
    let counts = written.counts;
    assert_eq!((counts.files_read_once, counts.files_hashed), (5, 2));
    disk.write("g", vec![b'y'; 200_000]);
    disk.write("h", "");
    let (written, _) = write_with(&plan(&disk)?, 2)?;
    let counts = written.counts;
    assert_eq!((counts.files_read_once, counts.files_hashed), (6, 4));
    Ok(())
}

#[test]
fn small_files_of_an_archive_are_read_by_several_threads() -> Result<(), Error> {
    let disk = many();
    let archive = disk.path("in.tar");
    let mut tar = tar::Builder::new(fs_err::File::create(&archive).unwrap());
    for number in (0..FILES).rev() {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(content(number).len() as u64);
        let place = format!("in/{}", name(number));
        let content = content(number);
        tar.append_data(&mut header, place, &content[..]).unwrap();
    }
    tar.into_inner().unwrap();
    let mut builder = builder();
    builder.import_tar(&archive, &ImportOptions::default())?;
    let plan = builder.finish()?;
    let (alone, layer) = write_with(&plan, 1)?;
    assert_eq!(alone.counts.entries, FILES as u64);
    assert!(write_with(&plan, 3)?.1 == layer);

    fs_err::write(&archive, &fs_err::read(&archive).unwrap()[..5_000]).unwrap();
    let error = write_with(&plan, 3).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Changed);
    Ok(())
}

#[test]
fn many_inputs_at_once_are_the_same_as_one_after_the_other() -> Result<(), Error> {
    let disk = many();
    disk.write("tree/deep/inside", "1");
    let mut names: Vec<String> = (0..FILES).map(name).collect();
    names.insert(FILES / 2, "tree".to_owned());
    let options = TreeOptions::default();
    let mut one_by_one = builder();
    for name in &names {
        one_by_one.file_or_tree(path(name), disk.path(name), &options)?;
    }
    let inputs = |names: &[String]| -> Vec<_> {
        (names.iter())
            .map(|name| (path(name), disk.path(name)))
            .collect()
    };
    let mut at_once = builder();
    at_once.files_or_trees(inputs(&names), &options)?;
    let expected = write_with(&one_by_one.finish()?, 1)?.1;
    assert!(write_with(&at_once.finish()?, 1)?.1 == expected);

    names[1500] = "late".to_owned();
    names[1100] = "early".to_owned();
    let error = builder()
        .files_or_trees(inputs(&names), &options)
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "input for early");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    Ok(())
}

#[test]
fn a_tree_of_many_directories_is_whole() -> Result<(), Error> {
    let disk = Disk::new();
    for number in 0..300 {
        disk.write(&format!("a/{number}/b/c"), number.to_string());
    }
    let plan = plan(&disk)?;
    let names: Vec<String> = plan
        .entries()
        .map(|entry| entry.path().to_string())
        .collect();
    let mut expected: Vec<LayerPath> = vec![path("a")];
    for number in 0..300 {
        for name in ["", "/b", "/b/c"] {
            expected.push(path(&format!("a/{number}{name}")));
        }
    }
    expected.sort();
    assert_eq!(
        names,
        expected.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    Ok(())
}
