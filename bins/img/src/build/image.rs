//! From layers and a build file to the documents of an image.

use std::collections::BTreeSet;

use imgcore::assemble::{
    self, Image, ImageOptions, IndexOptions, Setting, assemble_image, assemble_index,
};
use imgcore::json::{Object, Value};
use imgcore::{Descriptor, LayerMetadata, Platform};

use super::base::BaseImage;
use super::file::{Build, Config, Healthcheck};
use crate::report::Failure;

/// Makes the image of one platform. `layers` are the ones of the build file, lowest first.
///
/// # Errors
///
/// Fails if the base is for another platform, or the file says what no config can.
pub(crate) fn make(
    build: &Build,
    platform: &Platform,
    base: Option<&BaseImage>,
    layers: &[LayerMetadata],
) -> Result<Image, Failure> {
    let mut all = base.map(|base| base.layers.clone()).unwrap_or_default();
    all.extend_from_slice(layers);
    let mut options = ImageOptions::default();
    options.config.platform = Some(platform.clone());
    set_config(&mut options, &build.config);
    options.fragment = Some(fragment(&build.config, base).to_compact());
    options.manifest.annotations.clone_from(&build.annotations);
    options.manifest.base_digest = base.map(|base| base.manifest.digest());
    let mut below = assemble::Base::default();
    below.config = base.map(|base| &base.config);
    below.manifest = base.map(|base| &base.manifest);
    Ok(assemble_image(&below, &all, &options)?)
}

/// Makes the index of several images.
pub(crate) fn index(build: &Build, images: &[Descriptor]) -> Vec<u8> {
    let mut options = IndexOptions::default();
    options.annotations.clone_from(&build.annotations);
    assemble_index(images, &options)
}

fn set_config(options: &mut ImageOptions, config: &Config) {
    let target = &mut options.config;
    target.created = config.created.as_ref().map(|time| time.0.clone());
    target.user = told(config.user.as_ref());
    target.working_dir = told(config.working_dir.as_ref());
    target.stop_signal = told(config.stop_signal.as_ref());
    target.entrypoint = told(config.entrypoint.as_ref());
    target.command = told(config.cmd.as_ref());
    let variables = config.env.iter();
    target.environment = variables
        .map(|(name, value)| (name.get_ref().clone(), value.clone()))
        .collect();
    target.labels.clone_from(&config.labels);
}

/// What is not said is as in the base; what is said to be empty is removed.
fn told<T: Clone + Default + PartialEq>(value: Option<&T>) -> Setting<T> {
    match value {
        None => Setting::Inherit,
        Some(value) if *value == T::default() => Setting::Unset,
        Some(value) => Setting::Set(value.clone()),
    }
}

/// Writes what assembly takes as a part of a config.
fn fragment(config: &Config, base: Option<&BaseImage>) -> Object {
    let mut execution = Object::new();
    let ports = config.exposed_ports.iter().map(|port| port.0.0.clone());
    let inherited = base.map(|base| base.config.exposed_ports());
    add_set(&mut execution, "ExposedPorts", ports.collect(), inherited);
    let volumes = config.volumes.iter().cloned();
    let inherited = base.map(|base| base.config.volumes());
    add_set(&mut execution, "Volumes", volumes.collect(), inherited);
    if let Some(shell) = &config.shell {
        execution.set("Shell", words(shell));
    }
    if let Some(healthcheck) = &config.healthcheck {
        execution.set("Healthcheck", healthcheck_json(healthcheck));
    }
    let mut fragment = Object::new();
    if let Some(author) = &config.author {
        fragment.set("author", author.as_str());
    }
    if !execution.is_empty() {
        fragment.set("config", execution);
    }
    fragment
}

/// Sets a member that is a set, which Go writes as an object of empty objects. Those of the base stay in it.
fn add_set(
    object: &mut Object,
    key: &str,
    mut names: BTreeSet<String>,
    inherited: Option<&BTreeSet<String>>,
) {
    if names.is_empty() {
        return;
    }
    names.extend(inherited.into_iter().flatten().cloned());
    let mut set = Object::new();
    for name in &names {
        set.set(name, Object::new());
    }
    object.set(key, set);
}

fn healthcheck_json(healthcheck: &Healthcheck) -> Object {
    let mut object = Object::new();
    object.set("Test", words(&healthcheck.test));
    for (key, duration) in [
        ("Interval", healthcheck.interval),
        ("Timeout", healthcheck.timeout),
        ("StartPeriod", healthcheck.start_period),
        ("StartInterval", healthcheck.start_interval),
    ] {
        if let Some(duration) = duration {
            object.set(key, duration.0.0);
        }
    }
    if let Some(retries) = healthcheck.retries {
        object.set("Retries", u64::from(retries));
    }
    object
}

fn words(words: &[String]) -> Value {
    words
        .iter()
        .map(|word| Value::from(word.as_str()))
        .collect()
}
