//! `img expand-template`: templates in a JSON file to the texts they stand for.

mod data;
mod request;

use std::path::PathBuf;

use fs_err as fs;
use imgcore::json::{Object, Value as Json};

use crate::cli::Run;
use crate::cli::value::{KeyAndValue, NameAndFile};
use crate::context::Context;
use crate::output;
use crate::report::{Explain as _, Failure};
use crate::template;

use data::Data;
use request::{Request, Shape};

/// Expands the Go templates in a JSON file with build settings, stamp values and JSON documents
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A file of Bazel's workspace status, lines of `KEY value`; the last one wins
    #[arg(long, value_name = "FILE")]
    stamp: Vec<PathBuf>,
    /// Puts a JSON document at a dotted path of the templates' data, keys in lower case
    #[arg(long, value_name = "PATH=FILE")]
    json_var: Vec<NameAndFile>,
    /// Replaces what is at a dotted path by a part of it
    #[arg(long, value_name = "PATH=PART")]
    json_path_to_root: Vec<KeyAndValue>,
    /// Makes a variable of each `KEY=VALUE` in the list at a dotted path
    #[arg(long, value_name = "PATH")]
    expose_kv: Vec<String>,
    /// The templates, and the build settings that they use
    #[arg(value_name = "IN.json")]
    input: PathBuf,
    /// The file for the result
    #[arg(value_name = "OUT.json")]
    output: PathBuf,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let path = self.input.display();
        let bytes = fs::read(context.path(&self.input))?;
        let mut request = Request::parse(&bytes).explain(|| format!("templates {path}"))?;
        request.add_list_files(context)?;
        let data = self.data(context, &mut request)?;
        let mut expanded = Object::new();
        for (name, shape) in &request.templates {
            let value =
                expand(name, shape, &data).map_err(|failure| failure.in_file(&self.input))?;
            expanded.set(name, value);
        }
        output::write(context, &self.output, &expanded.to_indented())
    }
}

impl Arguments {
    fn data(&self, context: &Context, request: &mut Request) -> Result<Data, Failure> {
        let mut data = Data::default();
        for NameAndFile { name, file } in &self.json_var {
            let name = name.to_string_lossy();
            let bytes = fs::read(context.path(file))?;
            data.add_document(&name, &bytes)
                .explain(|| format!("--json-var {name}={}", file.display()))?;
        }
        for KeyAndValue { key, value } in &self.json_path_to_root {
            data.replace_by_part(key, value)
                .explain(|| format!("--json-path-to-root {key}={value}"))?;
        }
        for file in &self.stamp {
            let bytes = fs::read(context.path(file))?;
            data.add_stamps(&bytes)
                .explain(|| format!("stamp file {}", file.display()))?;
        }
        data.add_settings(std::mem::take(&mut request.settings));
        data.expose(&self.expose_kv);
        Ok(data)
    }
}

fn expand(name: &str, shape: &Shape, data: &Data) -> Result<Json, TemplateFailure> {
    let expand = |text: &str, place: String| {
        template::expand(text, data.root(), data.variables())
            .map_err(|error| TemplateFailure { place, error })
    };
    match shape {
        Shape::List(texts) => {
            let mut expanded = texts
                .iter()
                .enumerate()
                .map(|(index, text)| expand(text, format!("{name}[{index}]")))
                .collect::<Result<Vec<String>, _>>()?;
            if name == "tags" {
                expanded.sort();
                expanded.dedup();
            }
            Ok(expanded.into())
        }
        Shape::Map(texts) => {
            let mut expanded = Object::new();
            for (key, text) in texts {
                expanded.set(key, expand(text, format!("{name}.{key}"))?);
            }
            Ok(expanded.into())
        }
        Shape::Text(text) => Ok(expand(text, name.to_owned())?.into()),
    }
}

/// A template that cannot be expanded, and where it stands in its file.
struct TemplateFailure {
    place: String,
    error: template::TemplateError,
}

impl TemplateFailure {
    fn in_file(self, file: &std::path::Path) -> Failure {
        let message = format!("{}: template {}", file.display(), self.place);
        Failure::new(message).because(self.error)
    }
}
