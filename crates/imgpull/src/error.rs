//! The error of this crate: what was wanted, and why each place that could have had it did not give it.

use std::error::Error as StdError;
use std::fmt;

use imgstore::ErrorKind;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be pulled.
///
/// [`kind`](Self::kind) is what a caller may match on: it is the kind of the first attempt that says more than that
/// the thing is not there. [`attempts`](Self::attempts) has the reason of every place that was asked.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    what: String,
    attempts: Vec<Attempt>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// A place that was asked, and why it did not help.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The name of the place, as its [`Origin`](crate::Origin) has it.
    pub origin: String,
    /// Why it did not help.
    pub error: imgstore::Error,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            what: what.into(),
            attempts: Vec::new(),
            source: None,
        }))
    }

    /// Makes the error of a thing that no place gave.
    pub(crate) fn no_origin(what: impl Into<String>, attempts: Vec<Attempt>) -> Self {
        let mut kinds = attempts.iter().map(|attempt| attempt.error.kind());
        let telling = kinds.find(|kind| !matches!(kind, ErrorKind::NotFound));
        let kind = telling.unwrap_or(ErrorKind::NotFound);
        let mut error = Self::new(kind, what);
        error.0.attempts = attempts;
        error
    }

    /// Makes an error of one cause.
    pub(crate) fn because(what: impl Into<String>, cause: imgstore::Error) -> Self {
        let mut error = Self::new(cause.kind(), what);
        error.0.source = Some(Box::new(cause));
        error
    }

    /// Returns who must act.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns every place that was asked, in order, with its reason.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// Takes the error across the traits of imgstore.
    pub(crate) fn into_store_error(self) -> imgstore::Error {
        imgstore::Error::new(self.kind(), self.to_string()).with_source(self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        // One reason is the source; several cannot be.
        let [_, _, ..] = self.0.attempts.as_slice() else {
            return Ok(());
        };
        for attempt in &self.0.attempts {
            write!(
                f,
                "\n  {}: {}",
                attempt.origin,
                imgstore::with_causes(&attempt.error)
            )?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.attempts.as_slice() {
            [only] => Some(&only.error),
            _ => self.0.source.as_deref().map(|source| source as _),
        }
    }
}

impl From<imgstore::Error> for Error {
    fn from(error: imgstore::Error) -> Self {
        let kind = error.kind();
        let source = StdError::source(&error).map(|cause| cause.to_string().into());
        Self(Box::new(Parts {
            kind,
            what: error.to_string(),
            attempts: Vec::new(),
            source,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(origin: &str, kind: ErrorKind, text: &str) -> Attempt {
        Attempt {
            origin: origin.to_owned(),
            error: imgstore::Error::new(kind, text),
        }
    }

    #[test]
    fn every_reason_is_told() {
        let error = Error::no_origin(
            "no source has layer 1",
            vec![
                attempt("app@one.example", ErrorKind::NotFound, "not there"),
                attempt("app@two.example", ErrorKind::Denied, "status 403"),
            ],
        );
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.attempts().len(), 2);
        insta::assert_snapshot!(error, @r"
        no source has layer 1
          app@one.example: not there
          app@two.example: status 403
        ");
        assert!(error.source().is_none());
    }

    #[test]
    fn the_only_reason_is_the_source() {
        let only = vec![attempt("app@one.example", ErrorKind::NotFound, "not there")];
        let error = Error::no_origin("cannot pull app:1", only);
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            imgstore::with_causes(&error),
            "cannot pull app:1: not there"
        );
    }
}
