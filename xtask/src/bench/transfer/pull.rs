//! `cargo xtask bench --row pull`: images from a registry into an OCI layout.

use std::path::PathBuf;

use super::image::{Image, MANY, NOISE};
use super::registry::Registry;
use super::{Move, Mover, Section, Setting, turns};
use crate::bench::contender::Tool;
use crate::bench::measure::Scratch;
use crate::run::{Result, check, command};

pub(in crate::bench) const ROW: Move = Move {
    name: "pull",
    tools: &[Tool::Crane, Tool::Registry, Tool::Skopeo],
    measure,
};

const OURS: &str = r#"exec "$IMG" pull "$NAME" --insecure-registry "$REGISTRY" --oci-layout "$OUT" --progress none"#;

const PULLERS: &[Mover] = &[
    Mover {
        name: "skopeo copy",
        tool: Tool::Skopeo,
        script: r#"exec skopeo --insecure-policy copy --quiet --src-tls-verify=false "docker://$NAME" "oci:$OUT:x""#,
    },
    Mover {
        name: "crane pull",
        tool: Tool::Crane,
        script: r#"exec "$CRANE" pull --insecure --format oci "$NAME" "$OUT""#,
    },
];

const TITLE: &str = "eager pull into an OCI layout";
const NOTE: &str = "The output is the largest file of the layout.";

/// Measures everyone on both images, and returns the section of the report.
fn measure(setting: &Setting<'_>) -> Result<String> {
    let (scratch, kept) = (Scratch::new("run")?, Scratch::new("registry")?);
    let registry = Registry::start(kept.path(), &kept.path().join("blobs"))?;
    let mut section = Section::new(TITLE, &ROW, NOTE);
    for image in [&NOISE, &MANY] {
        let variables = [
            ("NAME", PathBuf::from(give(setting, image, &registry)?)),
            ("REGISTRY", PathBuf::from(registry.address())),
        ];
        section.add_image(image, &turns(setting, &scratch, OURS, PULLERS, &variables)?);
    }
    Ok(section.0)
}

/// Copies the image to the registry, and returns its name there.
fn give(setting: &Setting<'_>, image: &Image, registry: &Registry) -> Result<String> {
    let layout = image.layout(setting)?;
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
