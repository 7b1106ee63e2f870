//! How far indexes may lead into indexes.

use crate::{Digest, Error, ErrorKind};

/// The way from a root document to the one that is read now.
///
/// Whoever follows the entries of indexes carries one along, so that neither a cycle nor a tower of indexes keeps them
/// busy.
///
/// # Examples
///
/// ```
/// use imgcore::{Digest, document::Nesting};
///
/// let root = Digest::sha256_of(b"the root index");
/// let inner = Nesting::new(root).enter(Digest::sha256_of(b"another index"))?;
/// assert!(inner.enter(root).is_err());
/// # Ok::<(), imgcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Nesting {
    way: Vec<Digest>,
}

impl Nesting {
    /// How many indexes may stand inside each other.
    pub const MAX_DEPTH: usize = 4;

    /// Starts at a root.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::{Digest, document::Nesting};
    ///
    /// let root = Digest::sha256_of(b"index");
    /// assert!(Nesting::new(root).enter(root).is_err());
    /// ```
    pub fn new(root: Digest) -> Self {
        Self { way: vec![root] }
    }

    /// Goes one index deeper.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] when `index` is already on the way; [`ErrorKind::TooLarge`] when it would be deeper
    /// than [`MAX_DEPTH`](Self::MAX_DEPTH).
    pub fn enter(&self, index: Digest) -> Result<Self, Error> {
        if self.way.contains(&index) {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("index {index} leads back to itself"),
            ));
        }
        if self.way.len() == Self::MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "index {index} is nested deeper than {} levels",
                    Self::MAX_DEPTH
                ),
            ));
        }
        let mut way = self.way.clone();
        way.push(index);
        Ok(Self { way })
    }
}
