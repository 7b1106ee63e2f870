//! `img completions`: what a shell needs to complete command lines.

use clap_complete::Shell;

use crate::cli::{self, Run};
use crate::context::Context;
use crate::report::Failure;

/// Prints the completion script of a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell to complete for
    #[arg(value_enum)]
    shell: Shell,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut cli::root_command(), "img", &mut script);
        context.report.print(String::from_utf8_lossy(&script))
    }
}
