//! Which images of an index are loaded.

use std::str::FromStr;

use imgcore::Platform;
use imgload::Platforms;

use crate::credentials;
use crate::report::{Explain as _, Failure};

/// Platforms with commas between, or `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlatformList(Platforms);

impl FromStr for PlatformList {
    type Err = imgcore::platform::ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self(Platforms::All));
        }
        let platforms = text.split(',').map(|it| it.trim().parse());
        Ok(Self(Platforms::Only(platforms.collect::<Result<_, _>>()?)))
    }
}

impl PlatformList {
    /// Returns the platforms of a flag; without it those of `DOCKER_DEFAULT_PLATFORM`, or that of this machine, which is not
    /// insisted on.
    ///
    /// # Errors
    ///
    /// Fails if the variable is no list of platforms.
    pub(crate) fn or_default(flag: Option<Self>) -> Result<Platforms, Failure> {
        const NAME: &str = "DOCKER_DEFAULT_PLATFORM";
        if let Some(list) = flag {
            return Ok(list.0);
        }
        match credentials::environment().text(NAME) {
            Some(text) => Ok(text.parse::<Self>().explain(|| NAME)?.0),
            None => Ok(Platforms::Prefer(of_containers())),
        }
    }
}

/// The platform of containers on this machine: engines run those of Linux, on other systems in a virtual machine.
fn of_containers() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "loongarch64" => "loong64",
        "powerpc64" => "ppc64le",
        other => other,
    };
    Platform::new("linux", architecture).normalized()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_at_its_commas() {
        let check = |text: &str| text.parse::<PlatformList>().map(|it| it.0);
        let linux = |architecture| Platform::new("linux", architecture);
        let both = Platforms::Only(vec![linux("amd64"), linux("arm64")]);
        assert_eq!(check("linux/amd64, linux/arm64"), Ok(both));
        assert_eq!(check("all"), Ok(Platforms::All));
        for text in ["", "linux/amd64,", "a b"] {
            check(text).unwrap_err();
        }
    }

    #[test]
    fn containers_are_those_of_linux() {
        let platform = of_containers();
        assert_eq!(platform.os, "linux");
        if cfg!(target_arch = "x86_64") {
            assert_eq!(platform.to_string(), "linux/amd64");
        }
    }
}
