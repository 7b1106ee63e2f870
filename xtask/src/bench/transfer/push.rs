//! `cargo xtask bench --row push`: images from an OCI layout to a registry that has nothing.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::image::{CORPUS, Image, MANY};
use super::registry::Registry;
use super::{Move, Mover, Section, Setting, turns};
use crate::bench::contender::Tool;
use crate::bench::measure::Scratch;
use crate::bench::text;
use crate::run::{Result, check, command};

pub(in crate::bench) const ROW: Move = Move {
    name: "push",
    tools: &[Tool::Crane, Tool::Go, Tool::Registry, Tool::Skopeo],
    measure,
};

const OURS: &str =
    r#"exec "$IMG" push "$LAYOUT" "$NAME" --insecure-registry "$REGISTRY" --progress none"#;

const PUSHERS: &[Mover] = &[
    Mover {
        name: "Go tool, deploy",
        tool: Tool::Go,
        script: r#"exec "$GOTOOL" deploy --request-file "$REQUEST" --oci-layout "$LAYOUT""#,
    },
    // Without the flag it would compress the layers.
    Mover {
        name: "skopeo copy",
        tool: Tool::Skopeo,
        script: r#"exec skopeo --insecure-policy copy --quiet --preserve-digests --dest-tls-verify=false "oci:$LAYOUT" "docker://$NAME""#,
    },
    Mover {
        name: "crane push",
        tool: Tool::Crane,
        script: r#"exec "$CRANE" push --insecure "$LAYOUT" "$NAME""#,
    },
];

const TITLE: &str = "push of an OCI layout to an empty registry";
const NOTE: &str = "The registry runs on the same cores, and its CPU time is not counted. The output is the largest file that it has.";

/// Measures everyone on both images, and returns the section of the report.
fn measure(setting: &Setting<'_>) -> Result<String> {
    let (scratch, kept) = (Scratch::new("run")?, Scratch::new("registry")?);
    // What is emptied before each run is the registry.
    let registry = Registry::start(kept.path(), &scratch.output())?;
    let mut section = Section::new(TITLE, &ROW, NOTE);
    for image in [&CORPUS, &MANY] {
        let layout = image.layout(setting)?;
        let name = format!("{}/bench/{}:latest", registry.address(), image.name);
        let request = request(setting, image, &layout, registry.address(), kept.path())?;
        let variables = [
            ("NAME", PathBuf::from(name)),
            ("REGISTRY", PathBuf::from(registry.address())),
            ("REQUEST", request),
            ("LAYOUT", layout),
        ];
        section.add_image(image, &turns(setting, &scratch, OURS, PUSHERS, &variables)?);
    }
    Ok(section.0)
}

/// Writes what the Go tool is told: our deploy manifests are the same as its own.
fn request(
    setting: &Setting<'_>,
    image: &Image,
    layout: &Path,
    registry: &str,
    directory: &Path,
) -> Result<PathBuf> {
    let file = |name: &str| directory.join(format!("{}-{name}", image.name));
    let (configuration, request) = (file("configuration.json"), file("request.json"));
    let text_of = format!(
        r#"{{"registry":"{registry}","repository":"bench/{}","tags":["latest"]}}"#,
        image.name
    );
    fs::write(&configuration, text_of).map_err(text)?;
    let manifest = only_manifest(layout)?.display().to_string();
    let numbered = format!("0={manifest}");
    let (configuration, out) = (
        configuration.display().to_string(),
        request.display().to_string(),
    );
    let img = setting.img.to_string_lossy();
    check(&mut command(
        &img,
        &[
            "deploy-metadata",
            "--command",
            "push",
            "--root-kind",
            "manifest",
            "--root-path",
            &manifest,
            "--manifest-path",
            &numbered,
            "--configuration-file",
            &configuration,
            &out,
        ],
    ))?;
    Ok(request)
}

/// Finds the manifest of a layout with one image.
fn only_manifest(layout: &Path) -> Result<PathBuf> {
    let index = fs::read_to_string(layout.join("index.json")).map_err(text)?;
    let hex = digest_in(&index).ok_or("the layout's index.json names no manifest")?;
    Ok(layout.join("blobs/sha256").join(hex))
}

/// Returns the hexadecimal digits of the first digest in a document.
fn digest_in(document: &str) -> Option<&str> {
    let rest = document.split_once("\"sha256:")?.1;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_the_first_that_the_index_names() {
        let index = r#"{"manifests":[{"digest":"sha256:0a1b","size":3}]}"#;
        assert_eq!(digest_in(index), Some("0a1b"));
        assert_eq!(digest_in("{}"), None);
    }
}
