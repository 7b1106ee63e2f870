//! Messages about words that cannot be used.

use std::ffi::OsStr;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::value::NO_EQUALS_SIGN;
use crate::report::Failure;

/// Says in one line what clap found wrong.
pub(crate) fn failure(error: &clap::Error) -> Failure {
    let argument = context(error, ContextKind::InvalidArg);
    let value = context(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::MissingRequiredArgument => Failure::new(format!("missing {argument}")),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let flag = argument.split(' ').next().unwrap_or(&argument);
            if value.is_empty() {
                return Failure::new(format!("{flag}: its value is empty"));
            }
            let failure = Failure::new(format!("{flag}: bad value `{value}`"));
            match std::error::Error::source(error) {
                Some(source) => failure.because(with_form(source.to_string(), &argument)),
                None => with_choices(failure, error),
            }
        }
        ErrorKind::UnknownArgument => Failure::new(format!("unexpected word `{argument}`")),
        ErrorKind::ArgumentConflict => {
            let other = context(error, ContextKind::PriorArg);
            Failure::new(format!("{argument} and {other} exclude each other"))
        }
        _ => Failure::new(first_line(error)),
    }
}

/// Returns whether a value is none of the words that its flag takes. Truth values are no words here.
pub(crate) fn is_no_choice(error: &clap::Error) -> bool {
    let choices = context(error, ContextKind::ValidValue);
    error.kind() == ErrorKind::InvalidValue
        && !context(error, ContextKind::InvalidValue).is_empty()
        && !choices.is_empty()
        && !choices.split(", ").any(|choice| choice == "true")
}

/// Says that a flag stands behind `word`, which ended the flags, if that is what is wrong.
pub(crate) fn late_flag(error: &clap::Error, command: &Command, word: &OsStr) -> Option<Failure> {
    let flag = context(error, ContextKind::InvalidArg);
    if error.kind() != ErrorKind::UnknownArgument || !flag.starts_with('-') {
        return None;
    }
    let word = word.to_string_lossy();
    let failure = Failure::new(format!("`{flag}` stands behind `{word}`"));
    let last = command.get_positionals().last()?;
    let names = last.get_value_names().unwrap_or_default();
    Some(match names.first() {
        Some(name) => failure.hint(format!("flags come first, {name} last")),
        None => failure.hint("flags come first"),
    })
}

/// Adds the form that `argument`, like `--add <PATH=FILE>`, has in its help.
fn with_form(reason: String, argument: &str) -> String {
    let form = argument
        .split_once('<')
        .and_then(|(_, form)| form.strip_suffix('>'));
    match form {
        Some(form) if reason == NO_EQUALS_SIGN => format!("{reason}; write {form}"),
        _ => reason,
    }
}

fn with_choices(failure: Failure, error: &clap::Error) -> Failure {
    let choices = context(error, ContextKind::ValidValue);
    if choices.is_empty() {
        return failure;
    }
    failure.hint(format!("one of: {choices}"))
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

/// Returns the name that was probably meant.
pub(crate) fn closest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close_enough = word.chars().count().div_ceil(4);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, _)| *distance <= close_enough)
        .min()
        .map(|(_, name)| name)
}
