//! `img-registry`: an OCI registry over files.

#![forbid(unsafe_code)]

mod cli;
mod serve;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli::Arguments { command } = cli::Arguments::parse();
    let ended = match command {
        cli::Command::Serve(options) => serve::run(options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            serve::report(&*error);
            ExitCode::FAILURE
        }
    }
}
