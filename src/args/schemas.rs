//! `schemas`.

use std::net::SocketAddr;

use clap::{Args, Subcommand};

use crate::exit::Exit;
use crate::help;

/// Check and serve the contracts
#[derive(Debug, Args)]
pub(crate) struct SchemasArgs {
    #[command(subcommand)]
    pub(crate) command: SchemasCommand,
}

/// What can be done with the contracts.
#[derive(Debug, Subcommand)]
pub(crate) enum SchemasCommand {
    Check(CheckArgs),
    Serve(ServeArgs),
}

/// Prove that every version of every event reads every other
///
/// Compares all versions of each event with one another, as reader and as writer. Needs no registry and no network.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow schemas check",
    "orderflow schemas check --json",
    "orderflow schemas check --quiet",
], &[Exit::Done, Exit::Failed, Exit::Usage]))]
pub(crate) struct CheckArgs {}

/// Serve the contracts to other people's tools, as a schema registry does
///
/// Answers the read-only half of Confluent's registry API, so that Avro clients in any language, AKHQ and Kafka UI decode
/// the records. Nothing can be registered or changed through it.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow schemas serve",
    "orderflow schemas serve --listen 0.0.0.0:8081",
    "orderflow schemas serve --listen 127.0.0.1:0",
], &[Exit::Done, Exit::Failed, Exit::Usage]))]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one, which is logged
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
}
