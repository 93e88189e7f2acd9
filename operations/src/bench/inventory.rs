//! Our inventory, as `orderflow run inventory` runs it.

use std::time::Duration;

use orderflow_consumers::inventory::Inventory;
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::store::postgres::{PostgresOptions, PostgresStore};
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use orderflow_runtime::store::{Database, Store};
use orderflow_runtime::{Service, Settings, Topics};
use orderflow_schemas::TopicNames;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Error;
use super::store::Place;

/// What is set otherwise than a user would find it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Tuning {
    /// Records of one lane in one unit.
    pub(super) batch: Option<usize>,
    /// After how long the group counts a silent member as dead.
    pub(super) session_timeout: Option<Duration>,
}

impl Tuning {
    /// Every round begins with a copy of one database, so the group's offsets in Kafka are ahead of it by design.
    fn settings(self) -> Settings {
        let usual = Settings::default();
        Settings {
            adopt_database: true,
            batch_records: self.batch.or(usual.batch_records),
            session_timeout: self.session_timeout.unwrap_or(usual.session_timeout),
            ..usual
        }
    }
}

/// Runs until `ended` resolves.
pub(super) fn run(
    connection: &Connection,
    (names, group): (&TopicNames, &str),
    (place, tuning): (&Place, Tuning),
    ended: oneshot::Receiver<()>,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("a runtime"))?;
    let (service, settings) = (service(names, group), tuning.settings());
    match place.database()? {
        Database::Sqlite(path) => {
            let store = SqliteStore::open(&path, &SqliteOptions::default())?;
            runtime.block_on(serve(service, connection, (settings, store), ended))
        }
        Database::Postgres(address) => runtime.block_on(async {
            let store = PostgresStore::open(*address, PostgresOptions::default()).await?;
            serve(service, connection, (settings, store), ended).await
        }),
    }
}

fn service(names: &TopicNames, group: &str) -> Service<Inventory> {
    let handler = Inventory::new(names.clone());
    let topics = Topics {
        reads: handler.reads(),
        writes: handler.writes(),
    };
    Service::new(group, topics, handler)
}

async fn serve<S: Store>(
    service: Service<Inventory>,
    connection: &Connection,
    (settings, store): (Settings, S),
    ended: oneshot::Receiver<()>,
) -> Result<(), Error> {
    let shutdown = async {
        // Also when the sender is gone.
        let _ended = ended.await;
    };
    service
        .settings(settings)
        .run(connection.clone(), store, shutdown)
        .await?;
    Ok(())
}
