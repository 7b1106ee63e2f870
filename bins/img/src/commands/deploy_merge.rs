//! `img deploy-merge`: several deploy manifests to one.

use std::path::PathBuf;
use std::str::FromStr;

use fs_err as fs;
use imgcore::deploy::{Command, DeployManifest, LoadStrategy, MergeOptions, PushStrategy, merge};
use imgcore::json::Strictness;

use super::layer_hints::LayerHints;
use crate::cli::Run;
use crate::context::Context;
use crate::output::Outputs;
use crate::report::{Explain as _, Failure};

/// Puts the operations of several deploy manifests into one
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where pushes take layers from: `eager`, `lazy`, `cas_registry` or `bes`; `auto` is `lazy`
    #[arg(long, value_name = "STRATEGY", default_value = "lazy", value_parser = parse_strategy::<PushStrategy>)]
    push_strategy: PushStrategy,
    /// Where loads take layers from: `eager` or `lazy`; `auto` is `lazy`
    #[arg(long, value_name = "STRATEGY", default_value = "lazy", value_parser = parse_strategy::<LoadStrategy>)]
    load_strategy: LoadStrategy,
    /// Keeps only operations of this kind: `push` (with its tags) or `load`
    #[arg(long, value_name = "COMMAND", value_parser = parse_operation)]
    operation: Vec<Command>,
    /// A file with layer hints
    #[arg(long, value_name = "FILE")]
    layer_hints_input: Vec<PathBuf>,
    /// Where all layer hints go
    #[arg(long, value_name = "FILE")]
    layer_hints_output: Option<PathBuf>,
    /// The deploy manifests, and at last the file for the result
    #[arg(value_name = "IN... OUT", num_args = 1.., required = true)]
    files: Vec<PathBuf>,
}

/// Rules say `auto` for the kind of operation that an image has none of.
fn parse_strategy<S: FromStr>(word: &str) -> Result<S, S::Err> {
    if word == "auto" { "lazy" } else { word }.parse()
}

fn parse_operation(word: &str) -> Result<Command, String> {
    match word.parse() {
        Ok(command @ (Command::Push | Command::Load)) => Ok(command),
        _ => Err("known are push and load".to_owned()),
    }
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let Some((output, inputs)) = self
            .files
            .split_last()
            .filter(|(_, inputs)| !inputs.is_empty())
        else {
            return Err(Failure::new("there is nothing to merge")
                .hint("name the deploy manifests, and at last the file for the result"));
        };
        if self.layer_hints_input.is_empty() != self.layer_hints_output.is_none() {
            return Err(Failure::new("layer hints need an input and an output")
                .hint("give --layer-hints-input and --layer-hints-output, or neither"));
        }
        let names: Vec<String> = inputs
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let mut manifests = Vec::with_capacity(inputs.len());
        for (path, name) in inputs.iter().zip(&names) {
            let bytes = fs::read(context.path(path))?;
            let manifest =
                DeployManifest::parse(&bytes, Strictness::Lenient).explain(|| name.clone())?;
            manifests.push((name.as_str(), manifest));
        }
        let mut options = MergeOptions::default();
        options.push_strategy = Some(self.push_strategy);
        options.load_strategy = Some(self.load_strategy);
        options.commands = self.operation;
        let merged = merge(manifests, &options)?;

        let mut outputs = Outputs::default();
        outputs.add_bytes(context, output, &merged.to_json_bytes())?;
        if let Some(output) = &self.layer_hints_output {
            let mut hints = LayerHints::default();
            for path in &self.layer_hints_input {
                hints.add_hints(context, path)?;
            }
            outputs.add_bytes(context, output, &hints.to_bytes())?;
        }
        outputs.commit(context)
    }
}
