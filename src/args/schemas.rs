//! `schemas`.

use std::net::SocketAddr;

use clap::{Args, Subcommand};

use crate::exit::Exit;
use crate::help;

/// Check, register and serve the contracts
#[derive(Debug, Args)]
pub(crate) struct SchemasArgs {
    #[command(subcommand)]
    pub(crate) command: SchemasCommand,
}

/// What can be done with the contracts.
#[derive(Debug, Subcommand)]
pub(crate) enum SchemasCommand {
    Check(CheckArgs),
    Register(RegisterArgs),
    Serve(ServeArgs),
}

/// Prove that every version of every event reads every other
///
/// Compares all versions of each event with one another, as reader and as writer. With a registry (`--registry`), also
/// with every version that is registered under the same subjects; without one it needs no network.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow schemas check",
    "orderflow schemas check --json",
    "orderflow schemas check --registry http://localhost:8081",
    "orderflow schemas check --offline",
], &[Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable]))]
pub(crate) struct CheckArgs {
    /// Leave the registry alone, even if one is configured
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Register the contracts with a schema registry
///
/// Registers every version of every event under the full name of its record, in the order of release. What is there
/// already keeps its id, so running it again changes nothing. Producers and daemons look their ids up and register nothing
/// themselves.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow schemas register --registry http://localhost:8081",
    "orderflow schemas register --registry https://registry.example/apis/ccompat/v7 --dry-run",
    "orderflow schemas register --json",
], &[Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable]))]
pub(crate) struct RegisterArgs {
    /// Only show what is missing, and whether the registry would take it
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Serve the contracts to other people's tools, as a schema registry does
///
/// Answers the read-only half of Confluent's registry API, so that Avro clients in any language, AKHQ and Kafka UI decode
/// the records. Nothing can be registered or changed through it.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow schemas serve",
    "orderflow schemas serve --listen 0.0.0.0:8081",
    "orderflow schemas serve --listen 127.0.0.1:0",
], &[Exit::Done, Exit::Failed, Exit::Usage, Exit::Interrupted, Exit::Terminated]))]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one, which is logged
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
}
