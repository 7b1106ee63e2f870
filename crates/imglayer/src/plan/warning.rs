//! What a person should know about a plan that could be made nevertheless.

use std::fmt;

use crate::path::LayerPath;

/// Something that happened while a layer was planned, and that may not be what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A path was added more than once; the last one is in the layer.
    Replaced {
        /// The path.
        path: LayerPath,
        /// How many inputs for it are not in the layer.
        dropped: u32,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced { path, dropped: 1 } => {
                write!(f, "{path} was added twice: the last one is in the layer")
            }
            Self::Replaced { path, dropped } => {
                let times = dropped + 1;
                write!(
                    f,
                    "{path} was added {times} times: the last one is in the layer"
                )
            }
        }
    }
}
