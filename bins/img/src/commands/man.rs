//! `img man`: the manual pages.

use std::path::{Path, PathBuf};

use crate::cli::{self, Run};
use crate::context::Context;
use crate::output::Outputs;
use crate::report::Failure;

/// Prints the manual page, or writes the pages of all commands into a directory
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory for `img.1`, `img-build.1` and so on; it must exist
    directory: Option<PathBuf>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let root = cli::root_command();
        let Some(directory) = self.directory else {
            return context.report.print(String::from_utf8_lossy(&page(root)?));
        };
        let mut outputs = Outputs::default();
        write_pages(context, &directory, "img", &root, &mut outputs)?;
        outputs.commit(context)
    }
}

fn write_pages(
    context: &Context,
    directory: &Path,
    name: &str,
    command: &clap::Command,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    let page = page(command.clone().name(name.to_owned()))?;
    outputs.add_bytes(context, &directory.join(format!("{name}.1")), &page)?;
    for child in command.get_subcommands() {
        let child_name = format!("{name}-{}", child.get_name());
        write_pages(context, directory, &child_name, child, outputs)?;
    }
    Ok(())
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
