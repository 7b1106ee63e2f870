//! Features that are not built yet: their flags are known, and using one fails by name.

use crate::report::Failure;

/// Commands of the Go tool that this program will have and does not have yet.
pub(crate) const COMMANDS: &[&str] = &[
    "base",
    "cas-dir",
    "compact-stream",
    "image-structure-test",
    "soci-index",
    "ztoc",
];

/// Fails if a flag is used whose feature is not built yet.
///
/// # Errors
///
/// Fails if `used`, naming the flag and the feature.
pub(crate) fn refuse(used: bool, flag: &str, feature: &str) -> Result<(), Failure> {
    if used {
        let message = format!("{flag}: {feature} not built yet");
        return Err(Failure::new(message).hint(format!("leave {flag} out")));
    }
    Ok(())
}
