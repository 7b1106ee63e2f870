//! The same inputs give the same bytes, wherever and however `img` runs.
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Where one run differs from the others.
struct Surroundings {
    jobs: &'static str,
    locale: &'static str,
    umask: &'static str,
    /// Whether the inputs are named backwards.
    reversed: bool,
}

const RUNS: [Surroundings; 4] = [
    Surroundings {
        jobs: "1",
        locale: "C",
        umask: "022",
        reversed: false,
    },
    Surroundings {
        jobs: "2",
        locale: "de_DE.UTF-8",
        umask: "077",
        reversed: true,
    },
    Surroundings {
        jobs: "3",
        locale: "tr_TR.UTF-8",
        umask: "000",
        reversed: false,
    },
    Surroundings {
        jobs: "64",
        locale: "ja_JP.EUC-JP",
        umask: "027",
        reversed: true,
    },
];

/// Each way in which a layer is encoded.
const ENCODINGS: [&[&str]; 11] = [
    &["--format=gzip"],
    &["--format=gzip", "--compression-level=fast"],
    &["--format=gzip", "--compression-level=best"],
    &["--format=gzip", "--gzip-members=multi"],
    &["--format=zstd"],
    &["--format=zstd", "--compression-level=fast"],
    &["--format=zstd", "--compression-level=best"],
    &["--format=none"],
    &["--estargz"],
    &["--estargz", "--compression-level=fast"],
    &["--estargz", "--estargz-min-chunk-size=100000"],
];

/// Text of several blocks with noise in it, so that there are blocks and members of every kind.
fn large(run_of_noise: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let mut bytes = Vec::new();
    for number in 0..60_000_u32 {
        bytes.extend(format!("{number:x} and {}\n", number % 97).into_bytes());
        if number % 20_000 == 19_999 {
            for _ in 0..run_of_noise {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                bytes.push(state.to_le_bytes()[0]);
            }
        }
    }
    bytes
}

/// Builds a tree in a directory of this run's own and returns the blob and the metadata of its layer.
fn layer(encoding: &[&str], run: &Surroundings) -> (Vec<u8>, Vec<u8>) {
    let work = TempDir::new().unwrap();
    let at = |name: &str| work.path().join(name);
    let scratch = at("scratch");
    fs_err::create_dir_all(&scratch).unwrap();
    fs_err::create_dir_all(at("tree/empty")).unwrap();
    let mut files: Vec<(String, Vec<u8>)> = (0..40)
        .map(|n| {
            (
                format!("tree/Datei-ä-{n}"),
                vec![b'a' + n % 7; 60_000 * usize::from(n % 5)],
            )
        })
        .chain([
            ("tree/large".to_owned(), large(900_000)),
            ("tree/larger".to_owned(), large(1_700_000)),
        ])
        .collect();
    if run.reversed {
        // Another order of creation is another order in the directory.
        files.reverse();
    }
    for (name, content) in &files {
        fs_err::write(at(name), content).unwrap();
    }
    let mut flags: Vec<String> = [
        "tree=tree",
        "usr/share/one=tree/Datei-ä-1",
        "bin/img=tree/Datei-ä-4",
    ]
    .map(|input| format!("--add={input}"))
    .into();
    if run.reversed {
        flags.reverse();
    }
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("umask {}; exec \"$0\" \"$@\"", run.umask)])
        .arg(env!("CARGO_BIN_EXE_img"))
        .args([
            "layer",
            "--compressor-jobs",
            run.jobs,
            "--metadata",
            "m.json",
        ])
        .args(encoding)
        .args(&flags)
        .arg("layer")
        .env("LC_ALL", run.locale)
        .env("TMPDIR", &scratch)
        .current_dir(work.path());
    run_to_success(&mut command);
    (
        fs_err::read(at("layer")).unwrap(),
        fs_err::read(at("m.json")).unwrap(),
    )
}

fn run_to_success(command: &mut Command) {
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
}

#[cfg(unix)]
#[test]
fn a_layer_is_the_same_for_every_thread_count_umask_locale_directory_and_order() {
    for encoding in ENCODINGS {
        let [first, others @ ..] = RUNS.map(|run| layer(encoding, &run));
        assert!(!first.0.is_empty());
        for (number, other) in others.iter().enumerate() {
            assert!(
                first == *other,
                "{encoding:?}: run {} differs from run 0",
                number + 1
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn an_image_is_the_same_for_every_umask_locale_and_directory() {
    let archives = RUNS.map(|run| {
        let work = TempDir::new().unwrap();
        build(work.path(), &run);
        fs_err::read(work.path().join("image.tar")).unwrap()
    });
    assert!(archives.iter().all(|archive| *archive == archives[0]));
}

fn build(work: &Path, run: &Surroundings) {
    let file = "name = \"app\"\nplatforms = [\"linux/amd64\"]\n\
        [[layer]]\ncopy = [{ from = \"share\", to = \"/srv\" }]\n\
        [config]\nentrypoint = [\"/srv/b\"]\n[output]\noci_archive = \"image.tar\"\n";
    fs_err::create_dir_all(work.join("share")).unwrap();
    fs_err::write(work.join("img.toml"), file).unwrap();
    let mut names = ["a", "b", "ä"];
    if run.reversed {
        names.reverse();
    }
    for name in names {
        fs_err::write(work.join("share").join(name), name.repeat(9_000)).unwrap();
    }
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("umask {}; exec \"$0\" build", run.umask)])
        .arg(env!("CARGO_BIN_EXE_img"))
        .env("LC_ALL", run.locale)
        .current_dir(work);
    run_to_success(&mut command);
}
