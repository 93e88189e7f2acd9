//! What can be said on the command line. Nothing here does anything.

mod audit;
mod bench;
mod config;
mod db;
mod demo;
mod explain;
mod global;
mod health;
mod order;
mod run;
mod schemas;
mod shell;
mod stock;
mod topics;

use clap::{Parser, Subcommand};

pub(crate) use audit::AuditArgs;
pub(crate) use bench::{BenchArgs, MeasureName};
pub(crate) use config::{ConfigArgs, ConfigCommand, ConfigShowArgs};
pub(crate) use db::{DbArgs, DbCommand, ServiceName};
pub(crate) use demo::DemoArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use global::{Flags, GlobalArgs};
pub(crate) use health::HealthArgs;
pub(crate) use order::{EmitArgs, FileFormat, ImportArgs, OrderArgs, OrderCommand, PlaceArgs};
pub(crate) use run::{RunArgs, RunCommand, ServiceArgs};
pub(crate) use schemas::{CheckArgs, RegisterArgs, SchemasArgs, SchemasCommand, ServeArgs};
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use stock::{
    IdentityArgs, StockArgs, StockCommand, StockImportArgs, StockReceiveArgs, StockSetArgs, StockShowArgs, WaitArgs,
};
pub(crate) use topics::{ApplyArgs, PlanArgs, TailArgs, TopicsArgs, TopicsCommand};

/// An order pipeline on Apache Kafka: every effect happens exactly once.
///
/// Orders go in by `order`, are worked on by the daemons of `run`, and `audit` proves from the topics and the databases
/// that nothing was lost and nothing happened twice.
///
/// Settings come from flags, over ORDERFLOW_* variables, over orderflow.toml, over defaults; `orderflow config show
/// --origin` tells which is in force.
#[derive(Debug, Parser)]
#[command(
    name = "orderflow",
    disable_help_subcommand = false,
    arg_required_else_help = true,
    max_term_width = 100,
    after_long_help = crate::help::root()
)]
pub(crate) struct Cli {
    /// Print the version: the program's, its commit, librdkafka's and SQLite's
    #[arg(short = 'V', long)]
    pub(crate) version: bool,

    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Order(OrderArgs),
    Stock(StockArgs),
    Run(RunArgs),
    Topics(TopicsArgs),
    Schemas(SchemasArgs),
    Audit(AuditArgs),
    Health(HealthArgs),
    #[command(hide = true)]
    Bench(BenchArgs),
    Db(DbArgs),
    Config(ConfigArgs),
    Explain(ExplainArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}
