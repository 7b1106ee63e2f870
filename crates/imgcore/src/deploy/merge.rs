//! Several deploy manifests to one.

use super::{Command, DeployManifest, LoadStrategy, PushStrategy, Settings};
use crate::{Error, ErrorKind};

/// How deploy manifests are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeOptions {
    /// The push strategy of the result.
    pub push_strategy: Option<PushStrategy>,
    /// The load strategy of the result.
    pub load_strategy: Option<LoadStrategy>,
    /// The commands that are kept; all if there are none. Who keeps pushes keeps tags, too.
    pub commands: Vec<Command>,
}

/// Puts the operations of deploy manifests behind each other, as they are written.
///
/// Each input comes with the name that errors call it by.
///
/// # Examples
///
/// ```
/// use imgcore::deploy::{Command, DeployManifest, MergeOptions, PushStrategy, merge};
/// use imgcore::json::Strictness;
///
/// let parse = |text: &str| DeployManifest::parse(text.as_bytes(), Strictness::Lenient);
/// let one = parse(r#"{"operations": [{"command": "push"}], "settings": {}}"#)?;
/// let other = parse(r#"{"operations": [{"command": "load"}], "settings": {"forbid_layer_push": true}}"#)?;
/// let mut options = MergeOptions::default();
/// options.push_strategy = Some(PushStrategy::Lazy);
/// options.commands.push(Command::Load);
/// let merged = merge([("one.json", one), ("other.json", other)], &options)?;
/// assert_eq!(
///     String::from_utf8_lossy(&merged.to_json_bytes()),
///     r#"{"operations":[{"command":"load"}],"settings":{"push_strategy":"lazy","forbid_layer_push":true}}"#,
/// );
/// # Ok::<(), imgcore::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] when two inputs stage blobs in different repositories, or have different default sign
/// settings: one result cannot have both.
pub fn merge<'n>(
    inputs: impl IntoIterator<Item = (&'n str, DeployManifest)>,
    options: &MergeOptions,
) -> Result<DeployManifest, Error> {
    let mut merged = DeployManifest {
        operations: Vec::new(),
        settings: Settings {
            push_strategy: options.push_strategy,
            load_strategy: options.load_strategy,
            ..Settings::default()
        },
    };
    for (name, input) in inputs {
        merge_settings(&mut merged.settings, &input.settings, name)?;
        let operations = input.operations.into_iter();
        merged
            .operations
            .extend(operations.filter(|request| options.keeps(request.command())));
    }
    Ok(merged)
}

impl MergeOptions {
    fn keeps(&self, command: &str) -> bool {
        self.commands.is_empty()
            || self.commands.iter().any(|kept| {
                kept.as_str() == command
                    || *kept == Command::Push && command == Command::RegistryTag.as_str()
            })
    }
}

fn merge_settings(merged: &mut Settings, input: &Settings, name: &str) -> Result<(), Error> {
    if !input.blob_repository.is_empty() {
        if merged.blob_repository.is_empty() {
            merged.blob_repository.clone_from(&input.blob_repository);
        } else if merged.blob_repository != input.blob_repository {
            let (one, other) = (&merged.blob_repository, &input.blob_repository);
            return Err(conflict(name, "blob repository", one, other));
        }
    }
    match (&merged.default_sign_setting, &input.default_sign_setting) {
        (None, Some(setting)) => merged.default_sign_setting = Some(setting.clone()),
        (Some(one), Some(other)) if one.digest != other.digest => {
            let (one, other) = (one.digest.to_string(), other.digest.to_string());
            return Err(conflict(name, "default sign setting", &one, &other));
        }
        (_, None) | (Some(_), Some(_)) => {}
    }
    merged.forbid_layer_push |= input.forbid_layer_push;
    Ok(())
}

fn conflict(name: &str, what: &str, one: &str, other: &str) -> Error {
    let message = format!("{name} has the {what} {other}, but an input before it has {one}");
    Error::new(ErrorKind::InvalidInput, message)
}
