//! The words of a command line, brought into the one form that clap is given.
//!
//! A build speaks to `img` in the grammar of Go's flag package:
//!
//! ```ebnf
//! words      = { flag | switch } , [ "--" ] , { word } ;
//! flag       = dashes , name , ( "=" , value | <next word> , value ) ;
//! switch     = dashes , name , [ "=" , boolean ] ;
//! dashes     = "-" | "--" ;
//! boolean    = "1" | "t" | "T" | "true" | "TRUE" | "True"
//!            | "0" | "f" | "F" | "false" | "FALSE" | "False" ;
//! ```
//!
//! A value may be empty or start with `-` (an empty path is none: the flag counts as absent); the first word that is no flag ends the flags (for the
//! commands that people write, flags may stand anywhere). `--verbose` and `--insecure` are taken
//! anywhere before a `--`, but never where they are the value of a flag.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{ArgAction, Command};

use crate::cli::usage;
use crate::report::Failure;
use crate::sys;

/// Where flags may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grammar {
    FlagsAnywhere,
    FlagsFirst,
}

/// What the words say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// `--flag=value` and `--switch` words in their order, then `--` and the other words.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) help: bool,
    pub(crate) insecure: bool,
    pub(crate) verbose: bool,
}

impl Words {
    /// Returns the first word that is no flag.
    pub(crate) fn first_other_word(&self) -> Option<&OsStr> {
        let mut words = self.arguments.iter();
        words.find(|word| *word == "--")?;
        words.next().map(OsString::as_os_str)
    }
}

/// Reads the words of a subcommand; `command` says which flags there are.
///
/// # Errors
///
/// Fails on an unknown flag, a flag without its value and a value that a switch cannot have.
pub(crate) fn normalise(
    command: &Command,
    grammar: Grammar,
    words: Vec<OsString>,
) -> Result<Words, Failure> {
    let mut reader = Reader {
        flags: Flags::of(command),
        switches: BTreeMap::new(),
        flag_words: Vec::new(),
        other_words: Vec::new(),
        result: Words::default(),
    };
    let mut words = words.into_iter();
    let mut flags_ended = false;
    while let Some(word) = words.next() {
        if word == "--" {
            reader.other_words.extend(words);
            break;
        }
        if flags_ended && global(&word).is_none() || !looks_like_flag(&word) {
            flags_ended |= grammar == Grammar::FlagsFirst;
            reader.other_words.push(word);
        } else {
            reader.flag(&word, &mut words)?;
            if reader.result.help {
                // Whoever asks for help is not told what else is wrong.
                break;
            }
        }
    }
    Ok(reader.finish())
}

fn looks_like_flag(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-") && word != "-"
}

/// The global flag that a word is, if it is one.
fn global(word: &OsStr) -> Option<&str> {
    match word.to_str()?.trim_start_matches('-') {
        name @ ("insecure" | "verbose") => Some(name),
        _ => None,
    }
    .filter(|name| looks_like_flag(word) && word.len() <= name.len() + 2)
}

struct Reader {
    flags: Flags,
    /// The last value of each switch.
    switches: BTreeMap<String, bool>,
    flag_words: Vec<OsString>,
    other_words: Vec<OsString>,
    result: Words,
}

impl Reader {
    fn flag(
        &mut self,
        word: &OsStr,
        following: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), Failure> {
        let (written, value) = match sys::split_at_equals(word) {
            Some((name, value)) => (name, Some(value)),
            None => (word.to_owned(), None),
        };
        let name = name_of(&written)?;
        match self.flags.find(name) {
            Some((long, Kind::Switch)) => {
                let on = value.map_or(Ok(true), |value| boolean(&written, &value))?;
                self.switches.insert(long, on);
            }
            Some((long, Kind::Value)) => {
                let value = value
                    .or_else(|| following.next())
                    .ok_or_else(|| Failure::new(format!("--{long}: its value is missing")))?;
                if value.is_empty() && self.flags.takes_one_path(&long) {
                    // No file has an empty name: the flag is as if it were not there.
                    self.forget(&long);
                    return Ok(());
                }
                let mut flag = OsString::from(format!("--{long}="));
                flag.push(value);
                self.flag_words.push(flag);
            }
            None => self.built_in(name, &written, value.as_deref())?,
        }
        Ok(())
    }

    fn forget(&mut self, long: &str) {
        let start = format!("--{long}=");
        let is_it = |word: &OsString| word.as_encoded_bytes().starts_with(start.as_bytes());
        self.flag_words.retain(|word| !is_it(word));
    }

    /// The flags that every command has.
    fn built_in(
        &mut self,
        name: &str,
        written: &OsStr,
        value: Option<&OsStr>,
    ) -> Result<(), Failure> {
        let on = |value: Option<&OsStr>| value.map_or(Ok(true), |value| boolean(written, value));
        match name {
            "h" | "help" => self.result.help = on(value)?,
            "verbose" => self.result.verbose = on(value)?,
            "insecure" => self.result.insecure = on(value)?,
            _ => return Err(self.flags.unknown(name)),
        }
        Ok(())
    }

    fn finish(mut self) -> Words {
        let switched_on = self.switches.into_iter().filter(|(_, on)| *on);
        self.flag_words
            .extend(switched_on.map(|(long, _)| format!("--{long}").into()));
        self.flag_words.push("--".into());
        self.flag_words.append(&mut self.other_words);
        self.result.arguments = self.flag_words;
        self.result
    }
}

fn name_of(written: &OsStr) -> Result<&str, Failure> {
    let bad = || Failure::new(format!("bad flag `{}`", written.to_string_lossy()));
    let text = written.to_str().ok_or_else(bad)?;
    let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-'));
    match name {
        Some(name) if !name.is_empty() && !name.starts_with('-') => Ok(name),
        _ => Err(bad()),
    }
}

fn boolean(written: &OsStr, value: &OsStr) -> Result<bool, Failure> {
    match value.to_str() {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        _ => {
            let (flag, value) = (written.to_string_lossy(), value.to_string_lossy());
            Err(Failure::new(format!("{flag}: bad value `{value}`"))
                .hint(format!("write {flag}, {flag}=true or {flag}=false")))
        }
    }
}

/// The flags of a command by each of their names.
struct Flags {
    by_name: BTreeMap<String, (String, Kind)>,
    /// Those that take a path and are not repeated.
    paths: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Switch,
    Value,
}

impl Flags {
    fn of(command: &Command) -> Self {
        let mut by_name = BTreeMap::new();
        let mut paths = BTreeSet::new();
        for argument in command.get_arguments() {
            let Some(long) = argument.get_long() else {
                continue;
            };
            let kind = match argument.get_action() {
                ArgAction::Set | ArgAction::Append => Kind::Value,
                _ => Kind::Switch,
            };
            let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
            if is_path && matches!(argument.get_action(), ArgAction::Set) {
                paths.insert(long.to_owned());
            }
            let aliases = argument.get_all_aliases().unwrap_or_default();
            let short = argument.get_short().map(String::from);
            let names = aliases.into_iter().map(String::from).chain(short);
            for name in names.chain([long.to_owned()]) {
                by_name.insert(name, (long.to_owned(), kind));
            }
        }
        Self { by_name, paths }
    }

    fn find(&self, name: &str) -> Option<(String, Kind)> {
        self.by_name.get(name).cloned()
    }

    fn takes_one_path(&self, long: &str) -> bool {
        self.paths.contains(long)
    }

    fn unknown(&self, name: &str) -> Failure {
        let failure = Failure::new(format!("unknown flag --{name}"));
        match usage::closest(name, self.by_name.values().map(|(long, _)| long.as_str())) {
            Some(close) => failure.hint(format!("did you mean --{close}?")),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests;
