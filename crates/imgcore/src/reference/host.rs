//! The host of a registry.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::ParseReferenceError;

/// The host of a registry, with its port where one is written.
///
/// The text stays as it was written, capital letters included; nothing is looked up.
///
/// # Examples
///
/// ```
/// use imgcore::RegistryHost;
///
/// let host: RegistryHost = "[2001:db8::1]:5000".parse()?;
/// assert_eq!(host.name(), "[2001:db8::1]");
/// assert_eq!(host.port(), Some(5000));
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryHost {
    text: String,
    /// Where the name ends: at the colon of the port, or at the end of the text.
    name_length: usize,
    port: Option<u16>,
}

impl RegistryHost {
    /// Returns the text, with the port.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the domain or address without the port; an IPv6 address keeps its brackets.
    pub fn name(&self) -> &str {
        &self.text[..self.name_length]
    }

    /// Returns the port, where one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for RegistryHost {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, port) = split_port(text);
        if name.starts_with('[') {
            check_ipv6(name)?;
        } else if !is_domain(name) {
            return Err(ParseReferenceError::Host {
                host: name.to_owned(),
            });
        }
        Ok(Self {
            text: text.to_owned(),
            name_length: name.len(),
            port: port.map(parse_port).transpose()?,
        })
    }
}

/// Splits at the colon of the port; the colons inside of brackets belong to an address.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    }
}

fn parse_port(text: &str) -> Result<u16, ParseReferenceError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|&port| port != 0 && is_number)
        .ok_or_else(|| ParseReferenceError::Port {
            port: text.to_owned(),
        })
}

/// Takes plain IPv6 addresses: no zone (`%eth0`) and no IPv4 tail, as the reference grammar has it.
fn check_ipv6(name: &str) -> Result<(), ParseReferenceError> {
    let is_address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|address| !address.contains('.') && address.parse::<Ipv6Addr>().is_ok());
    if is_address {
        return Ok(());
    }
    Err(ParseReferenceError::Ipv6 {
        address: name.to_owned(),
    })
}

fn is_domain(name: &str) -> bool {
    name.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}
