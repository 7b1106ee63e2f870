//! What the example shows: a whole image comes out, the same one every time.

use std::process::Command;

use imgstore::check::check;
use imgstore::{OciLayout, Selector};

#[test]
fn example_writes_a_whole_image_and_always_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    fs_err::write(&program, "hello").unwrap();
    let write = |name: &str| {
        let path = directory.path().join(name);
        let status = Command::new(env!("CARGO_BIN_EXE_write-image"))
            .args([&program, &path])
            .status()
            .unwrap();
        assert!(status.success());
        path
    };
    let (first, second) = (write("first"), write("second"));
    let layout = OciLayout::open(&first).unwrap();
    let index = layout.index().unwrap();
    let root = index.select(&Selector::Tag("v1".into())).unwrap().remove(0);
    assert_eq!(root.platform.as_ref().unwrap().to_string(), "linux/amd64");
    let report = check(&layout, &[("v1".into(), root)]);
    assert_eq!(report.mismatches.len(), 0, "{report:?}");
    assert_eq!((report.images, report.layers), (1, 1));
    let index = |path: &std::path::Path| fs_err::read(path.join("index.json")).unwrap();
    assert_eq!(index(&first), index(&second));
}
