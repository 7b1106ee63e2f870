//! The command line: which subcommands there are, how their words are read, and the help.
//!
//! Words pass through [`grammar`], which takes what Go's flag parser takes and hands clap one
//! canonical form; clap knows the flags, their types and their help.

mod argument_file;
mod grammar;
mod help;
pub(crate) mod later;
mod usage;
pub(crate) mod value;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command};

use crate::commands;
use crate::context::Context;
use crate::report::Failure;
use crate::worker;

pub(crate) use argument_file::expand as expand_argument_file;
use grammar::{Grammar, Words};

/// The arguments of a subcommand, which know how to run.
pub(crate) trait Run: Args {
    /// Runs the subcommand.
    ///
    /// # Errors
    ///
    /// Fails with what a person should read; then no output is visible.
    fn run(self, context: &Context) -> Result<(), Failure>;
}

/// One line of the table of subcommands.
#[derive(Debug)]
pub(crate) struct Subcommand {
    /// One word, or two: `validate layer-presence`.
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    grammar: Grammar,
    usage_code: u8,
    argument_files: bool,
    worker: bool,
    augment: fn(Command) -> Command,
    run: fn(&ArgMatches, &Context) -> Result<(), Failure>,
}

/// What a person wants to do: the headings of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Build,
    Inspect,
    Layers,
    Documents,
    Layouts,
    Deploy,
    Registries,
    Engines,
    Shell,
}

impl Subcommand {
    /// A command for people: flags may stand anywhere, wrong usage exits 2.
    pub(crate) const fn for_people<T: Run>(name: &'static str, group: Group) -> Self {
        Self {
            name,
            group,
            grammar: Grammar::FlagsAnywhere,
            usage_code: 2,
            argument_files: false,
            worker: false,
            augment: T::augment_args,
            run: run_parsed::<T>,
        }
    }

    /// A command with the grammar of the Go tool: flags end at the first other word.
    /// `usage_code` is the exit code for an unknown flag or a bad value; what is missing exits 1.
    pub(crate) const fn for_builds<T: Run>(
        name: &'static str,
        group: Group,
        usage_code: u8,
    ) -> Self {
        Self {
            grammar: Grammar::FlagsFirst,
            usage_code,
            ..Self::for_people::<T>(name, group)
        }
    }

    /// Lets the command run as a persistent worker.
    pub(crate) const fn with_worker(self) -> Self {
        Self {
            worker: true,
            ..self
        }
    }

    /// Lets one `@file` bring further arguments.
    pub(crate) const fn with_argument_file(self) -> Self {
        Self {
            argument_files: true,
            ..self
        }
    }

    /// The flags and their help.
    pub(crate) fn command(&self) -> Command {
        let last_word = self.name.rsplit(' ').next().unwrap_or(self.name);
        (self.augment)(Command::new(last_word))
            .bin_name(format!("img {}", self.name))
            .args_override_self(true)
            .mut_args(say_that_it_repeats)
    }

    /// Reads the words and runs the command, in this process or for a worker's request.
    pub(crate) fn execute(
        &self,
        arguments: Vec<OsString>,
        context: &Context,
    ) -> Result<(), Failure> {
        let command = self.command();
        let words = grammar::normalise(&command, self.grammar, arguments)
            .map_err(|failure| self.usage_failure(failure))?;
        if words.verbose {
            context.report.set_verbose();
        }
        if words.insecure {
            context.set_insecure();
        }
        if words.help {
            return context.report.print(help::of_command(self));
        }
        let matches = command
            .no_binary_name(true)
            .try_get_matches_from(&words.arguments)
            .map_err(|error| self.parse_failure(&error, &words))?;
        (self.run)(&matches, context)
    }

    fn parse_failure(&self, error: &clap::Error, words: &Words) -> Failure {
        let late = || usage::late_flag(error, &self.command(), words.first_other_word()?);
        let failure = match self.grammar {
            Grammar::FlagsFirst => late(),
            Grammar::FlagsAnywhere => None,
        };
        let failure = self.usage_failure(failure.unwrap_or_else(|| usage::failure(error)));
        let is_bad_value = matches!(
            error.kind(),
            ErrorKind::InvalidValue | ErrorKind::ValueValidation
        ) && !usage::is_no_choice(error);
        // The Go tool looks for what is missing, and at words that are one of several, after it has parsed its flags.
        match self.grammar {
            Grammar::FlagsFirst if !is_bad_value => failure.with_code(1),
            _ => failure,
        }
    }

    fn usage_failure(&self, failure: Failure) -> Failure {
        failure
            .with_code(self.usage_code)
            .hint_if_none(format!("see `img {} --help`", self.name))
    }
}

/// Marks a flag that may be given several times.
fn say_that_it_repeats(argument: Arg) -> Arg {
    let is_list = matches!(argument.get_action(), ArgAction::Append);
    if argument.is_positional() || !is_list {
        return argument;
    }
    let Some(help) = argument.get_help().map(ToString::to_string) else {
        return argument;
    };
    argument.help(format!("{help} [repeatable]"))
}

fn run_parsed<T: Run>(matches: &ArgMatches, context: &Context) -> Result<(), Failure> {
    let arguments = T::from_arg_matches(matches).map_err(|error| usage::failure(&error))?;
    arguments.run(context)
}

/// Runs the program with the words after its name.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    let context = Context::of_process();
    match dispatch(words, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.report.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(mut words: Vec<OsString>, context: &Context) -> Result<(), Failure> {
    // Global flags may stand in front of the command.
    while let Some(first) = words.first().and_then(|word| word.to_str()) {
        match first {
            "--verbose" | "-verbose" => context.report.set_verbose(),
            "--insecure" | "-insecure" => context.set_insecure(),
            _ => break,
        }
        words.remove(0);
    }
    let Some(first) = words.first().and_then(|word| word.to_str()) else {
        context.report.error_text(help::overview());
        return Err(Failure::silent());
    };
    match first {
        "help" | "--help" | "-help" | "-h" => return help_about(&words[1..], context),
        "version" | "--version" | "-version" | "-V" => {
            return context
                .report
                .print(format_args!("img {}\n", env!("CARGO_PKG_VERSION")));
        }
        _ => {}
    }
    if let [group, "help" | "--help" | "-help" | "-h"] = words_as_text(&words)[..]
        && find(&words[..1]).is_err()
        && let Some(text) = help::of_group(group)
    {
        return context.report.print(text);
    }
    let (subcommand, arguments) = find(&words)?;
    if subcommand.worker && arguments.iter().any(|word| worker::is_start_flag(word)) {
        return worker::run(subcommand, arguments, context);
    }
    let arguments = if subcommand.argument_files {
        expand_argument_file(arguments, context)?
    } else if subcommand.worker {
        argument_file::expand_only_word(arguments, context)?
    } else {
        arguments
    };
    subcommand.execute(arguments, context)
}

fn help_about(words: &[OsString], context: &Context) -> Result<(), Failure> {
    if words.is_empty() {
        return context.report.print(help::overview());
    }
    if let [group] = words_as_text(words)[..]
        && find(words).is_err()
        && let Some(text) = help::of_group(group)
    {
        return context.report.print(text);
    }
    let (subcommand, _) = find(words)?;
    context.report.print(help::of_command(subcommand))
}

/// The words as far as they are text: names of commands are.
fn words_as_text(words: &[OsString]) -> Vec<&str> {
    words.iter().filter_map(|word| word.to_str()).collect()
}

/// Finds the subcommand that the first one or two words name, and the words after them.
fn find(words: &[OsString]) -> Result<(&'static Subcommand, Vec<OsString>), Failure> {
    let name = words[0].to_string_lossy();
    let second = words.get(1).map(|word| word.to_string_lossy());
    let mut of_one_word = None;
    for subcommand in commands::TABLE {
        match subcommand.name.split_once(' ') {
            None if subcommand.name == name => of_one_word = Some(subcommand),
            Some((group, member)) if group == name && second.as_deref() == Some(member) => {
                return Ok((subcommand, words[2..].to_vec()));
            }
            _ => {}
        }
    }
    match of_one_word {
        Some(subcommand) => Ok((subcommand, words[1..].to_vec())),
        None => Err(unknown_command(&name, second.as_deref())),
    }
}

fn unknown_command(name: &str, second: Option<&str>) -> Failure {
    let members: Vec<&str> = commands::TABLE
        .iter()
        .filter_map(|subcommand| subcommand.name.split_once(' '))
        .filter(|(group, _)| *group == name)
        .map(|(_, member)| member)
        .collect();
    if !members.is_empty() {
        let message = match second {
            Some(second) => format!("unknown command `{name} {second}`"),
            None => format!("`{name}` needs to know what to do"),
        };
        return Failure::new(message).hint(format!("write `img {name} {}`", members.join("|")));
    }
    if name.starts_with('-') {
        let flag = name.split('=').next().unwrap_or(name);
        return Failure::new(format!("`{flag}` stands in front of the command"))
            .hint("write `img COMMAND` first, then its flags; `img --help` lists the commands");
    }
    if later::COMMANDS.contains(&name) {
        return Failure::new(format!("`{name}` is not built yet"))
            .hint("`img --help` lists what there is");
    }
    let names = commands::TABLE.iter().map(|subcommand| subcommand.name);
    let hint = match usage::closest(name, names) {
        Some(close) => format!("did you mean `{close}`?"),
        None => "`img --help` lists the commands".to_owned(),
    };
    Failure::new(format!("unknown command `{name}`")).hint(hint)
}

/// The whole tree of commands, for completions and man pages.
pub(crate) fn root_command() -> Command {
    let mut root = Command::new("img")
        .about("Builds, inspects and moves OCI container images")
        .version(env!("CARGO_PKG_VERSION"));
    for subcommand in commands::TABLE {
        root = match subcommand.name.split_once(' ') {
            None => root.subcommand(subcommand.command()),
            Some((group, _)) if root.find_subcommand(group).is_some() => {
                root.mut_subcommand(group, |parent| parent.subcommand(subcommand.command()))
            }
            Some((group, _)) => root.subcommand(
                Command::new(OsStr::new(group).to_string_lossy().into_owned())
                    .subcommand(subcommand.command()),
            ),
        };
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_well_formed_and_described() {
        root_command().debug_assert();
        for subcommand in commands::TABLE {
            let command = subcommand.command();
            assert!(
                command.get_about().is_some(),
                "{} has no description",
                subcommand.name
            );
            for argument in command.get_arguments() {
                let named = argument.get_help().is_some() || argument.get_id() == "help";
                assert!(
                    named,
                    "{} {} has no help",
                    subcommand.name,
                    argument.get_id()
                );
            }
        }
    }
}
