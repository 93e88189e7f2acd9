//! `run`: a service as a daemon.

use std::sync::Arc;
use std::time::Duration;

use orderflow_consumers::inventory::{self, Inventory};
use orderflow_consumers::payment::simulator::Simulator;
use orderflow_consumers::payment::{self, Charging, Payment};
use orderflow_operations::health::Health;
use orderflow_runtime::effects::{Callers, EffectSettings};
use orderflow_runtime::observer::Logging;
use orderflow_runtime::store::postgres::PostgresStore;
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use orderflow_runtime::store::{Database, Store};
use orderflow_runtime::{Handler, Service, ServiceError, Topics};
use tokio::runtime::Runtime;

use super::contracts::Contracts;
use super::failures::{of_ledger, of_postgres, of_service, of_sqlite};
use super::prepare;
use crate::args::{GlobalArgs, RunCommand, ServiceArgs};
use crate::config::Settings;
use crate::exit::Exit;
use crate::logging::Talk;
use crate::report::{Failure, Outcome};
use crate::signals::Signals;
use crate::slug::Slug;

/// How much longer than its drain a service may take to end before the process ends without it. Together they stay
/// below five seconds, after which supervisors kill.
const GRACE: Duration = Duration::from_millis(1_500);

/// Runs one service until a signal ends it.
pub(super) fn run(command: &RunCommand, global: &GlobalArgs) -> Outcome {
    let (RunCommand::Inventory(args) | RunCommand::Payment(args)) = command;
    let settings = prepared(args, global)?;
    match command {
        RunCommand::Inventory(_) => {
            let contracts = Contracts::open(&settings, &inventory::EMITS)?;
            let handler = Inventory::new(settings.topics.clone()).with_codec(contracts.codec());
            let topics = Topics {
                reads: handler.reads(),
                writes: handler.writes(),
            };
            let service = contracts.provide(Service::new(inventory::GROUP, topics, handler));
            consume(service, inventory::GROUP, settings)
        }
        RunCommand::Payment(_) => {
            let contracts = Contracts::open(&settings, &payment::EMITS)?;
            let handler = Payment::new(settings.topics.clone()).with_codec(contracts.codec());
            let topics = Topics {
                reads: handler.reads(),
                writes: handler.writes(),
            };
            let service = Service::new(payment::GROUP, topics, handler).callers(callers(&settings)?);
            consume(contracts.provide(service), payment::GROUP, settings)
        }
    }
}

fn prepared(args: &ServiceArgs, global: &GlobalArgs) -> Result<Settings, Failure> {
    let mut settings = prepare(global, &(), Talk::Daemon)?;
    settings.runtime.adopt_database = args.adopt_database;
    settings.runtime.adopt_partitions = args.adopt_partitions;
    Ok(settings)
}

/// Payment's calls to the outside: the built-in gateway.
fn callers(settings: &Settings) -> Result<Callers, Failure> {
    std::fs::create_dir_all(&settings.data_dir).map_err(|error| {
        let message = format!("cannot make the folder {}", settings.data_dir.display());
        Failure::new(Slug::StoreUnavailable, message)
            .caused_by(&error)
            .hint("--data-dir names another folder")
    })?;
    let gateway =
        Simulator::open(&settings.ledger(), settings.amount_limit_minor).map_err(|error| of_ledger(&error))?;
    if let Database::Postgres(_) = settings.database(payment::GROUP)? {
        let ledger = settings.ledger();
        tracing::info!(ledger = %ledger.display(), "every other instance of payment must keep its books in this file too");
    }
    let callers = Callers::none().with(payment::CHARGE, Charging(gateway), EffectSettings::default());
    callers.map_err(|error| Failure::from_error(Slug::ConfigInvalid, &error))
}

fn consume<H: Handler>(service: Service<H>, name: &str, settings: Settings) -> Outcome {
    let signals = Signals::take()?;
    let runtime = threads()?;
    match settings.database(name)? {
        Database::Sqlite(path) => {
            let store = SqliteStore::open(&path, &SqliteOptions::default()).map_err(|error| of_sqlite(&error))?;
            until_asked((service, name), (settings, store), runtime, &signals)
        }
        Database::Postgres(address) => {
            let opening = PostgresStore::open(*address, settings.postgres);
            let opened = runtime.block_on(async {
                tokio::select! {
                    opened = opening => Some(opened),
                    () = signals.clone().asked() => None,
                }
            });
            let failed = match opened {
                Some(Ok(store)) => return until_asked((service, name), (settings, store), runtime, &signals),
                Some(Err(error)) => Err(of_postgres(&error).into()),
                None => Ok(signals.exit().unwrap_or(Exit::Terminated)),
            };
            // Who still looks for the server's name is not waited for.
            runtime.shutdown_background();
            failed
        }
    }
}

/// Consumes until a signal asks for the end, whatever the database is.
fn until_asked<H: Handler, S: Store>(
    (service, name): (Service<H>, &str),
    (settings, store): (Settings, S),
    runtime: Runtime,
    signals: &Signals,
) -> Outcome {
    let observer = Arc::new((Logging::default(), started(&settings, name)?));
    let service = service
        .group_id(&settings.topics.group_id(name))
        .settings(settings.runtime.clone())
        .observer(observer);
    let patience = settings.runtime.drain + GRACE;
    let ended = runtime.block_on(async {
        let running = service.run(settings.connection, store, signals.clone().asked());
        tokio::select! {
            ended = running => Some(ended),
            () = overdue(signals.clone(), patience) => None,
        }
    });
    if ended.is_some() {
        runtime.shutdown_background();
    } else {
        // Lanes that are not over wait in it: it ends with the process.
        std::mem::forget(runtime);
    }
    verdict(ended, signals)
}

/// Writes down from now on how the lanes get on.
fn started(settings: &Settings, name: &str) -> Result<Health, Failure> {
    let path = settings.health_file(name);
    Health::start(&path).map_err(|error| {
        Failure::new(
            Slug::OutputFailed,
            format!("the health file {} cannot be written", path.display()),
        )
        .caused_by(&error)
        .hint("health_file names another")
    })
}

async fn overdue(signals: Signals, patience: Duration) {
    signals.asked().await;
    tokio::time::sleep(patience).await;
}

fn verdict(ended: Option<Result<(), ServiceError>>, signals: &Signals) -> Outcome {
    match ended {
        Some(Ok(())) => Ok(Exit::Done),
        Some(Err(error)) => Err(of_service(&error).into()),
        None => {
            tracing::warn!("the drain was not over in time; the next start goes on where this one stopped");
            Ok(signals.exit().unwrap_or(Exit::Terminated))
        }
    }
}

/// Threads for what waits: lanes, effects and the server of the contracts.
pub(super) fn threads() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Slug::Internal, "no threads could be started").caused_by(&error))
}
