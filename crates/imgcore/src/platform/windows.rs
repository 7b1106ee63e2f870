//! Which Windows container runs on which Windows host.

/// The first build whose containers run on every later host: Windows Server 2022 ([version compatibility][page]).
///
/// [page]: https://learn.microsoft.com/en-us/virtualization/windowscontainers/deploy-containers/version-compatibility
const FIRST_STABLE_BUILD: u16 = 20348;

/// The parts of a Windows version that say what runs on it: `10.0.20348`, whatever comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WindowsVersion {
    major: u8,
    minor: u8,
    build: u16,
}

impl WindowsVersion {
    /// Returns `None` for what is no version: such a host takes everything, and such a container runs nowhere.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let version = Self {
            major: parts.next()?.parse().ok()?,
            minor: parts.next()?.parse().ok()?,
            build: parts.next()?.parse().ok()?,
        };
        Some(version)
    }

    /// Says whether a container of version `guest` runs on a host of this version.
    pub(super) fn runs(self, guest: Self) -> bool {
        if (self.major, self.minor) != (guest.major, guest.minor) {
            return false;
        }
        if self.build < FIRST_STABLE_BUILD {
            return self.build == guest.build;
        }
        (FIRST_STABLE_BUILD..=self.build).contains(&guest.build)
    }
}
