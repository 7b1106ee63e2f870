//! `img validate layer-presence`: are the layers that a layer needs below it?

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use fs_err as fs;
use imgcore::Digest;

use super::layer_hints::read_digest;
use crate::cli::Run;
use crate::cli::value::IndexAndFile;
use crate::context::Context;
use crate::output::Outputs;
use crate::report::Failure;
use crate::sys;

/// Checks that layers stand above the layers that they need
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The metadata of a layer, by its place in the image
    #[arg(long, value_name = "I=FILE")]
    layer_metadata: Vec<IndexAndFile>,
    /// Where the result goes; `-` is standard output
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// A file of lines `I`, NUL, path of metadata: the layer I needs that layer
    #[arg(value_name = "[@]NEEDS")]
    needs: OsString,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let mut layers = BTreeMap::new();
        for IndexAndFile { index, file } in &self.layer_metadata {
            layers.insert(*index, read_digest(context, file)?);
        }
        let report = report(&layers, &self.read_needs(context)?)?;
        let text = if report.is_empty() { "ok\n" } else { &report };
        let mut outputs = Outputs::default();
        for path in &self.file {
            outputs.add_bytes(context, path, text.as_bytes())?;
        }
        outputs.commit(context)?;
        if report.is_empty() {
            return Ok(());
        }
        context.report.error_text(&report);
        Err(Failure::silent())
    }
}

impl Arguments {
    /// Reads which layer needs which digest.
    fn read_needs(&self, context: &Context) -> Result<Vec<(usize, Digest)>, Failure> {
        let word = sys::bytes_of(&self.needs);
        let path = sys::path_from_bytes(word.strip_prefix(b"@").unwrap_or(&word))
            .ok_or_else(|| Failure::new("the file of needs has no usable name"))?;
        let bytes = fs::read(context.path(&path))?;
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        let mut needs = Vec::new();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let place = format!("{}: line {number}", path.display());
            let (index, metadata) = split(line).ok_or_else(|| {
                Failure::new(format!("{place}: it is not a number, a NUL and a path"))
            })?;
            needs.push((index, read_digest(context, &metadata)?));
        }
        Ok(needs)
    }
}

fn split(line: &[u8]) -> Option<(usize, PathBuf)> {
    let end = line.iter().position(|byte| *byte == 0)?;
    let index = std::str::from_utf8(&line[..end]).ok()?.parse().ok()?;
    let path = sys::path_from_bytes(&line[end + 1..])?;
    (!path.as_os_str().is_empty()).then_some((index, path))
}

/// Lists what is wrong, layer by layer; nothing if all is well.
fn report(layers: &BTreeMap<usize, Digest>, needs: &[(usize, Digest)]) -> Result<String, Failure> {
    let mut faults: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (index, needed) in needs {
        if !layers.contains_key(index) {
            let message = format!("there is no layer {index}, of which it is said what it needs");
            return Err(Failure::new(message).hint("give its --layer-metadata, too"));
        }
        let present = layers.iter().find(|(_, digest)| *digest == needed);
        let fault = match present {
            Some((place, _)) if place < index => continue,
            Some((place, _)) if place == index => format!("needs {needed}, which is itself"),
            Some((place, _)) => {
                format!("needs {needed}, which comes too late: it is layer {place}")
            }
            None => format!("needs {needed}, which is missing"),
        };
        faults.entry(*index).or_default().push(fault);
    }
    let mut report = String::new();
    for (index, faults) in faults {
        writeln!(report, "layer[{index}] {}:", layers[&index])?;
        for fault in faults {
            writeln!(report, "  {fault}")?;
        }
    }
    Ok(report)
}
