//! Our inventory, as `orderflow run inventory` runs it.

use std::path::Path;

use orderflow_consumers::inventory::Inventory;
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use orderflow_runtime::{Service, Settings, Topics};
use orderflow_schemas::TopicNames;
use tokio::sync::oneshot;

use super::Error;

/// Runs until `ended` resolves.
///
/// Every round begins with a copy of one database, so the group's offsets in Kafka are ahead of it by design.
pub(super) fn run(
    connection: &Connection,
    names: &TopicNames,
    (group, database): (&str, &Path),
    ended: oneshot::Receiver<()>,
) -> Result<(), Error> {
    let handler = Inventory::new(names.clone());
    let topics = Topics {
        reads: handler.reads(),
        writes: handler.writes(),
    };
    let settings = Settings {
        adopt_database: true,
        ..Settings::default()
    };
    let service = Service::new(group, topics, handler).settings(settings);
    let store = SqliteStore::open(database, &SqliteOptions::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("a runtime"))?;
    let shutdown = async {
        // Also when the sender is gone.
        let _ended = ended.await;
    };
    runtime.block_on(service.run(connection.clone(), store, shutdown))?;
    Ok(())
}
