//! The order of entries.

use std::cmp::Ordering;

use super::{OPAQUE_MARKER, WHITEOUT_PREFIX};

/// Compares two paths component by component, whiteouts first within a directory.
///
/// Bytewise comparison of whole paths would put `a-b` between `a` and `a/c`, so that a directory
/// and its content would not be neighbours.
pub(super) fn compare(left: &[u8], right: &[u8]) -> Ordering {
    if left.is_empty() || right.is_empty() {
        return left.len().cmp(&right.len());
    }
    let shared = shared(left, right);
    let start = left[..shared]
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    let (l, r) = (component(left, start), component(right, start));
    rank(l)
        .cmp(&rank(r))
        .then_with(|| l.cmp(r))
        .then_with(|| left.len().cmp(&right.len()))
}

/// Returns a number that is smaller only for a path that comes earlier; paths with equal ones are left to [`compare`].
///
/// It holds the start of the path, with 0 for `/`: no byte is smaller, so that a directory comes before its neighbours'
/// longer names. Whiteouts come before every other name and are cut off.
pub(super) fn key(path: &[u8]) -> u128 {
    let mut key = [0; size_of::<u128>()];
    let mut is_start = true;
    for (at, (place, &byte)) in key.iter_mut().zip(path).enumerate() {
        if is_start && path[at..].starts_with(WHITEOUT_PREFIX) {
            break;
        }
        is_start = byte == b'/';
        *place = if is_start { 0 } else { byte };
    }
    u128::from_be_bytes(key)
}

/// Returns how many bytes at the start of both are equal, looking at many at a time: neighbours share most of them.
fn shared(left: &[u8], right: &[u8]) -> usize {
    const STRIDE: usize = 16;
    let strides = left.chunks_exact(STRIDE).zip(right.chunks_exact(STRIDE));
    let start = STRIDE * strides.take_while(|(l, r)| l == r).count();
    let rest = left[start..].iter().zip(&right[start..]);
    start + rest.take_while(|(l, r)| l == r).count()
}

/// Returns the component of `path` that starts at `start`.
fn component(path: &[u8], start: usize) -> &[u8] {
    let rest = &path[start..];
    let len = rest
        .iter()
        .position(|byte| *byte == b'/')
        .unwrap_or(rest.len());
    &rest[..len]
}

/// Returns the class of a name within its directory.
fn rank(name: &[u8]) -> u8 {
    match name {
        OPAQUE_MARKER => 0,
        name if name.starts_with(WHITEOUT_PREFIX) => 1,
        _ => 2,
    }
}
