//! What is measured, row by row.

use super::contender::{Contender, Tool, Way};
use super::corpus::Name::{self, A, B, C};

/// Something that users do, as several tools do it.
pub(super) struct Row {
    /// As `--row` has it.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) ours: Ours,
    pub(super) contenders: &'static [Contender],
}

/// What `img layer` does in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ours {
    pub(super) format: &'static str,
    pub(super) level: &'static str,
    pub(super) kind: Kind,
}

/// What beside codec and level makes a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Files from disk.
    Files,
    /// Files from disk, a gzip member a block.
    Members,
    /// Files from disk, as eStargz.
    Estargz,
    /// The entries of a tar.
    Import,
}

impl Ours {
    pub(super) fn script(self) -> String {
        let Self {
            format,
            level,
            kind,
        } = self;
        let kind = match kind {
            Kind::Files => "--add-from-file",
            Kind::Members => "--gzip-members multi --add-from-file",
            Kind::Estargz => "--estargz --add-from-file",
            Kind::Import => "--import-tar",
        };
        format!(
            r#"exec "$IMG" layer --format {format} --compression-level {level} {kind} "$INPUT" --metadata metadata "$OUT""#
        )
    }
}

const ALL: &[Name] = &[A, B, C];

/// A row in few lines; codec, level and kind are what `img layer` is told.
const fn row(
    name: &'static str,
    title: &'static str,
    (format, level, kind): (&'static str, &'static str, Kind),
    contenders: &'static [Contender],
) -> Row {
    Row {
        name,
        title,
        ours: Ours {
            format,
            level,
            kind,
        },
        contenders,
    }
}

const fn one(name: &'static str, tool: Tool, way: Way, corpora: &'static [Name]) -> Contender {
    Contender {
        name,
        tool,
        way,
        corpora,
    }
}

const fn go_tool(flags: &'static str) -> Contender {
    one("Go tool", Tool::Go, Way::GoTool(flags), ALL)
}

const fn stand_in(name: &'static str, flags: &'static str, corpora: &'static [Name]) -> Contender {
    one(name, Tool::StandIn, Way::StandIn(flags), corpora)
}

const fn pigz(name: &'static str, codec: &'static str, corpora: &'static [Name]) -> Contender {
    one(name, Tool::Pigz, Way::Pipe(codec), corpora)
}

const fn pigz_hashed(
    name: &'static str,
    codec: &'static str,
    corpora: &'static [Name],
) -> Contender {
    one(name, Tool::Pigz, Way::HashedPipe(codec), corpora)
}

const fn zstd(name: &'static str, codec: &'static str, corpora: &'static [Name]) -> Contender {
    one(name, Tool::Zstd, Way::Pipe(codec), corpora)
}

const fn zstd_hashed(
    name: &'static str,
    codec: &'static str,
    corpora: &'static [Name],
) -> Contender {
    one(name, Tool::Zstd, Way::HashedPipe(codec), corpora)
}

const UMOCI_LAYOUT: &str = r#"umoci init --layout "$OUT" && umoci new --image "$OUT:x""#;

const UMOCI_INSERT: Contender = one(
    "umoci insert",
    Tool::Umoci,
    Way::Script(
        UMOCI_LAYOUT,
        r#"exec umoci insert --image "$OUT:x" "$TREE" /"#,
    ),
    &[C],
);

const UMOCI_ADD_LAYER: Contender = one(
    "umoci raw add-layer",
    Tool::Umoci,
    Way::Script(
        UMOCI_LAYOUT,
        r#"exec umoci raw add-layer --image "$OUT:x" "$INPUT""#,
    ),
    &[C],
);

const BUILDAH: Contender = one(
    "buildah add, commit",
    Tool::Buildah,
    Way::Script(
        "",
        r#"b="buildah --storage-driver vfs --root $SCRATCH/root --runroot $SCRATCH/run"; c=$($b from scratch); $b add -q "$c" "$TREE" / >/dev/null; $b commit -q --disable-compression=false "$c" "oci:$OUT:x" >/dev/null"#,
    ),
    &[C],
);

const TAR: Contender = one(
    "tar",
    Tool::Tar,
    Way::Script("", r#"exec tar -cf "$OUT" -C "$TREE" ."#),
    &[C],
);

const TAR_HASHED: Contender = one(
    "tar, sha256sum",
    Tool::Tar,
    Way::Script(
        "",
        r#"mkfifo hash; sha256sum <hash >diff_id & tar -cf - -C "$TREE" . | tee hash >"$OUT"; wait"#,
    ),
    &[C],
);

pub(super) const ROWS: &[Row] = &[
    row(
        "gzip",
        "gzip, default",
        ("gzip", "default", Kind::Files),
        &[
            go_tool("--format gzip --compressor-jobs 2"),
            stand_in("stand-in, 1 job", "-jobs 1", &[]),
            stand_in("stand-in, 2 jobs", "-jobs 2", ALL),
            pigz("tar, pigz -6 -p2", "pigz -6 -p2", &[A, C]),
            pigz_hashed("tar, pigz -6 -p2, 2 sha256sum", "pigz -6 -p2", &[C]),
            UMOCI_INSERT,
            BUILDAH,
        ],
    ),
    row(
        "gzip-fast",
        "gzip, fast",
        ("gzip", "fast", Kind::Files),
        &[
            go_tool("--format gzip --compression-level 1 --compressor-jobs 2"),
            stand_in("stand-in, level 1, 2 jobs", "-level 1 -jobs 2", ALL),
            pigz("tar, pigz -1 -p2", "pigz -1 -p2", &[C]),
            pigz_hashed("tar, pigz -1 -p2, 2 sha256sum", "pigz -1 -p2", &[C]),
        ],
    ),
    row(
        "gzip-best",
        "gzip, best",
        ("gzip", "best", Kind::Files),
        &[
            go_tool("--format gzip --compression-level 9"),
            stand_in("stand-in, level 9, 1 job", "-level 9 -jobs 1", &[C]),
            stand_in("stand-in, level 9, 2 jobs", "-level 9 -jobs 2", &[]),
            pigz("tar, pigz -9 -p2", "pigz -9 -p2", &[]),
        ],
    ),
    row(
        "gzip-multi",
        "gzip, default, `--gzip-members=multi`",
        ("gzip", "default", Kind::Members),
        &[
            go_tool("--format gzip --compressor-jobs 2"),
            stand_in("stand-in, 2 jobs", "-jobs 2", &[B, C]),
            pigz("tar, pigz -6 -p2", "pigz -6 -p2", &[]),
        ],
    ),
    row(
        "zstd",
        "zstd, default",
        ("zstd", "default", Kind::Files),
        &[
            go_tool("--format zstd"),
            stand_in("stand-in, zstd", "-format zstd", ALL),
            zstd("tar, zstd -3 -T2", "zstd -3 -T2 -q", ALL),
            zstd_hashed("tar, zstd -3 -T2, 2 sha256sum", "zstd -3 -T2 -q", &[C]),
        ],
    ),
    row(
        "zstd-fast",
        "zstd, fast",
        ("zstd", "fast", Kind::Files),
        &[
            go_tool("--format zstd --compression-level 1"),
            stand_in("stand-in, zstd level 1", "-format zstd -level 1", ALL),
            zstd("tar, zstd -1 -T2", "zstd -1 -T2 -q", &[B, C]),
            zstd_hashed("tar, zstd -1 -T2, 2 sha256sum", "zstd -1 -T2 -q", &[C]),
        ],
    ),
    row(
        "zstd-best",
        "zstd, best",
        ("zstd", "best", Kind::Files),
        &[
            go_tool("--format zstd --compression-level 4"),
            stand_in("stand-in, zstd level 4", "-format zstd -level 4", &[]),
            zstd("tar, zstd -9 -T2", "zstd -9 -T2 -q", &[C]),
        ],
    ),
    row(
        "none",
        "no compression",
        ("none", "default", Kind::Files),
        &[
            go_tool("--format none"),
            stand_in("stand-in, uncompressed", "-format none", ALL),
            TAR,
            TAR_HASHED,
        ],
    ),
    row(
        "estargz",
        "eStargz, default",
        ("gzip", "default", Kind::Estargz),
        &[
            go_tool("--format gzip --estargz"),
            stand_in("stand-in, eStargz", "-estargz", ALL),
        ],
    ),
    row(
        "estargz-fast",
        "eStargz, fast",
        ("gzip", "fast", Kind::Estargz),
        &[
            go_tool("--format gzip --estargz --compression-level 1"),
            stand_in("stand-in, eStargz level 1", "-estargz -level 1", ALL),
        ],
    ),
    row(
        "import",
        "import of a plain tar, gzip, default",
        ("gzip", "default", Kind::Import),
        &[
            go_tool("--format gzip --compressor-jobs 2"),
            stand_in("stand-in, 2 jobs", "-jobs 2", &[C]),
            pigz("pigz -6 -p2", "pigz -6 -p2", &[C]),
            pigz_hashed("pigz -6 -p2, 2 sha256sum", "pigz -6 -p2", &[C]),
            UMOCI_ADD_LAYER,
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rows_and_of_the_contenders_in_each_are_unique() {
        let mut rows: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), ROWS.len());
        for row in ROWS {
            let mut names: Vec<_> = row.contenders.iter().map(|one| one.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), row.contenders.len(), "{}", row.name);
        }
    }

    #[test]
    fn ours_is_told_what_makes_the_row() {
        let multi = ROWS.iter().find(|row| row.name == "gzip-multi").unwrap();
        insta::assert_snapshot!(multi.ours.script(), @r#"exec "$IMG" layer --format gzip --compression-level default --gzip-members multi --add-from-file "$INPUT" --metadata metadata "$OUT""#);
    }
}
