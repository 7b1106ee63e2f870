//! `img`: builds, inspects and moves OCI container images.
#![forbid(unsafe_code)]

mod build;
mod cli;
mod commands;
mod context;
mod credentials;
mod deploy;
mod kvfile;
mod leftovers;
mod load;
mod network;
mod output;
mod push;
mod report;
mod shown;
mod subject;
mod sys;
mod template;
mod worker;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os().skip(1).collect())
}
