//! The values of a build file that are more than text. They are parsed while the file is read, so that an error has its
//! place.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use imgcore::assemble::canonical_timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, Error as _, MapAccess, Visitor};

/// A value that is written as a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Text<T>(pub(crate) T);

impl<'de, T> Deserialize<'de> for Text<T>
where
    T: FromStr,
    T::Err: Error,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T> Visitor<'_> for TextVisitor<T>
where
    T: FromStr,
    T::Err: Error,
{
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map(Text).map_err(|error: T::Err| {
            let mut message = format!("`{text}`: {error}");
            if let Some(cause) = error.source() {
                message = format!("{message}: {cause}");
            }
            E::custom(message)
        })
    }
}

/// A point in time, in the one spelling that images have: a text or a date and time of TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) String);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl<'de> Visitor<'de> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
        canonical_timestamp(text).map(Time).map_err(E::custom)
    }

    /// Takes what `toml` makes of a time without quotes.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Time, A::Error> {
        let time = toml::value::Datetime::deserialize(MapAccessDeserializer::new(map))
            .map_err(|_| A::Error::custom(ParseValueError::Time))?;
        self.visit_str(&time.to_string())
    }
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseValueError {
    #[error("write a time like 30s, 1m30s or 500ms")]
    Duration,
    #[error("write the permission bits in octal, like 0644")]
    Mode,
    #[error("a path of the image cannot hold a NUL character")]
    Nul,
    #[error("write user and group as numbers, like 1000:1000")]
    Owner,
    #[error("no user or group has a number above 4294967295")]
    OwnerIsTooLarge,
    #[error("`..` cannot stand in a path of the image")]
    Parent,
    #[error("`{{os}}`, `{{arch}}` and `{{variant}}` are filled in only in `from`")]
    Placeholder,
    #[error("write a port like 80 or 53/udp")]
    Port,
    #[error("write a time like 2031-05-06T07:08:09Z")]
    Time,
}

/// A path inside of the image: relative to its root, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ImagePath {
    text: String,
    is_directory: bool,
}

impl ImagePath {
    /// Returns the components joined by slashes, without one at either end; empty for the root.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the path can only be a directory: it was written with a slash at its end, or is the root.
    pub(crate) fn is_directory(&self) -> bool {
        self.is_directory
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.text)
    }
}

impl FromStr for ImagePath {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('\0') {
            return Err(ParseValueError::Nul);
        }
        let components: Vec<&str> = text
            .split('/')
            .filter(|component| !matches!(*component, "" | "."))
            .collect();
        if components.contains(&"..") {
            return Err(ParseValueError::Parent);
        }
        let placeholders = ["{os}", "{arch}", "{variant}"];
        if placeholders.iter().any(|it| text.contains(it)) {
            return Err(ParseValueError::Placeholder);
        }
        Ok(Self {
            text: components.join("/"),
            is_directory: components.is_empty() || text.ends_with('/'),
        })
    }
}

/// Permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mode(pub(crate) u32);

impl FromStr for Mode {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseValueError::Mode);
        }
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(Self(mode)),
            _ => Err(ParseValueError::Mode),
        }
    }
}

/// User and group, as numbers: the image's own user database is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Owner {
    pub(crate) user: u64,
    pub(crate) group: u64,
}

impl FromStr for Owner {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (user, group) = text.split_once(':').unwrap_or((text, text));
        Ok(Self {
            user: owner(user)?,
            group: owner(group)?,
        })
    }
}

/// A port that the program listens on: `80/tcp`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Port(pub(crate) String);

impl FromStr for Port {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let is_port = number(port).is_some_and(|port| (1..=65535).contains(&port));
        if !is_port || !matches!(protocol, "tcp" | "udp" | "sctp") {
            return Err(ParseValueError::Port);
        }
        Ok(Self(format!("{port}/{protocol}")))
    }
}

/// A span of time, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Duration(pub(crate) u64);

impl FromStr for Duration {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (value, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at(letters);
            total = number(value)
                .and_then(|value| value.checked_mul(nanoseconds(unit)?))
                .and_then(|part| total.checked_add(part))
                .ok_or(ParseValueError::Duration)?;
            rest = after;
        }
        // Docker keeps the times of a health check as signed numbers.
        if text.is_empty() || i64::try_from(total).is_err() {
            return Err(ParseValueError::Duration);
        }
        Ok(Self(total))
    }
}

fn nanoseconds(unit: &str) -> Option<u64> {
    const SECOND: u64 = 1_000_000_000;
    Some(match unit {
        "h" => 3600 * SECOND,
        "m" => 60 * SECOND,
        "s" => SECOND,
        "ms" => SECOND / 1_000,
        "us" => SECOND / 1_000_000,
        _ => return None,
    })
}

/// Parses the number of a user or group, which systems keep in 32 bits.
fn owner(text: &str) -> Result<u64, ParseValueError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        _ if !is_number => Err(ParseValueError::Owner),
        Ok(number) => Ok(number.into()),
        Err(_) => Err(ParseValueError::OwnerIsTooLarge),
    }
}

/// Parses digits alone: no sign, unlike the standard library.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_paths_are_relative_to_the_root() {
        let check = |text: &str, expected: Result<(&str, bool), ParseValueError>| {
            let path = text.parse::<ImagePath>();
            let path = path.as_ref().map(|it| (it.as_str(), it.is_directory()));
            assert_eq!(path.map_err(|error| *error), expected, "{text}");
        };
        check("/usr/bin/hello", Ok(("usr/bin/hello", false)));
        check("usr//./bin/", Ok(("usr/bin", true)));
        check("/", Ok(("", true)));
        check("", Ok(("", true)));
        check("/a/..b", Ok(("a/..b", false)));
        check("/a/../b", Err(ParseValueError::Parent));
        check("..", Err(ParseValueError::Parent));
        check("a\0b", Err(ParseValueError::Nul));
        check("/lib/{arch}/a", Err(ParseValueError::Placeholder));
        check("/lib/{a}", Ok(("lib/{a}", false)));
    }

    #[test]
    fn modes_are_octal() {
        let check = |text: &str, expected: Option<u32>| {
            assert_eq!(
                text.parse::<Mode>().ok().map(|mode| mode.0),
                expected,
                "{text}"
            );
        };
        check("0755", Some(0o755));
        check("755", Some(0o755));
        check("0o4755", Some(0o4755));
        check("0", Some(0));
        check("", None);
        check("u+x", None);
        check("+755", None);
        check("0789", None);
        check("100644", None);
    }

    #[test]
    fn owners_are_numbers() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            let owner = text.parse::<Owner>().ok();
            assert_eq!(owner.map(|it| (it.user, it.group)), expected, "{text}");
        };
        check("1000:100", Some((1000, 100)));
        check("1000", Some((1000, 1000)));
        check("0:0", Some((0, 0)));
        check("", None);
        check("root", None);
        check("1:", None);
        check("-1:1", None);
        check("+1", None);
        check("4294967295", Some((4_294_967_295, 4_294_967_295)));
        check("0:4294967296", None);
        check("99999999999999999999999", None);
    }

    #[test]
    fn ports_have_a_protocol() {
        let check = |text: &str, expected: Option<&str>| {
            let port = text.parse::<Port>().ok();
            assert_eq!(port.as_ref().map(|it| it.0.as_str()), expected, "{text}");
        };
        check("80", Some("80/tcp"));
        check("53/udp", Some("53/udp"));
        check("0", None);
        check("65536", None);
        check("80-90", None);
        check("80/http", None);
    }

    #[test]
    fn durations_have_units() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(
                text.parse::<Duration>().ok().map(|it| it.0),
                expected,
                "{text}"
            );
        };
        check("30s", Some(30_000_000_000));
        check("1m30s", Some(90_000_000_000));
        check("500ms", Some(500_000_000));
        check("0s", Some(0));
        check("", None);
        check("30", None);
        check("s", None);
        check("-1s", None);
        check("9999999h", None);
        check("99999999999999999999s", None);
        check("1ö", None);
    }
}
