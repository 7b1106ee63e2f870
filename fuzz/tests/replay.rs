//! Every committed corpus through its target, on a stable compiler.

use std::collections::BTreeSet;
use std::path::Path;

use imgkit_fuzz::TARGETS;

#[test]
fn corpora_are_replayed() {
    for (name, target) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let mut files = 0;
        for entry in fs_err::read_dir(&corpus).expect("every target has a corpus") {
            let path = entry.expect("a corpus can be listed").path();
            let bytes = fs_err::read(&path).expect("a corpus has files only");
            // A panic in the target is the failure; the name says where.
            println!("{}", path.display());
            target(&bytes);
            files += 1;
        }
        assert!(files > 0, "{name} has no corpus");
    }
}

#[test]
fn every_target_has_its_program() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let programs = fs_err::read_dir(programs).expect("there are programs");
    let names: BTreeSet<_> = programs
        .map(|entry| entry.expect("programs can be listed").path())
        .map(|path| {
            path.file_stem()
                .expect("programs have names")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, targets);
}
