//! The name of a repository on its registry.

use std::fmt;
use std::str::FromStr;

use super::{MAX_NAME_LENGTH, ParseReferenceError};

/// The name of a repository on its registry: `library/debian`.
///
/// Lower case, components separated by slashes: safe as a part of a URL's path.
///
/// # Examples
///
/// ```
/// use imgcore::Repository;
///
/// let repository: Repository = "team/app".parse()?;
/// assert_eq!(repository.as_str(), "team/app");
/// assert!("../etc".parse::<Repository>().is_err());
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

impl Repository {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Repository {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split('/').try_for_each(check_component)?;
        if text.len() > MAX_NAME_LENGTH {
            return Err(ParseReferenceError::NameTooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

fn check_component(component: &str) -> Result<(), ParseReferenceError> {
    if component.is_empty() {
        return Err(ParseReferenceError::EmptyComponent);
    }
    if let Some(character) = component.chars().find(|&it| !may_stand_in_name(it)) {
        return Err(ParseReferenceError::Character { character });
    }
    if component.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ParseReferenceError::Uppercase {
            component: component.to_owned(),
        });
    }
    // The runs between letters and digits; the first and the last are what stands outside of them.
    let mut separators = component.split(|it: char| it.is_ascii_alphanumeric());
    let starts_well = separators.next() == Some("");
    let ends_well = separators.next_back() == Some("");
    if starts_well && ends_well && separators.all(is_separator) {
        return Ok(());
    }
    Err(ParseReferenceError::Separator {
        component: component.to_owned(),
    })
}

/// Capital letters have an error of their own, so they pass here.
fn may_stand_in_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

fn is_separator(run: &str) -> bool {
    matches!(run, "" | "." | "_" | "__") || run.bytes().all(|byte| byte == b'-')
}
