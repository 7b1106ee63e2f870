//! What a registry asks for: the headers `WWW-Authenticate`.
//!
//! The grammar is that of [RFC 9110, section 11.6.1][rfc]; the parameters of `Bearer` are those of the
//! [token authentication][token] that registries share.
//!
//! ```text
//! header     = [ challenge ] , { "," , [ challenge ] } ;
//! challenge  = token , [ SP , ( token68 | parameter , { "," , parameter } ) ] ;
//! parameter  = token , "=" , ( token | quoted-string ) ;
//! ```
//!
//! Real registries break it (values without quotes that need them, challenges without commas between), so
//! that [`parse`] takes what it can read and steps over the rest. It never fails: what is left out is a challenge
//! that could not be answered.
//!
//! [rfc]: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
//! [token]: https://distribution.github.io/distribution/spec/auth/token/

#[cfg(test)]
mod tests;

use std::fmt;

/// The most bytes of headers that are looked at.
const MAX_BYTES: usize = 16 * 1024;

/// The most challenges that are kept.
const MAX_CHALLENGES: usize = 16;

/// One way of authentication that the registry takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Challenge {
    /// User and password with every request.
    Basic {
        /// What the registry calls the area, for people.
        realm: Option<String>,
    },
    /// A token from a token server.
    Bearer(BearerChallenge),
    /// A scheme that this crate does not speak.
    Other {
        /// Its name, in lower case.
        scheme: String,
    },
}

/// Where to get a token, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BearerChallenge {
    /// Why the token that was sent is not good: `invalid_token`, `insufficient_scope`.
    pub error: Option<String>,
    /// The token server's URL as it was written, not yet checked: see [`realm::check`](super::realm::check).
    pub realm: Option<String>,
    /// What the token must be good for, as it was written: see [`Scope`](super::scope::Scope).
    pub scope: Option<String>,
    /// The name of the registry at its token server.
    pub service: Option<String>,
}

/// Reads all `WWW-Authenticate` headers of an answer, in their order.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::challenge::{parse, Challenge};
///
/// let header = br#"Basic realm="r", bearer realm="https://a.example/token",scope="repository:a:pull,push""#;
/// let challenges = parse([&header[..]]);
/// let [Challenge::Basic { .. }, Challenge::Bearer(bearer)] = &challenges[..] else { panic!() };
/// assert_eq!(bearer.realm.as_deref(), Some("https://a.example/token"));
/// assert_eq!(bearer.scope.as_deref(), Some("repository:a:pull,push"));
/// ```
pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut bytes = 0;
    for value in values {
        bytes += value.len();
        if bytes > MAX_BYTES {
            break;
        }
        Parser {
            rest: &String::from_utf8_lossy(value),
            open: None,
            found: &mut found,
        }
        .run();
    }
    found
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { realm } => write_challenge(f, "Basic", &[("realm", realm)]),
            Self::Bearer(bearer) => write_challenge(
                f,
                "Bearer",
                &[
                    ("realm", &bearer.realm),
                    ("service", &bearer.service),
                    ("scope", &bearer.scope),
                    ("error", &bearer.error),
                ],
            ),
            Self::Other { scheme } => f.write_str(scheme),
        }
    }
}

fn write_challenge(
    f: &mut fmt::Formatter<'_>,
    scheme: &str,
    parameters: &[(&str, &Option<String>)],
) -> fmt::Result {
    f.write_str(scheme)?;
    let mut separator = ' ';
    for (name, value) in parameters {
        if let Some(value) = value {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            write!(f, "{separator}{name}=\"{value}\"")?;
            separator = ',';
        }
    }
    Ok(())
}

/// A challenge whose parameters are still being read.
struct Open {
    scheme: String,
    parameters: Vec<(String, String)>,
    /// The last value had no quotes: what follows its comma may still belong to it.
    is_bare: bool,
}

struct Parser<'a, 'b> {
    rest: &'a str,
    open: Option<Open>,
    found: &'b mut Vec<Challenge>,
}

impl<'a> Parser<'a, '_> {
    fn run(mut self) {
        let mut after_comma = true;
        loop {
            let separators = self.take_while(|it| it == ',' || it.is_whitespace());
            after_comma |= separators.contains(',');
            if self.rest.is_empty() {
                break;
            }
            let word = self.take_while(is_token);
            if word.is_empty() {
                self.skip_junk();
            } else if let Some(value) = self.value() {
                self.parameter(word, value);
            } else {
                self.word(word, after_comma);
            }
            after_comma = false;
        }
        self.close();
    }

    /// A token without a value begins a challenge, but for the two that do not.
    fn word(&mut self, word: &str, after_comma: bool) {
        if let Some(open) = &mut self.open {
            if open.continues_scope(word) {
                return;
            }
            if !after_comma && open.parameters.is_empty() && !is_known(word) {
                // `Negotiate YIIx`: data, not a scheme. It does not end the challenge.
                return;
            }
        }
        self.close();
        self.open = Some(Open {
            scheme: word.to_ascii_lowercase(),
            parameters: Vec::new(),
            is_bare: false,
        });
    }

    /// A parameter of no challenge is dropped, and so is one that was there before.
    fn parameter(&mut self, name: &str, (value, is_bare): (String, bool)) {
        let Some(open) = &mut self.open else {
            return;
        };
        let name = name.to_ascii_lowercase();
        if !open.parameters.iter().any(|(known, _)| *known == name) {
            open.parameters.push((name, value));
            open.is_bare = is_bare;
        }
    }

    /// Takes `=` and what follows it, with or without quotes; the flag says without.
    fn value(&mut self) -> Option<(String, bool)> {
        let rest = self.rest.trim_start().strip_prefix('=')?;
        self.rest = rest.trim_start();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (value, rest) = unquote(quoted);
            self.rest = rest;
            return Some((value, false));
        }
        let value = self.take_while(|it| it != ',' && !it.is_whitespace());
        Some((value.to_owned(), true))
    }

    /// Steps over a quoted text as a whole, so that nothing in it is read as a challenge.
    fn skip_junk(&mut self) {
        let mut characters = self.rest.chars();
        self.rest = match characters.next() {
            Some('"') => unquote(characters.as_str()).1,
            _ => characters.as_str(),
        };
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|it| !belongs(it)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take()
            && self.found.len() < MAX_CHALLENGES
        {
            self.found.push(open.into_challenge());
        }
    }
}

impl Open {
    /// `scope=repository:a:pull,push` without quotes: the comma is the scope's own.
    fn continues_scope(&mut self, word: &str) -> bool {
        let is_bare = self.is_bare;
        match self.parameters.last_mut() {
            Some((name, value))
                if is_bare && name == "scope" && matches!(word, "pull" | "push" | "delete") =>
            {
                value.push(',');
                value.push_str(word);
                true
            }
            _ => false,
        }
    }

    fn into_challenge(mut self) -> Challenge {
        let mut take = |name: &str| {
            let at = self.parameters.iter().position(|(known, _)| known == name);
            at.map(|at| self.parameters.swap_remove(at).1)
        };
        match self.scheme.as_str() {
            "basic" => Challenge::Basic {
                realm: take("realm"),
            },
            "bearer" => Challenge::Bearer(BearerChallenge {
                error: take("error"),
                realm: take("realm"),
                scope: take("scope"),
                service: take("service"),
            }),
            _ => Challenge::Other {
                scheme: self.scheme,
            },
        }
    }
}

fn is_known(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("basic") || scheme.eq_ignore_ascii_case("bearer")
}

/// Reads to the closing quote and gives the text behind it; a quote that never closes takes all.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            _ => value.push(character),
        }
    }
    (value, characters.as_str())
}

/// A character of `token` (RFC 9110, section 5.6.2).
fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}
