//! Those who make the same layer, and how each is run.

use super::corpus::Name;

/// Someone who makes the same layer as ours.
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) tool: Tool,
    pub(super) way: Way,
    /// Where a run of everything measures it; elsewhere it is only measured by name.
    pub(super) corpora: &'static [Name],
}

/// What must be there for a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tool {
    Buildah,
    Crane,
    Go,
    Pigz,
    Registry,
    Skopeo,
    StandIn,
    Tar,
    Umoci,
    Zstd,
}

impl Tool {
    /// What the report calls it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Buildah => "buildah",
            Self::Crane => "crane",
            Self::Go => "Go tool (rules_img)",
            Self::Pigz => "pigz",
            Self::Registry => "docker-registry, which serves the images",
            Self::Skopeo => "skopeo",
            Self::StandIn => "stand-in with the Go tool's libraries, not the Go tool",
            Self::Tar => "tar",
            Self::Umoci => "umoci",
            Self::Zstd => "zstd",
        }
    }
}

/// How a contender is run.
pub(super) enum Way {
    /// `img layer` of the Go tool, with these flags.
    GoTool(&'static str),
    /// The stand-in with the Go tool's libraries, with these flags.
    StandIn(&'static str),
    /// `tar` into a codec; in the row of imports the codec alone.
    Pipe(&'static str),
    /// The same with the two digests that a layer needs, by `sha256sum` beside the codec.
    HashedPipe(&'static str),
    /// A script that is not measured, and one that is.
    Script(&'static str, &'static str),
}

/// Two scripts of bash: one to prepare, one to measure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scripts {
    pub(super) prepare: String,
    pub(super) run: String,
}

impl Contender {
    /// Returns what to run: `imports` says that the input is a tar.
    pub(super) fn scripts(&self, imports: bool) -> Scripts {
        let run = match self.way {
            Way::GoTool(flags) => {
                let input = if imports {
                    "--import-tar"
                } else {
                    "--add-from-file"
                };
                format!(
                    r#"exec "$GOTOOL" layer {flags} {input} "$INPUT" --metadata metadata "$OUT""#
                )
            }
            Way::StandIn(flags) => {
                let input = if imports { "-import-tar" } else { "-list" };
                format!(r#"exec "$STANDIN" {flags} {input} "$INPUT" -output "$OUT""#)
            }
            Way::Pipe(codec) if imports => format!(r#"exec {codec} <"$INPUT" >"$OUT""#),
            Way::Pipe(codec) => format!(r#"tar -cf - -C "$TREE" . | {codec} >"$OUT""#),
            Way::HashedPipe(codec) => hashed(codec, imports),
            Way::Script(_, run) => run.to_owned(),
        };
        let prepare = match self.way {
            Way::Script(prepare, _) => prepare.to_owned(),
            _ => String::new(),
        };
        Scripts { prepare, run }
    }
}

/// Named pipes, because bash neither waits for process substitutions nor counts what they took.
fn hashed(codec: &str, imports: bool) -> String {
    let source = if imports {
        r#"tee first <"$INPUT""#
    } else {
        r#"tar -cf - -C "$TREE" . | tee first"#
    };
    format!(
        r#"mkfifo first second; sha256sum <first >diff_id & sha256sum <second >digest & {source} | {codec} | tee second >"$OUT"; wait"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(way: Way, imports: bool) -> String {
        let contender = Contender {
            name: "x",
            tool: Tool::Tar,
            way,
            corpora: &[],
        };
        contender.scripts(imports).run
    }

    #[test]
    fn an_import_takes_the_tar_and_files_the_tree() {
        assert_eq!(
            run(Way::Pipe("pigz"), true),
            r#"exec pigz <"$INPUT" >"$OUT""#
        );
        assert_eq!(
            run(Way::Pipe("pigz"), false),
            r#"tar -cf - -C "$TREE" . | pigz >"$OUT""#
        );
        assert!(run(Way::HashedPipe("pigz"), true).contains(r#"tee first <"$INPUT" | pigz"#));
        assert!(run(Way::StandIn("-jobs 2"), true).contains("-import-tar"));
    }
}
