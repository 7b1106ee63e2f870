//! The texts of `--help`.

use std::fmt::Write as _;

use clap::Command;

use crate::cli::Group;
use crate::commands;

const GROUPS: &[(Group, &str)] = &[
    (Group::Build, "Build an image"),
    (Group::Inspect, "Look at images and layers"),
    (
        Group::Layers,
        "Make layers, step by step (what a Bazel build calls)",
    ),
    (Group::Documents, "Make manifests and indexes"),
    (Group::Layouts, "Write and convert layouts and archives"),
    (Group::Deploy, "Prepare pushing and loading"),
    (Group::Shell, "Set up your shell"),
];

/// The list of commands, by what a person wants to do.
pub(crate) fn overview() -> String {
    let mut text = String::from(
        "img builds, inspects and moves OCI container images.\n\nUsage: img <command> [flags] …\n",
    );
    let width = commands::TABLE.iter().map(|line| line.name.len()).max();
    let width = width.unwrap_or_default();
    for (group, heading) in GROUPS {
        let mut members = commands::TABLE
            .iter()
            .filter(|subcommand| subcommand.group == *group)
            .peekable();
        if members.peek().is_some() {
            let _ = write!(text, "\n{heading}:\n");
        }
        for subcommand in members {
            let about = subcommand
                .command()
                .get_about()
                .cloned()
                .unwrap_or_default();
            let _ = writeln!(text, "  {:width$}  {about}", subcommand.name);
        }
    }
    text.push_str(
        "\nEverywhere:\n  --verbose   say more on standard error\n  --insecure  talk to registries without TLS\n  \
         --help      `img <command> --help` lists the flags of a command\n  --version   print the version\n",
    );
    text
}

/// The help of one command.
pub(crate) fn of_command(mut command: Command) -> String {
    command.render_long_help().to_string()
}
