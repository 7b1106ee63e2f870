//! Which image runs on which machine, and which runs best.

use super::Platform;
use super::windows::WindowsVersion;

/// Finds the candidate that suits the earliest of `wanted`; among equals the first one. Returns its position.
///
/// `wanted` is usually [`Platform::compatible_variants`] or [`Platform::runnable`]. A candidate without a platform, which
/// an index may hold, is never chosen.
///
/// # Examples
///
/// ```
/// use imgcore::Platform;
/// use imgcore::platform::best_match;
///
/// let index: Vec<Platform> = ["linux/arm/v5", "linux/arm/v7", "linux/amd64"]
///     .iter()
///     .map(|text| text.parse())
///     .collect::<Result<_, _>>()?;
/// let host: Platform = "linux/arm/v8".parse()?;
/// let chosen = best_match(&host.compatible_variants(), index.iter().map(Some));
/// assert_eq!(chosen, Some(1));
/// # Ok::<(), imgcore::platform::ParsePlatformError>(())
/// ```
pub fn best_match<'a>(
    wanted: &[Platform],
    candidates: impl IntoIterator<Item = Option<&'a Platform>>,
) -> Option<usize> {
    let rank = |candidate: &Platform| wanted.iter().position(|it| it.accepts(candidate));
    candidates
        .into_iter()
        .enumerate()
        .filter_map(|(position, candidate)| Some((rank(candidate?)?, position)))
        .min()
        .map(|(_, position)| position)
}

impl Platform {
    /// Says whether an image for `candidate` is one for this platform, in whatever spelling.
    ///
    /// Operating system, architecture and variant are equal in their normal form; the candidate's features are among
    /// this platform's; on Windows, the candidate's version runs on this platform's, where both have one.
    pub fn accepts(&self, candidate: &Self) -> bool {
        let wanted = self.normalized();
        let offered = candidate.normalized();
        wanted.os == offered.os
            && wanted.architecture == offered.architecture
            && wanted.variant == offered.variant
            && offered
                .os_features
                .iter()
                .all(|feature| wanted.os_features.contains(feature))
            && (wanted.os != "windows" || runs_windows_version(&wanted, &offered))
    }

    /// Returns this platform and the older variants of its architecture, best first.
    ///
    /// `amd64/v3` runs `v3`, `v2` and `amd64` without a variant; `arm/v7` runs `v7`, `v6` and `v5`; `arm64/v9.1` runs
    /// `v9.1` and `v9`, then `v8.6` (from which 9.1 was made) down to `v8`. A variant that is no known number stands
    /// alone.
    pub fn compatible_variants(&self) -> Vec<Self> {
        let platform = self.normalized();
        let older = match platform.architecture.as_str() {
            "amd64" => older_amd64(platform.variant_text()),
            "arm" => older_arm(platform.variant_text()),
            "arm64" => older_arm64(platform.variant_text()),
            _ => Vec::new(),
        };
        let mut vector = vec![platform.clone()];
        vector.extend(older.into_iter().map(|variant| Self {
            variant: Some(variant).filter(|variant| !variant.is_empty()),
            ..platform.clone()
        }));
        vector
    }

    /// Returns everything that a machine of this platform runs, best first: the
    /// [variants](Self::compatible_variants), then those of the architecture that its CPU has too (`386` on `amd64`,
    /// `arm` on `arm64`).
    pub fn runnable(&self) -> Vec<Self> {
        let mut vector = self.compatible_variants();
        let platform = &vector[0];
        let second = match platform.architecture.as_str() {
            "amd64" => Some(("386", None)),
            "arm64" => Some(("arm", Some("v8".to_owned()))),
            _ => None,
        };
        if let Some((architecture, variant)) = second {
            let second = Self {
                architecture: architecture.to_owned(),
                variant,
                ..platform.clone()
            };
            vector.extend(second.compatible_variants());
        }
        vector
    }
}

fn runs_windows_version(wanted: &Platform, offered: &Platform) -> bool {
    let host = wanted.os_version.as_deref().and_then(WindowsVersion::parse);
    match (host, offered.os_version.as_deref()) {
        (Some(host), Some(version)) if !version.is_empty() => {
            WindowsVersion::parse(version).is_some_and(|guest| host.runs(guest))
        }
        _ => true,
    }
}

fn older_amd64(variant: &str) -> Vec<String> {
    let Some(version) = digit_after_v(variant) else {
        return Vec::new();
    };
    (1..version)
        .rev()
        // `v1` is what every amd64 has, so its normal form is none.
        .map(|older| {
            if older == 1 {
                String::new()
            } else {
                format!("v{older}")
            }
        })
        .collect()
}

fn older_arm(variant: &str) -> Vec<String> {
    let version = digit_after_v(variant).unwrap_or(0);
    (5..version)
        .rev()
        .map(|older| format!("v{older}"))
        .collect()
}

fn older_arm64(variant: &str) -> Vec<String> {
    let variant = if variant.is_empty() { "v8" } else { variant };
    let (major, minor) = variant.split_once('.').unwrap_or((variant, "0"));
    let (Some(major @ (8 | 9)), Some(minor)) = (digit_after_v(major), single_digit(minor)) else {
        return Vec::new();
    };
    let mut older: Vec<String> = (0..minor)
        .rev()
        .map(|it| arm64_variant(major, it))
        .collect();
    if major == 9 {
        // Armv9.0 was made from Armv8.5, so that 9.x runs what 8.(x+5) runs.
        older.extend((0..=minor + 5).rev().map(|it| arm64_variant(8, it)));
    }
    older
}

fn arm64_variant(major: u32, minor: u32) -> String {
    match (major, minor) {
        // The normal form of 8.0 is none.
        (8, 0) => String::new(),
        (_, 0) => format!("v{major}"),
        _ => format!("v{major}.{minor}"),
    }
}

fn digit_after_v(text: &str) -> Option<u32> {
    single_digit(text.strip_prefix('v')?)
}

/// All known versions have one digit; a longer number in a hostile index would make a long list.
fn single_digit(text: &str) -> Option<u32> {
    let mut characters = text.chars();
    let digit = characters.next()?.to_digit(10)?;
    characters.next().is_none().then_some(digit)
}
