//! Digests of encoded bytes, under the encoders that are linked today.
//!
//! A codec library that is upgraded may encode differently: then its identity differs, and the first check says so.
//! If that is wanted, take the identities and digests that the failing test prints, and say in the change log that
//! layers get new digests. A digest that differs under an *equal* identity is a bug: the identity must tell.

use std::fmt::Write;

use imglayer::encode::{EncoderIdentity, GzipMembers};

use crate::content::{BLOCK, bytes, encode, encoders, noise};

#[test]
fn digests_are_those_of_the_known_encoders() {
    let content = bytes(2 * BLOCK + 12_345);
    let mut lines = String::new();
    for options in encoders() {
        let identity = EncoderIdentity::of(&options).unwrap();
        let (blob, _) = encode(&content, &options);
        writeln!(lines, "{identity}\n  {} {}", blob.size, blob.digest).unwrap();
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn digests_of_stored_blocks_are_those_of_the_known_encoders() {
    let content = noise(BLOCK + 70_000);
    let mut lines = String::new();
    for options in encoders() {
        let (blob, _) = encode(&content, &options);
        let (codec, members) = (options.codec, options.gzip_members);
        writeln!(
            lines,
            "{codec} {members:?}\n  {} {}",
            blob.size, blob.digest
        )
        .unwrap();
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn equal_identities_give_equal_bytes() {
    let content = bytes(100_000);
    let mut known = std::collections::BTreeMap::new();
    for options in encoders() {
        let identity = EncoderIdentity::of(&options).unwrap();
        let (blob, _) = encode(&content, &options);
        assert_eq!(*known.entry(identity.to_string()).or_insert(blob), blob);
    }
    // Two kinds of members and zstd at three levels, and no compression, where the level is nothing.
    assert_eq!(known.len(), 3 * 3 + 1);
    assert_ne!(GzipMembers::Multi, GzipMembers::Single);
}
