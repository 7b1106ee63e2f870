//! How an image is signed when it is pushed.

use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::deploy::{Sign, SignTarget};
use imgcore::{Digest, LayerMetadata};

use crate::context::Context;
use crate::report::Failure;

/// What a sign setting file is called.
const SETTING_TYPE: &str = "application/vnd.rules-img.sign-config.v1+json";

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Signatures")]
pub(super) struct SignFlags {
    /// The setting that the image is signed with
    #[arg(long, value_name = "FILE")]
    sign_setting_file: Option<PathBuf>,
    /// A signature that fails is only reported
    #[arg(long)]
    sign_best_effort: bool,
    /// What is signed: `roots`, `child_manifests`, `referrers` or `all`
    #[arg(long, value_name = "TARGET")]
    sign_target: Vec<SignTarget>,
    /// The setting for operations that bring none
    #[arg(long, value_name = "FILE")]
    default_sign_setting_file: Option<PathBuf>,
}

impl SignFlags {
    pub(super) fn sign(&self, context: &Context) -> Result<Option<Sign>, Failure> {
        let Some(path) = &self.sign_setting_file else {
            return Ok(None);
        };
        let mut sign = Sign::default();
        sign.setting = Some(describe(context, path)?);
        sign.best_effort = self.sign_best_effort;
        sign.targets.clone_from(&self.sign_target);
        Ok(Some(sign))
    }

    pub(super) fn default_setting(
        &self,
        context: &Context,
    ) -> Result<Option<LayerMetadata>, Failure> {
        let path = self.default_sign_setting_file.as_deref();
        path.map(|path| describe(context, path)).transpose()
    }
}

fn describe(context: &Context, path: &Path) -> Result<LayerMetadata, Failure> {
    let bytes = fs::read(context.path(path))?;
    let digest = Digest::sha256_of(&bytes);
    Ok(LayerMetadata::new(
        None,
        SETTING_TYPE.into(),
        digest,
        bytes.len() as u64,
    ))
}
