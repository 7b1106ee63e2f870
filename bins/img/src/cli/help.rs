//! The texts of `--help`.

use std::fmt::Write as _;

use clap::builder::StyledStr;

use crate::cli::{Group, Subcommand};
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
    (Group::Registries, "Pull from registries and push to them"),
    (Group::Engines, "Load into container engines"),
    (Group::Deploy, "Prepare pushing and loading, and do it"),
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
            let about = about(subcommand);
            let _ = writeln!(text, "  {:width$}  {about}", subcommand.name);
        }
    }
    text.push_str(
        "\nEverywhere:\n  --verbose   say more on standard error\n  --insecure  let the registries that a command names go without TLS\n  \
         --help      `img <command> --help` lists the flags of a command\n  --version   print the version\n",
    );
    text
}

/// The commands whose first word is `group`; `None` if there is none.
pub(crate) fn of_group(group: &str) -> Option<String> {
    let mut text = String::new();
    for subcommand in commands::TABLE {
        let first = subcommand.name.split_once(' ').map(|(first, _)| first);
        if first == Some(group) {
            let about = about(subcommand);
            let _ = writeln!(text, "  img {}  {about}", subcommand.name);
        }
    }
    (!text.is_empty()).then(|| format!("Usage: img {group} <command> [flags] …\n\n{text}"))
}

/// The help of one command.
pub(crate) fn of_command(subcommand: &Subcommand) -> String {
    let mut text = subcommand.command().render_long_help().to_string();
    let members = of_group(subcommand.name);
    if let Some(members) = members.filter(|_| !subcommand.name.contains(' ')) {
        let (_, lines) = members.split_once("\n\n").unwrap_or_default();
        let _ = write!(text, "\nAlso:\n{lines}");
    }
    if subcommand.worker {
        text.push_str(
            "\nWith --persistent_worker it answers the requests of a Bazel build on standard input.\n",
        );
    }
    text
}

fn about(subcommand: &Subcommand) -> StyledStr {
    let command = subcommand.command();
    command.get_about().cloned().unwrap_or_default()
}
