//! The platform of an image that has a base.

use super::{Error, invalid};
use crate::Platform;

/// Returns the platform of the image: what is asked for, where that is silent what the base has.
pub(super) fn resolve(
    asked: Option<&Platform>,
    fragment: &Platform,
    base: Option<&Platform>,
) -> Result<Platform, Error> {
    let asked = match asked {
        Some(asked) => {
            check_fragment(asked, fragment)?;
            asked
        }
        None => fragment,
    };
    let base = base.cloned().unwrap_or_default();
    let mut platform = Platform::new(
        first_of(&asked.os, &base.os),
        first_of(&asked.architecture, &base.architecture),
    );
    if platform.os.is_empty() || platform.architecture.is_empty() {
        return Err(invalid(
            "image has no platform: neither the base nor anybody else says its os and architecture",
        ));
    }
    let spelled = platform.normalized();
    platform.os = spelled.os;
    platform.architecture = spelled.architecture;
    platform.variant = non_empty(asked.variant.as_ref()).or(non_empty(base.variant.as_ref()));
    platform.os_version =
        non_empty(asked.os_version.as_ref()).or(non_empty(base.os_version.as_ref()));
    platform.os_features = match asked.os_features.as_slice() {
        [] => base.os_features.clone(),
        features => features.to_vec(),
    };
    check_base(&platform, &base)?;
    // Every 64-bit ARM is at least a v8, and some readers look for the word.
    if platform.architecture == "arm64" && platform.variant.is_none() {
        platform.variant = Some("v8".to_owned());
    }
    Ok(platform)
}

/// A base must run wherever the image says that it runs; an older variant of the same architecture does.
fn check_base(platform: &Platform, base: &Platform) -> Result<(), Error> {
    let mut base = base.clone();
    if base.os.is_empty() {
        base.os.clone_from(&platform.os);
    }
    if base.architecture.is_empty() {
        base.architecture.clone_from(&platform.architecture);
    }
    base.os_features.clear();
    let runs = platform
        .compatible_variants()
        .iter()
        .any(|variant| variant.accepts(&base));
    if runs {
        return Ok(());
    }
    Err(invalid(format!(
        "base image is for {base} and the image that is built on it for {platform}"
    )))
}

fn check_fragment(asked: &Platform, fragment: &Platform) -> Result<(), Error> {
    let differs = |asked: &str, fragment: &str| {
        !asked.is_empty() && !fragment.is_empty() && !asked.eq_ignore_ascii_case(fragment)
    };
    let variant = |platform: &Platform| platform.variant.clone().unwrap_or_default();
    if differs(&asked.os, &fragment.os)
        || differs(&asked.architecture, &fragment.architecture)
        || differs(&variant(asked), &variant(fragment))
    {
        return Err(invalid(format!(
            "config fragment is for {}/{} and the image for {asked}",
            first_of(&fragment.os, &asked.os),
            first_of(&fragment.architecture, &asked.architecture),
        )));
    }
    Ok(())
}

fn first_of<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}

fn non_empty(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut words = text.split('/').map(str::to_owned);
        let mut platform = Platform::new(words.next().unwrap(), words.next().unwrap_or_default());
        platform.variant = words.next();
        platform
    }

    fn check(asked: &str, base: &str, expected: &str) {
        let base = Some(platform(base)).filter(|base| !base.os.is_empty());
        let resolved = resolve(Some(&platform(asked)), &Platform::default(), base.as_ref());
        let resolved = match resolved {
            Ok(platform) => {
                let variant = platform.variant.map(|variant| format!("/{variant}"));
                format!(
                    "{}/{}{}",
                    platform.os,
                    platform.architecture,
                    variant.unwrap_or_default()
                )
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(resolved, expected, "{asked} on {base:?}");
    }

    #[test]
    fn the_base_must_run_where_the_image_does() {
        check("linux/amd64", "", "linux/amd64");
        check("linux/arm64", "", "linux/arm64/v8");
        check("linux/aarch64", "linux/arm64", "linux/arm64/v8");
        check("linux/arm64/v8", "linux/arm64", "linux/arm64/v8");
        check("linux/arm64", "linux/arm64/v8", "linux/arm64/v8");
        check("linux/arm64/v9", "linux/arm64/v8", "linux/arm64/v9");
        check("linux/arm/v7", "linux/arm/v5", "linux/arm/v7");
        check("linux/amd64/v3", "linux/amd64", "linux/amd64/v3");
        check("linux/arm", "linux/arm/v6", "linux/arm/v6");
        check("/", "linux/s390x", "linux/s390x");
        check(
            "linux/amd64",
            "linux/arm64",
            "base image is for linux/arm64 and the image that is built on it for linux/amd64",
        );
        check(
            "linux/amd64",
            "windows/amd64",
            "base image is for windows/amd64 and the image that is built on it for linux/amd64",
        );
        check(
            "linux/arm/v6",
            "linux/arm/v7",
            "base image is for linux/arm/v7 and the image that is built on it for linux/arm/v6",
        );
        check(
            "linux/",
            "",
            "image has no platform: neither the base nor anybody else says its os and architecture",
        );
    }

    #[test]
    fn a_fragment_for_another_platform_is_refused() {
        let fragment = platform("/arm64");
        let error = resolve(Some(&platform("linux/amd64")), &fragment, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "config fragment is for linux/arm64 and the image for linux/amd64"
        );
        let resolved = resolve(None, &platform("linux/arm64/v9"), None).unwrap();
        assert_eq!(resolved.variant.as_deref(), Some("v9"));
    }

    #[test]
    fn version_and_features_of_a_windows_base_stay() {
        let mut base = platform("windows/amd64");
        base.os_version = Some("10.0.20348.2700".to_owned());
        base.os_features = vec!["win32k".to_owned()];
        let asked = platform("windows/amd64");
        let resolved = resolve(Some(&asked), &Platform::default(), Some(&base)).unwrap();
        assert_eq!(resolved, base);
    }
}
