//! Deterministic OCI layer bytes: plan, tar, parallel compression.
