//! From what was said to what is done: each command resolves its settings and calls one library.

mod audit;
mod bench;
mod config;
mod contracts;
mod db;
mod demo;
mod explain;
pub(crate) mod failures;
mod health;
mod import;
mod letters;
mod order;
mod run;
mod schemas;
mod shell;
mod stock;
mod tail;
mod topics;

use clap::CommandFactory as _;

use crate::args::{
    Cli, Command, ConfigCommand, DbCommand, Flags, GlobalArgs, OrderCommand, SchemasCommand, StockCommand,
    TopicsCommand,
};
use crate::config::{Said, Settings};
use crate::exit::Exit;
use crate::logging::Talk;
use crate::output::{Output, envelope, print};
use crate::report::{Failure, Outcome};
use crate::slug::Slug;
use crate::version::Version;

/// Runs what was asked for.
pub(crate) fn run(cli: Cli) -> Outcome {
    let output = Output::new(cli.global.json, cli.global.quiet > 0);
    if cli.version {
        return version(output);
    }
    let Some(command) = cli.command else {
        return Err(Failure::new(Slug::Usage, "no command was given")
            .hint("orderflow --help")
            .into());
    };
    let global = &cli.global;
    match command {
        Command::Demo(args) => demo::run(&args, global, output),
        Command::Order(args) => match args.command {
            OrderCommand::Place(args) => order::place(args, global, output),
            OrderCommand::Emit(args) => order::emit(&args, global, output),
            OrderCommand::Import(args) => import::run(args, global, output),
        },
        Command::Stock(args) => match args.command {
            StockCommand::Import(args) => stock::import(args, global, output),
            StockCommand::Set(args) => stock::set(&args, global, output),
            StockCommand::Receive(args) => stock::receive(&args, global, output),
            StockCommand::Show(args) => stock::show(&args, global, output),
        },
        Command::Run(args) => run::run(&args.command, global),
        Command::Topics(args) => match args.command {
            TopicsCommand::Plan(args) => topics::plan(&args, global, output),
            TopicsCommand::Apply(args) => topics::apply(&args, global, output),
            TopicsCommand::Tail(args) => tail::run(args, global, output),
        },
        Command::Schemas(args) => match args.command {
            SchemasCommand::Check(args) => schemas::check(&args, global, output),
            SchemasCommand::Register(args) => schemas::register(&args, global, output),
            SchemasCommand::Serve(args) => schemas::serve(&args, global),
        },
        Command::Audit(args) => audit::run(&args, global, output),
        Command::Health(args) => health::run(&args, global, output),
        Command::Bench(args) => bench::run(args, global, output),
        Command::Db(args) => match args.command {
            DbCommand::Status(args) => db::status(&args.services, global, output),
            DbCommand::Migrate(args) => db::migrate(&args.services, global, output),
        },
        Command::Config(args) => match args.command {
            ConfigCommand::Show(args) => config::show(&args, global, output),
        },
        Command::Explain(args) => explain::run(&args, output),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args, output),
    }
}

fn version(output: Output) -> Outcome {
    let version = Version::current();
    if output.is_json() {
        envelope("version", &[version])?;
    } else {
        print(&version.text())?;
    }
    Ok(Exit::Done)
}

/// The settings in force, with colour and logs set up by them.
///
/// # Errors
/// Whatever is wrong with the configuration.
fn prepare(global: &GlobalArgs, command: &impl Flags, talk: Talk) -> Result<Settings, Failure> {
    let settings = Settings::resolve(&Said::gather(global, command)?)?;
    crate::colour::choose(settings.color);
    settings.log.start(talk, global.steps());
    for risk in settings.connection.risks() {
        tracing::warn!("{risk}");
    }
    Ok(settings)
}

/// The whole command, for what describes it.
fn tree() -> clap::Command {
    Cli::command()
}
