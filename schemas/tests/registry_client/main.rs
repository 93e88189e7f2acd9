//! The client for schema registries, against registries of our own making.

mod decoding;
mod failures;
mod keeping;
mod publishing;
mod secrecy;
#[path = "../stub/mod.rs"]
mod stub;

use std::time::Duration;

use orderflow_domain::{Event, EventId, Meta, ProductId, StockReceived, Timestamp};
use orderflow_schemas::registry::{Address, Client, Options};
use orderflow_schemas::{EventType, history};

/// Options for the registry at this address, with a time limit that no sound answer reaches.
fn at(url: &str) -> Options {
    Options {
        timeout: Duration::from_secs(20),
        ..Options::at(url.parse::<Address>().expect("an address"))
    }
}

fn client(url: &str) -> Client {
    Client::new(&at(url)).expect("a client")
}

/// The text of an event's first version.
fn text(event: EventType) -> &'static str {
    history::of(event).next().expect("a first version").text
}

const SUBJECT: &str = "orderflow.stock.StockReceived";

fn received() -> StockReceived {
    StockReceived {
        meta: Meta {
            event_id: EventId(uuid::Uuid::from_u128(7)),
            occurred_at: Timestamp(1_291_191_960_000_000),
            correlation_id: "85123A".to_owned(),
            causation_id: None,
            source: "tests".into(),
        },
        product_id: ProductId("85123A".into()),
        quantity: 6,
    }
}

/// The same under another id: the schema of the writer may be another one, as long as its bytes are alike.
fn value_under(id: u32) -> Vec<u8> {
    let mut value = Vec::new();
    orderflow_schemas::encode(&received(), &mut value);
    value[1..5].copy_from_slice(&id.to_be_bytes());
    value
}

fn event() -> Event {
    Event::StockReceived(received())
}
