//! Configs from a base, a fragment and options.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::timestamp::canonical_timestamp;
use super::{Error, Setting, history, invalid, platform};
use crate::document::read_view;
use crate::json::{Object, Value};
use crate::{Config, LayerMetadata, Platform, Raw};

/// What a config says that neither the base nor the fragment decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigOptions {
    /// The machine that the image is for. What it leaves open comes from the base.
    pub platform: Option<Platform>,
    /// When the image was made, in RFC 3339. Without it and without a fragment that says so, the config does not say.
    pub created: Option<String>,
    /// The user that the program runs as.
    pub user: Setting<String>,
    /// Variables: those that are known already are replaced where they stand, new ones are appended, sorted.
    pub environment: BTreeMap<String, String>,
    /// The program and its first arguments. Among others, [`INHERIT`](super::INHERIT) stands for the inherited words.
    pub entrypoint: Setting<Vec<String>>,
    /// The default arguments. Setting an entrypoint removes the inherited ones.
    pub command: Setting<Vec<String>>,
    /// The directory that the program starts in.
    pub working_dir: Setting<String>,
    /// Labels, added to the inherited ones.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to end.
    pub stop_signal: Setting<String>,
}

/// Makes a config.
///
/// `layers` are all layers of the image, lowest first, those of the base included.
///
/// # Examples
///
/// ```
/// use imgcore::assemble::{ConfigOptions, assemble_config};
/// use imgcore::{Config, Raw};
///
/// let base = Raw::<Config>::parse(
///     br#"{"architecture":"amd64","os":"linux","config":{"Env":["A=1"],"Healthcheck":{"Test":["NONE"]}}}"#,
/// )?;
/// let mut options = ConfigOptions::default();
/// options.environment.insert("B".to_owned(), "2".to_owned());
/// let config = assemble_config(Some(&base), None, &options, &[])?;
/// assert_eq!(
///     String::from_utf8_lossy(&config),
///     r#"{"architecture":"amd64","os":"linux","config":{"Env":["A=1","B=2"],"Healthcheck":{"Test":["NONE"]}},"rootfs":{"type":"layers","diff_ids":[]}}"#,
/// );
/// # Ok::<(), imgcore::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the base or the fragment is for another platform,
/// when nobody names the platform, when a layer has no `diff_id` or too many history entries, when a variable of the
/// base or the fragment has no `=`, or when `created` is no time; [`ErrorKind::Malformed`](crate::ErrorKind::Malformed)
/// when the fragment has not the shape of a config.
pub fn assemble_config(
    base: Option<&Raw<Config>>,
    fragment: Option<&Object>,
    options: &ConfigOptions,
    layers: &[LayerMetadata],
) -> Result<Vec<u8>, Error> {
    let nothing = Object::new();
    let fragment = fragment.unwrap_or(&nothing);
    let fragment_view: Config = read_view(fragment, "config fragment")?;

    let mut draft = Draft::of_base(base);
    draft.overlay(fragment, &fragment_view)?;
    apply_options(&mut draft, options)?;
    let platform = platform::resolve(
        options.platform.as_ref(),
        fragment_view.platform(),
        base.map(|base| base.platform()),
    )?;
    apply_platform(&mut draft, &platform);
    apply_layers(&mut draft, base.map(|base| &**base), layers)?;
    Ok(draft.finish())
}

fn apply_options(draft: &mut Draft, options: &ConfigOptions) -> Result<(), Error> {
    if let Some(created) = &options.created {
        draft.set("created", Some(canonical_timestamp(created)?.into()));
    } else if let Some(created) = draft.member("created").and_then(Value::as_str) {
        let created = match &*created {
            "" => None,
            created => Some(canonical_timestamp(created)?.into()),
        };
        draft.set("created", created);
    }
    for (name, setting) in [
        ("User", &options.user),
        ("WorkingDir", &options.working_dir),
        ("StopSignal", &options.stop_signal),
    ] {
        draft.set_execution(name, setting.apply(&draft.string(name)));
    }
    let command = draft.strings("Cmd");
    let command = match (&options.entrypoint, &options.command) {
        // The inherited arguments were those of another program.
        (Setting::Set(_), Setting::Inherit) => Vec::new(),
        (_, setting) => setting.apply(&command),
    };
    draft.set_execution("Cmd", command);
    draft.set_execution(
        "Entrypoint",
        options.entrypoint.apply(&draft.strings("Entrypoint")),
    );

    let pairs: Vec<_> = options
        .environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    draft.merge_environment(&pairs)?;
    draft.merge_labels(&options.labels);
    Ok(())
}

fn apply_platform(draft: &mut Draft, platform: &Platform) {
    let json = platform.to_json();
    for name in ["architecture", "os", "os.version", "os.features", "variant"] {
        draft.set(name, json.get(name).cloned());
    }
}

fn apply_layers(
    draft: &mut Draft,
    base: Option<&Config>,
    layers: &[LayerMetadata],
) -> Result<(), Error> {
    let diff_ids = layers
        .iter()
        .enumerate()
        .map(|(index, layer)| match layer.diff_id {
            Some(diff_id) => Ok(Value::from(diff_id.to_string())),
            None => Err(invalid(format!(
                "layer {index} ({}) has no diff_id, so that no container image can be made of it",
                layer.digest
            ))),
        })
        .collect::<Result<Value, Error>>()?;
    let mut rootfs = Object::new();
    rootfs.set("type", "layers");
    rootfs.set("diff_ids", diff_ids);
    draft.set("rootfs", Some(rootfs.into()));

    let history = history::join(base, layers)?;
    let history = Some(history).filter(|history| !history.is_empty());
    draft.set("history", history.map(|history| history.iter().collect()));
    Ok(())
}
