//! What to do with a value that the base image may have too.

/// The word that stands for "what the base has" where only texts can be given, as on a command line.
pub const INHERIT: &str = "<inherit from base>";

/// What becomes of a member of the config.
///
/// # Examples
///
/// ```
/// use imgcore::assemble::Setting;
///
/// assert_eq!(Setting::from_word(Some("app".to_owned())), Setting::Set("app".to_owned()));
/// assert_eq!(Setting::from_word(Some("<inherit from base>".to_owned())), Setting::Inherit);
/// assert_eq!(Setting::<String>::from_word(None), Setting::Unset);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a member is kept, replaced or removed"
)]
pub enum Setting<T> {
    /// It stays what the base (and the fragment) has.
    #[default]
    Inherit,
    /// It becomes this.
    Set(T),
    /// It is removed.
    Unset,
}

impl Setting<String> {
    /// Takes the words of a command line: absent or empty removes, [`INHERIT`] keeps.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::assemble::Setting;
    ///
    /// assert_eq!(Setting::from_word(Some("<inherit from base>".to_owned())), Setting::Inherit);
    /// ```
    pub fn from_word(word: Option<String>) -> Self {
        match word {
            Some(word) if word == INHERIT => Self::Inherit,
            Some(word) if !word.is_empty() => Self::Set(word),
            _ => Self::Unset,
        }
    }

    /// Returns what the member becomes, where `inherited` is what it would be.
    pub(super) fn apply(&self, inherited: &str) -> String {
        match self {
            Self::Inherit => inherited.to_owned(),
            Self::Set(text) => text.clone(),
            Self::Unset => String::new(),
        }
    }
}

impl Setting<Vec<String>> {
    /// Takes the words of a command line: none removes, [`INHERIT`] alone keeps; among others it stands for the words
    /// that the base has.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::assemble::Setting;
    ///
    /// assert_eq!(Setting::from_words(Vec::new()), Setting::Unset);
    /// let words = vec!["/init".to_owned(), "<inherit from base>".to_owned()];
    /// assert_eq!(Setting::from_words(words.clone()), Setting::Set(words));
    /// ```
    pub fn from_words(words: Vec<String>) -> Self {
        match words.as_slice() {
            [] => Self::Unset,
            [word] if word == INHERIT => Self::Inherit,
            _ => Self::Set(words),
        }
    }

    /// Returns what the member becomes, where `inherited` is what it would be.
    pub(super) fn apply(&self, inherited: &[String]) -> Vec<String> {
        let words = match self {
            Self::Inherit => return inherited.to_vec(),
            Self::Set(words) => words,
            Self::Unset => return Vec::new(),
        };
        let mut expanded = Vec::with_capacity(words.len());
        for word in words {
            if word == INHERIT {
                expanded.extend_from_slice(inherited);
            } else {
                expanded.push(word.clone());
            }
        }
        expanded
    }
}
