//! One file a subcommand, and the table that lists them.
//!
//! To add a command, write `commands/<name>.rs` with a `#[derive(clap::Args)] struct Arguments` that
//! implements [`Run`](crate::cli::Run), and add its line here.

mod auth_explain;
mod build;
mod check;
mod completions;
mod compress;
mod deploy;
mod deploy_merge;
mod deploy_metadata;
mod description;
mod diff;
mod docker_save;
mod download;
mod download_blob;
mod download_manifest;
mod encoding;
mod estargz;
mod expand_template;
mod hash;
mod index;
mod index_from_oci_layout;
mod inputs;
mod inspect;
mod layer;
mod layer_hints;
mod load;
mod ls;
mod man;
mod manifest;
mod manifest_from_oci_layout;
mod mtree;
mod oci_layout;
mod oci_layout_inputs;
mod oci_layout_metadata;
mod oci_layout_parts;
mod optimize;
mod pull;
mod push;
mod sparse_oci_layout;
mod sync_oci_ref_graph;
mod validate;

use crate::cli::{Group, Subcommand};

pub(crate) use self::layer_hints::LayerHints;

/// Every subcommand, in the order of the help.
pub(crate) const TABLE: &[Subcommand] = &[
    Subcommand::for_people::<build::Arguments>("build", Group::Build),
    Subcommand::for_people::<inspect::Arguments>("inspect", Group::Inspect),
    Subcommand::for_people::<ls::Arguments>("ls", Group::Inspect),
    Subcommand::for_people::<diff::Arguments>("diff", Group::Inspect),
    Subcommand::for_people::<check::Arguments>("check", Group::Inspect),
    Subcommand::for_builds::<layer::Arguments>("layer", Group::Layers, 1).with_worker(),
    Subcommand::for_builds::<compress::Arguments>("compress", Group::Layers, 1).with_worker(),
    Subcommand::for_builds::<hash::Arguments>("hash", Group::Layers, 1)
        .with_worker()
        .with_argument_file(),
    Subcommand::for_builds::<mtree::Arguments>("mtree", Group::Layers, 2).with_worker(),
    Subcommand::for_builds::<manifest::Arguments>("manifest", Group::Documents, 1).with_worker(),
    Subcommand::for_builds::<index::Arguments>("index", Group::Documents, 1).with_worker(),
    Subcommand::for_builds::<optimize::Arguments>("optimize", Group::Documents, 1).with_worker(),
    Subcommand::for_builds::<expand_template::Arguments>("expand-template", Group::Documents, 2)
        .with_worker(),
    Subcommand::for_builds::<oci_layout::Arguments>("oci-layout", Group::Layouts, 2).with_worker(),
    Subcommand::for_builds::<sparse_oci_layout::Arguments>("sparse-oci-layout", Group::Layouts, 2)
        .with_worker(),
    Subcommand::for_builds::<docker_save::Arguments>("docker-save", Group::Layouts, 2)
        .with_worker(),
    Subcommand::for_builds::<manifest_from_oci_layout::Arguments>(
        "manifest-from-oci-layout",
        Group::Layouts,
        2,
    )
    .with_worker(),
    Subcommand::for_builds::<index_from_oci_layout::Arguments>(
        "index-from-oci-layout",
        Group::Layouts,
        2,
    )
    .with_worker(),
    Subcommand::for_builds::<oci_layout_metadata::Arguments>(
        "oci-layout-metadata",
        Group::Layouts,
        2,
    )
    .with_worker(),
    Subcommand::for_builds::<deploy_metadata::Arguments>("deploy-metadata", Group::Deploy, 1)
        .with_worker(),
    Subcommand::for_builds::<deploy_merge::Arguments>("deploy-merge", Group::Deploy, 1)
        .with_argument_file()
        .with_worker(),
    Subcommand::for_builds::<deploy::Arguments>("deploy", Group::Deploy, 1)
        .with_argument_file()
        .with_worker(),
    Subcommand::for_people::<load::Arguments>("load", Group::Engines),
    Subcommand::for_people::<auth_explain::Arguments>("auth explain", Group::Registries),
    Subcommand::for_builds::<validate::Arguments>("validate layer-presence", Group::Layers, 1)
        .with_worker(),
    Subcommand::for_people::<pull::Arguments>("pull", Group::Registries),
    Subcommand::for_people::<push::Arguments>("push", Group::Registries),
    Subcommand::for_builds::<push::blob::Arguments>("push blob", Group::Registries, 1),
    Subcommand::for_builds::<push::manifest::Arguments>("push manifest", Group::Registries, 1),
    Subcommand::for_builds::<download_blob::Arguments>("download-blob", Group::Registries, 2),
    Subcommand::for_builds::<download_manifest::Arguments>(
        "download-manifest",
        Group::Registries,
        2,
    ),
    Subcommand::for_builds::<sync_oci_ref_graph::Arguments>(
        "sync-oci-ref-graph",
        Group::Registries,
        2,
    ),
    Subcommand::for_people::<completions::Arguments>("completions", Group::Shell),
    Subcommand::for_people::<man::Arguments>("man", Group::Shell),
];
