//! A consumer runtime on Kafka in which every effect happens exactly once.
//!
//! A [`Handler`] says what follows from an event; the runtime does the rest. A crash on any line, a repetition by any client
//! and a second instance on the same lane leave the same rows and the same facts. What it guarantees:
//!
//! - **An event is applied once**, however often its record comes: what is decided, the event's id and the position are
//!   written in one transaction.
//! - **A fact is published at least once, always under the same id**, first copies in the order in which they were decided for a
//!   key. Whoever keeps the set of ids sees each once.
//! - **A call to the outside is made after its decision is durable**, under a key that never changes, and its answer is applied
//!   once. Without an answer it is `unknown`, and never taken for refused.
//! - **A timer fires once**, also when the service was not there at its time.
//! - **Nothing is skipped**: a record is applied, known already, not for this service, or a dead letter, and a hole in a topic
//!   stops the service.
//!
//! # The shortest service
//!
//! ```no_run
//! use orderflow_runtime::kafka::Connection;
//! use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
//! use orderflow_runtime::{
//!     Cause, Decision, Decoded, Entity, Handler, Reason, Record, Refusal, Rows, Service, Topics, Wanted,
//! };
//!
//! /// Views of each page: one kind of row.
//! const VIEWS: Entity<u64> = Entity::new("views", 0);
//!
//! struct Counting;
//!
//! impl Handler for Counting {
//!     /// The page that was viewed.
//!     type Event = String;
//!
//!     fn decode(&self, record: &Record<'_>) -> Result<Decoded<String>, Refusal> {
//!         let id = text(record.headers.get("id")).and_then(|id| id.parse().ok());
//!         let (Some(id), Some(page)) = (id, text(record.key)) else {
//!             return Err(Refusal::new(Reason::WrongType, "a view has an id and a page"));
//!         };
//!         Ok(Decoded::Event { id, event: page.to_owned() })
//!     }
//!
//!     fn rows(&self, page: &String, wanted: &mut Wanted<'_>) {
//!         wanted.row(VIEWS, page);
//!     }
//!
//!     fn decide(&self, _cause: &Cause, page: &String, rows: &Rows) -> Result<Decision, Refusal> {
//!         let before = rows.get(VIEWS, page).copied().unwrap_or_default();
//!         let mut decision = Decision::new();
//!         decision.put(VIEWS, page.as_str(), before + 1);
//!         Ok(decision)
//!     }
//! }
//!
//! fn text(bytes: Option<&[u8]>) -> Option<&str> {
//!     std::str::from_utf8(bytes?).ok()
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = SqliteStore::open("counting.db".as_ref(), &SqliteOptions::default())?;
//!     let topics = Topics { reads: vec!["views".into()], writes: vec![] };
//!     let service = Service::new("counting", topics, Counting);
//!     service.run(Connection::to("localhost:9092"), store, std::future::pending()).await?;
//!     Ok(())
//! }
//! ```
//!
//! The topics are there before it: `views` and, with as many partitions, its [dead letters](dead_letter_topic) and
//! [what comes back of them](redrive_topic). `runtime/examples/page_views.rs` is a whole program that brings its own broker,
//! and publishes facts as well; tests of a handler need neither broker nor database ([`Rows::with`], [`Decision::row`]).
//!
//! # The way of a record
//!
//! One thread polls Kafka and hands each record to its **lane**, which is partition *n* of every topic the group reads. The lane
//! has it read ([`Handler::decode`]), and takes a batch through one transaction: position, ids that were seen before, the rows
//! it needs ([`Handler::rows`]), a decision for each event in order ([`Handler::decide`]), everything they say. Once that is
//! durable, facts go to Kafka and [effects] to their [callers](effects::Caller); answers and timers come back as decisions of
//! their own ([`Handler::answer`], [`Handler::timer`]). The group is told its position last, for lag tools alone: what counts
//! is the database ([`store`]), SQLite for one process or PostgreSQL for any number.
//!
//! # Where errors go
//!
//! | what | becomes |
//! | --- | --- |
//! | a record that cannot be read, decided on or stored, also by a panic | a dead letter with its bytes and a [`Reason`]; produced into the redrive topic it comes back, once |
//! | a database, broker or other side that is away while it runs | waited for, as long as it takes; the [`Observer`] hears of it |
//! | something that decoding lacks ([`Decoded::Lacks`]) | the lane waits before the record, the others go on |
//! | a refusal or a panic over an answer or a timer | [`Halt::Decision`]: they have no dead letters |
//! | what a person must decide: lost records, the wrong database, a flood of dead letters | [`ServiceError::Halted`], with nothing skipped |
//! | anything else that ends a service | another [`ServiceError`], by what its operator does next |
//!
//! # Features
//!
//! - `tls`: TLS, SCRAM and OAUTHBEARER to Kafka, by the system's OpenSSL.
//! - `embedded-broker`: a broker in the process (`embedded`), for examples, demonstrations and tests. Not durable.
//! - `conformance`: the suite that a [`Store`](store::Store) of your own must pass.
//! - `crash-points`: named points at which tests of crashes end the process; never in a release.

mod access;
mod batch;
mod consumer;
pub mod crash;
mod deciding;
mod decision;
mod dependency;
pub mod effects;
#[cfg(any(test, feature = "embedded-broker"))]
pub mod embedded;
mod entity;
mod error;
mod flood;
pub mod handler;
pub mod kafka;
mod lane;
mod letters;
mod limits;
mod made;
pub mod observer;
pub mod partitioner;
mod pipeline;
pub mod record;
mod relay;
pub mod rows;
mod service;
pub mod settings;
mod shared;
pub mod store;
mod topology;
mod wanted;

pub use dependency::{Dependencies, Dependency};
pub use error::{Halt, ServiceError};
pub use handler::{
    Answered, Cause, Decision, Decoded, Effect, Fact, Fired, Handler, Reason, Refusal, Timer, derive_id,
};
pub use letters::{DETAIL_HEADER, REASON_HEADER};
pub use observer::Observer;
pub use record::{Headers, NextOffset, Origin, Record};
pub use rows::{Entity, Rows, Wanted};
pub use service::Service;
pub use settings::Settings;
pub use topology::{Topics, dead_letter_topic, redrive_topic};
