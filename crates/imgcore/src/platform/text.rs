//! The text of a platform: `linux/arm64/v8`, `windows(10.0.20348)/amd64`.

use std::fmt;
use std::str::FromStr;

use super::normal::{is_known_architecture, is_known_os, normal_architecture, normal_os};
use super::{ParsePlatformError, Platform};

impl Platform {
    /// Parses a text that may be an operating system or an architecture alone, and takes the rest from `host`.
    ///
    /// # Errors
    ///
    /// As parsing has, and [`ParsePlatformError::UnknownWord`] for a single word that is no known name.
    pub fn parse_with_host(text: &str, host: &Self) -> Result<Self, ParsePlatformError> {
        if text.contains('/') {
            return text.parse();
        }
        // The architecture's rule for characters is the wider one: `x86-64`, `x86_64`.
        let by_os = parse_os(text)?;
        if is_known_os(&by_os.os) {
            return Ok(Self {
                architecture: host.architecture.clone(),
                variant: host.variant.clone(),
                ..by_os
            });
        }
        let architecture = with_architecture(Self::new(&host.os, ""), text, None);
        if is_known_architecture(&architecture.architecture) {
            return Ok(architecture);
        }
        Err(ParsePlatformError::UnknownWord {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Platform {
    /// Writes the text that parses to this platform; features are sorted, and a platform without an operating system
    /// is `unknown`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.os.is_empty() {
            return f.write_str("unknown");
        }
        f.write_str(&self.os)?;
        let mut features: Vec<&str> = self.os_features.iter().map(String::as_str).collect();
        features.retain(|feature| !feature.is_empty());
        features.sort_unstable();
        let version = self.os_version.as_deref().unwrap_or_default();
        if !version.is_empty() || !features.is_empty() {
            write!(f, "({}", escape(version))?;
            for feature in features {
                write!(f, "+{}", escape(feature))?;
            }
            f.write_str(")")?;
        }
        for component in [&self.architecture, self.variant_text()] {
            if !component.is_empty() {
                write!(f, "/{component}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut components = text.split('/');
        let (Some(os), Some(architecture), variant, None) = (
            components.next(),
            components.next(),
            components.next(),
            components.next(),
        ) else {
            return Err(ParsePlatformError::Shape {
                text: text.to_owned(),
            });
        };
        let platform = parse_os(os)?;
        check_component(architecture)?;
        variant.map(check_component).transpose()?;
        Ok(with_architecture(platform, architecture, variant))
    }
}

/// Sets architecture and variant in the spelling that containerd's parser gives: `arm` stays without a variant, and a
/// variant that was written stays written.
fn with_architecture(platform: Platform, architecture: &str, variant: Option<&str>) -> Platform {
    let (architecture, normal) = normal_architecture(architecture, variant.unwrap_or_default());
    let variant = match (architecture.as_str(), normal.as_str(), variant) {
        ("arm", "v7", None) => String::new(),
        ("arm64", "", Some(_)) => "v8".to_owned(),
        _ => normal,
    };
    Platform {
        architecture,
        variant: Some(variant).filter(|variant| !variant.is_empty()),
        ..platform
    }
}

fn parse_os(text: &str) -> Result<Platform, ParsePlatformError> {
    let not_an_os = || ParsePlatformError::Os {
        text: text.to_owned(),
    };
    let (os, options) = match text.split_once('(') {
        Some((os, rest)) => (os, rest.strip_suffix(')').ok_or_else(not_an_os)?),
        None => (text, ""),
    };
    check_component(os)?;
    if os.contains('.') {
        return Err(not_an_os());
    }
    let mut options = options.split('+');
    let version = options.next().unwrap_or_default();
    let version = Some(unescape(version)?).filter(|version| !version.is_empty());
    let os_features: Vec<String> = options.map(unescape).collect::<Result<_, _>>()?;
    if os_features.iter().any(String::is_empty) {
        return Err(not_an_os());
    }
    Ok(Platform {
        os: normal_os(os),
        os_version: version,
        os_features,
        ..Platform::default()
    })
}

fn check_component(component: &str) -> Result<(), ParsePlatformError> {
    if !component.is_empty() && component.bytes().all(is_plain) {
        return Ok(());
    }
    Err(ParsePlatformError::Component {
        component: component.to_owned(),
    })
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

fn escape(text: &str) -> String {
    use fmt::Write;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn unescape(text: &str) -> Result<String, ParsePlatformError> {
    let bad_escape = || ParsePlatformError::Escape {
        text: text.to_owned(),
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            if !is_plain(byte) {
                return Err(ParsePlatformError::Component {
                    component: text.to_owned(),
                });
            }
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|it| char::from(it).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(bad_escape());
        };
        let byte = u8::try_from(high << 4 | low).expect("because both are below 16");
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| bad_escape())
}
