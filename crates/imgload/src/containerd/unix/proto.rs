//! Messages and clients, made from `proto/` by `tests/generated.rs`.
#![allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    unnameable_types,
    unused_qualifications,
    reason = "generated code is as its generator writes it"
)]

pub(super) mod content {
    include!("generated/content.rs");
}

pub(super) mod images {
    include!("generated/images.rs");
}

pub(super) mod leases {
    include!("generated/leases.rs");
}

pub(super) mod version {
    include!("generated/version.rs");
}
