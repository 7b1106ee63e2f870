//! `cargo xtask bench --row pull`: images from a registry on this machine, in turn with other tools.
//!
//! Registry and outputs are in memory, so that what is measured is the client: its requests, its hashes, its copies.

mod registry;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::contender::Tool;
use super::corpus::noise;
use super::measure::{self, Sample, Scratch};
use super::report::{self, Entry, Outcome};
use super::text;
use super::tools::Tools;
use crate::run::{Result, check, command};
use registry::Registry;

/// As `--row` has it.
pub(super) const ROW: &str = "pull";

/// An image of noise, which nobody could send in fewer bytes.
struct Image {
    name: &'static str,
    title: &'static str,
    layers: u64,
    /// Bytes of each layer's file.
    size: u64,
}

const IMAGES: [Image; 2] = [
    Image {
        name: "one",
        title: "1 layer of 1 GiB",
        layers: 1,
        size: 1 << 30,
    },
    Image {
        name: "many",
        title: "200 layers of 5 MiB",
        layers: 200,
        size: 5 << 20,
    },
];

/// Someone who copies the image into an OCI layout.
struct Puller {
    name: &'static str,
    tool: Tool,
    script: &'static str,
}

const OURS: &str = r#"exec "$IMG" pull "$NAME" --insecure-registry "$REGISTRY" --oci-layout "$OUT" --progress none"#;

const PULLERS: [Puller; 2] = [
    Puller {
        name: "skopeo copy",
        tool: Tool::Skopeo,
        script: r#"exec skopeo --insecure-policy copy --quiet --src-tls-verify=false "docker://$NAME" "oci:$OUT:x""#,
    },
    Puller {
        name: "crane pull",
        tool: Tool::Crane,
        script: r#"exec "$CRANE" pull --insecure --format oci "$NAME" "$OUT""#,
    },
];

/// The tools that this row needs.
pub(super) const TOOLS: [Tool; 3] = [Tool::Crane, Tool::Registry, Tool::Skopeo];

/// What the row needs of a run of the bench.
pub(super) struct Setting<'a> {
    pub(super) img: &'a Path,
    pub(super) tools: &'a Tools,
    pub(super) pairs: usize,
    /// Where the images are kept between runs.
    pub(super) directory: &'a Path,
}

/// Measures everyone on both images, and returns the section of the report.
pub(super) fn measure(setting: &Setting<'_>) -> Result<String> {
    let (scratch, kept) = (Scratch::new("run")?, Scratch::new("registry")?);
    let registry = Registry::start(kept.path())?;
    let mut section = "\n## eager pull into an OCI layout (`--row pull`)\n\nThe output is the largest file of the layout.\n\n".to_owned();
    section.push_str(report::TABLE_HEAD);
    for image in &IMAGES {
        let name = push(setting, image, &registry)?;
        let mut variables = vec![
            ("IMG", setting.img.to_owned()),
            ("NAME", PathBuf::from(name)),
            ("REGISTRY", PathBuf::from(registry.address())),
        ];
        variables.extend(setting.tools.variables());
        write_image(&mut section, image, &turns(setting, &scratch, &variables)?);
    }
    println!("{section}");
    Ok(section)
}

/// Medians of ours, and what came of the others.
struct Turns {
    ours: Sample,
    entries: Vec<Entry>,
}

/// Ours and the others in turn, after a run of each that does not count.
fn turns(setting: &Setting<'_>, scratch: &Scratch, variables: &[(&str, PathBuf)]) -> Result<Turns> {
    let run = |script: &str| measure::run(scratch, "", script, variables);
    run(OURS)?;
    let is_here = |puller: &&Puller| setting.tools.is_here(puller.tool);
    let mut samples: Vec<Result<Vec<Sample>>> = PULLERS
        .iter()
        .map(|puller| {
            if is_here(&puller) {
                run(puller.script)?;
            }
            Ok(Vec::new())
        })
        .collect();
    let mut ours = Vec::new();
    for _ in 0..setting.pairs {
        ours.push(run(OURS)?);
        for (puller, samples) in PULLERS.iter().zip(&mut samples) {
            if is_here(&puller)
                && let Ok(taken) = samples
            {
                match run(puller.script) {
                    Ok(sample) => taken.push(sample),
                    Err(reason) => *samples = Err(reason),
                }
            }
        }
    }
    let ours = Sample::median(&ours);
    let entries = PULLERS.iter().zip(samples);
    let entries = entries.map(|(puller, samples)| entry(puller, ours, samples));
    Ok(Turns {
        ours,
        entries: entries.collect(),
    })
}

fn entry(puller: &Puller, ours: Sample, samples: Result<Vec<Sample>>) -> Entry {
    let outcome = match samples {
        Ok(theirs) if theirs.is_empty() => Outcome::Missing,
        Ok(theirs) => Outcome::Pairs {
            ours: Some(ours),
            theirs: Sample::median(&theirs),
            count: theirs.len(),
        },
        Err(reason) => Outcome::Failed(reason),
    };
    Entry {
        name: puller.name,
        tool: puller.tool,
        outcome,
    }
}

fn write_image(section: &mut String, image: &Image, turns: &Turns) {
    let ours = &turns.ours;
    let _ = writeln!(
        section,
        "| {} | **ours** | **{:.2}** | {:.2} | {:.0} | {:.1} |",
        image.title,
        ours.wall,
        ours.cpu,
        ours.memory / 1e6,
        ours.output / report::MIB
    );
    for entry in &turns.entries {
        report::write_entry(section, entry);
    }
}

/// Makes the image unless it is here, and copies it to the registry. Returns its name there.
fn push(setting: &Setting<'_>, image: &Image, registry: &Registry) -> Result<String> {
    let directory = setting.directory.join(format!("pull-{}", image.name));
    let layout = directory.join("layout");
    if !layout.join("index.json").exists() {
        make(setting, image, &directory)?;
    }
    let name = format!("{}/bench/{}:latest", registry.address(), image.name);
    let (from, to) = (
        format!("oci:{}", layout.display()),
        format!("docker://{name}"),
    );
    let copy = [
        "--insecure-policy",
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        &from,
        &to,
    ];
    check(&mut command("skopeo", &copy))?;
    Ok(name)
}

/// Writes a build file with a layer for each file of noise, and builds it.
fn make(setting: &Setting<'_>, image: &Image, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(text)?;
    let mut build = "platforms = [\"linux/amd64\"]\ncompression = \"none\"\n".to_owned();
    for number in 0..image.layers {
        write_noise(&directory.join(number.to_string()), number, image.size)?;
        let _ = writeln!(
            build,
            "[[layer]]\ncopy = [{{ from = \"{number}\", to = \"/{number}\" }}]"
        );
    }
    build.push_str("[output]\nlayout = \"layout\"\n");
    let file = directory.join("img.toml");
    fs::write(&file, build).map_err(text)?;
    let (img, file) = (setting.img.to_string_lossy(), file.to_string_lossy());
    check(&mut command(&img, &["build", &file]))
}

/// A piece at a time: the file may be larger than anyone wants to hold.
fn write_noise(path: &Path, seed: u64, size: u64) -> Result<()> {
    use std::io::Write as _;

    const PIECE: u64 = 1 << 20;
    let mut file = fs::File::create(path).map_err(text)?;
    for piece in 0..size.div_ceil(PIECE) {
        let bytes = noise((seed << 32) | piece, PIECE.min(size - piece * PIECE));
        file.write_all(&bytes).map_err(text)?;
    }
    Ok(())
}
