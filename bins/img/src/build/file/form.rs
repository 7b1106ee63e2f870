//! How each key is written, for values that are of another type.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longer values are not repeated in a message.
const LONGEST: usize = 40;

/// What is wrong with a value that is of another type than its key wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrongType {
    pub(super) message: String,
    /// What could stand there.
    pub(super) form: &'static str,
}

/// Finds the key whose value is at `span`; `None` if that value is of no key that is known.
pub(super) fn wrong_type(text: &str, span: Range<usize>) -> Option<WrongType> {
    let document = DeTable::parse(text).ok()?;
    let mut path = path_in_table(document.get_ref(), &span)?;
    let is_free = |key: &&str| matches!(*key, "annotations" | "env" | "labels");
    // What is in these are the names of the file's author.
    let known = path.iter().position(is_free);
    let known = known.or_else(|| path.iter().rposition(|key| form(key).is_some()))?;
    let form = form(path[known])?;
    let name = path.split_off(known).join(".");
    let value = text
        .get(span)
        .filter(|value| value.len() <= LONGEST && !value.contains('\n'));
    let message = match value {
        Some(value) => format!("`{name}` cannot be `{value}`"),
        None => format!("`{name}` cannot be this"),
    };
    Some(WrongType { message, form })
}

/// Returns how a key is written.
pub(super) fn form(key: &str) -> Option<&'static str> {
    Some(match key {
        "annotations" => "annotations = { \"org.example.key\" = \"value\" }",
        "author" => "author = \"me@example.org\"",
        "base" => "base = { path = \"base-layout\", tag = \"1.0\" }",
        "cmd" => "cmd = [\"--port\", \"80\"]",
        "compression" => "compression = \"zstd\"",
        "config" => "config = { user = \"1000:1000\" }",
        "content" => "content = \"text of the file\"",
        "copy" => "copy = [{ from = \"build/hello\", to = \"/usr/bin/\" }]",
        "created" => "created = \"2031-05-06T07:08:09Z\"",
        "digest" => "digest = \"sha256:…\"",
        "directories" => "directories = [{ path = \"/var/lib/app\", mode = \"0700\" }]",
        "directory_mode" => "directory_mode = \"0755\"",
        "docker_archive" => "docker_archive = \"out/image.tar\"",
        "docker_platform" => "docker_platform = \"linux/amd64\"",
        "entrypoint" => "entrypoint = [\"/usr/bin/hello\", \"--verbose\"]",
        "env" => "env = { LANG = \"C.UTF-8\" }",
        "estargz" => "estargz = true",
        "exclude" => "exclude = [\"*.log\"]",
        "exposed_ports" => "exposed_ports = [\"80\", \"53/udp\"]",
        "from" => "from = \"build/hello\"",
        "hard_links" => "hard_links = false",
        "healthcheck" => "healthcheck = { test = [\"CMD\", \"/bin/check\"], interval = \"30s\" }",
        "image" => "image = \"debian:12\"",
        "interval" => "interval = \"30s\"",
        "labels" => "labels = { \"org.example.key\" = \"value\" }",
        "layer" => "[[layer]]",
        "layout" => "layout = \"out/layout\"",
        "level" => "level = \"best\"",
        "mode" => "mode = \"0755\"",
        "name" => "name = \"hello\"",
        "oci_archive" => "oci_archive = \"out/image.oci.tar\"",
        "output" => "output = { layout = \"out/layout\" }",
        "owner" => "owner = \"1000:1000\"",
        "path" => "path = \"var/lib/app\"",
        "platforms" => "platforms = [\"linux/amd64\", \"linux/arm64\"]",
        "preserve_modes" => "preserve_modes = true",
        "push" => "push = [\"registry.example/team/hello\"]",
        "prioritized_files" => "prioritized_files = [\"/usr/bin/hello\"]",
        "remove" => "remove = [\"/etc/motd\"]",
        "retries" => "retries = 3",
        "shell" => "shell = [\"/bin/sh\", \"-c\"]",
        "start_interval" => "start_interval = \"5s\"",
        "start_period" => "start_period = \"1m\"",
        "stop_signal" => "stop_signal = \"SIGTERM\"",
        "symlinks" => "symlinks = [{ path = \"/bin/sh\", target = \"busybox\" }]",
        "tag" => "tag = \"1.0\"",
        "tags" => "tags = [\"1.0\", \"latest\"]",
        "target" => "target = \"busybox\"",
        "test" => "test = [\"CMD\", \"/bin/check\"]",
        "timeout" => "timeout = \"5s\"",
        "to" => "to = \"/usr/bin/\"",
        "user" => "user = \"1000:1000\"",
        "volumes" => "volumes = [\"/data\"]",
        "working_dir" => "working_dir = \"/srv\"",
        _ => return None,
    })
}

fn path_in_table<'t>(table: &'t DeTable<'_>, span: &Range<usize>) -> Option<Vec<&'t str>> {
    table.iter().find_map(|(key, value)| {
        let mut path = vec![key.get_ref().as_ref()];
        path.extend(path_in_value(value, span)?);
        Some(path)
    })
}

/// The keys that lead from a value to the place; none if it is the value itself.
fn path_in_value<'t>(value: &'t Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<Vec<&'t str>> {
    // A table that has a header of its own is not where it is written: its members may be anywhere.
    let inside = match value.get_ref() {
        DeValue::Table(table) => path_in_table(table, span),
        DeValue::Array(array) => array.iter().find_map(|item| path_in_value(item, span)),
        _ => None,
    };
    let around = value.span();
    let is_here = around.start <= span.start && span.end <= around.end;
    inside.or_else(|| is_here.then(Vec::new))
}
