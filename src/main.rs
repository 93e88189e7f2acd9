//! The `orderflow` binary: command line to program, nothing else.

mod args;
mod colour;
mod commands;
mod config;
mod exit;
mod help;
mod logging;
mod meter;
mod output;
mod report;
mod services;
mod signals;
mod slug;
mod units;
mod version;
mod waiting;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::report::Stop;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    colour::choose(colour::asked_for(&arguments));
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(said) => return report::tell(&said, arguments.iter().any(|argument| argument == "--json")).into(),
    };
    let json = cli.global.json;
    match commands::run(cli) {
        Ok(exit) | Err(Stop::Signal(exit)) => exit.into(),
        Err(Stop::OutputClosed) => ExitCode::SUCCESS,
        Err(Stop::Failed(failure)) => {
            failure.print(json);
            failure.exit().into()
        }
    }
}
