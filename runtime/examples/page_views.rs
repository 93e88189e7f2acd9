//! A consumer of one page that has nothing to do with orders: it counts views per page, each exactly once, and says so
//! at every tenth.
//!
//! Run it with `cargo run -p orderflow-runtime --example page_views --features embedded-broker`: it brings its own broker
//! and a database in a temporary folder, sends every view twice, and still counts each once.

#![allow(clippy::print_stdout, reason = "an example says what it did")]

use std::sync::Arc;
use std::time::Duration;

use orderflow_runtime::embedded::EmbeddedBroker;
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::store::StoreError;
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteReader, SqliteStore};
use orderflow_runtime::{
    Cause, Decision, Decoded, Entity, Fact, Handler, Reason, Record, Refusal, Rows, Service, Settings, Topics, Wanted,
    derive_id,
};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde::{Deserialize, Serialize};

/// The one kind of row this service keeps, by page.
const PAGE: Entity<Page> = Entity::new("page", 0);

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Page {
    views: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct View {
    id: uuid::Uuid,
    page: String,
}

struct PageViews {
    milestones: Arc<str>,
}

impl Handler for PageViews {
    type Event = View;

    fn decode(&self, record: &Record<'_>) -> Result<Decoded<View>, Refusal> {
        let bytes = record
            .value
            .ok_or_else(|| Refusal::new(Reason::Tombstone, "a view has a value"))?;
        let view: View = serde_json::from_slice(bytes).map_err(|e| Refusal::new(Reason::WrongType, e.to_string()))?;
        Ok(Decoded::Event {
            id: view.id,
            event: view,
        })
    }

    fn rows(&self, view: &View, wanted: &mut Wanted<'_>) {
        wanted.row(PAGE, &view.page);
    }

    fn decide(&self, cause: &Cause, view: &View, rows: &Rows) -> Result<Decision, Refusal> {
        let mut page = rows.get(PAGE, &view.page).cloned().unwrap_or_default();
        page.views += 1;
        let mut decision = Decision::new();
        if page.views.is_multiple_of(10) {
            let said = format!("{} views of {}", page.views, view.page);
            decision.emit(Fact::new(
                cause.derive(0),
                Arc::clone(&self.milestones),
                view.page.as_str(),
                said.into(),
            ));
        }
        decision.put(PAGE, view.page.as_str(), page);
        Ok(decision)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let views = count().await?;
    assert_eq!(views, 100, "every view is counted once");
    println!("{views} views counted, each once");
    Ok(())
}

/// All of it but what is said at the end: a test runs it too (`runtime/tests/page_views.rs`).
pub(crate) async fn count() -> Result<u64, Box<dyn std::error::Error>> {
    let names = ["views", "views.counting.redrive", "views.counting.dlq", "milestones"];
    let broker = EmbeddedBroker::start(&names.map(|name| (name, 4)))?;
    send_each_twice(&broker.connection(), 100)?;

    let folder = tempfile::tempdir()?;
    let database = folder.path().join("counting.db");
    let topics = Topics {
        reads: vec!["views".into()],
        writes: vec!["milestones".into()],
    };
    let service = Service::new(
        "counting",
        topics,
        PageViews {
            milestones: "milestones".into(),
        },
    )
    .settings(EmbeddedBroker::settings(Settings::default()));
    let done = all_counted(database.clone(), 100);
    service
        .run(
            broker.connection(),
            SqliteStore::open(&database, &SqliteOptions::default())?,
            done,
        )
        .await?;

    views(&database)
}

/// Until as many views are counted, or for twenty seconds.
async fn all_counted(database: std::path::PathBuf, expected: u64) {
    for _ in 0..200 {
        if views(&database).unwrap_or(0) >= expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn views(database: &std::path::Path) -> Result<u64, Box<dyn std::error::Error>> {
    let mut views = 0;
    SqliteReader::open(database)?.each_row("page", |row| {
        let page: Page = serde_json::from_slice(row.body).unwrap_or_default();
        views += page.views;
        Ok::<_, StoreError>(())
    })?;
    Ok(views)
}

/// A client that repeats itself: the same event, the same bytes, at two offsets.
fn send_each_twice(connection: &Connection, views: u32) -> Result<(), Box<dyn std::error::Error>> {
    let producer: BaseProducer = connection.client(&[("partitioner", "murmur2_random")]).create()?;
    for n in 0..views {
        let page = format!("/page/{}", n % 3);
        let id = derive_id(1_700_000_000_000, &[&n.to_be_bytes()]);
        let value = serde_json::to_vec(&View { id, page: page.clone() })?;
        for _ in 0..2 {
            producer
                .send(BaseRecord::to("views").key(&page).payload(&value))
                .map_err(|(error, _)| error)?;
        }
    }
    producer.flush(Duration::from_secs(10))?;
    Ok(())
}
