//! Ids from a schema registry, with daemons on a real broker: other people's clients, and a registry that goes away.

mod away;
mod client;
mod clients;
#[path = "../../schemas/tests/stub/mod.rs"]
mod stub;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use support::process::stdout_of;
use support::system::System;

/// How long a daemon may take to end.
const END: Duration = Duration::from_secs(10);

/// Registers the contracts and puts 1,000 pieces of the product into stock.
fn prepare(system: &System) {
    stdout_of(system.orderflow().args(["schemas", "register"]));
    let receive = ["stock", "receive", "85123A", "1000"];
    stdout_of(system.orderflow().args(receive));
}

/// The ids in the values of a topic's records.
fn ids(system: &System, topic: &str) -> Vec<u32> {
    use rdkafka::Message as _;
    let records = support::cluster::records(&system.brokers(), topic);
    let head = |value: &[u8]| value[1..5].try_into().map(u32::from_be_bytes).expect("an id");
    records.iter().filter_map(|record| record.payload().map(head)).collect()
}

/// Nothing was lost and nothing happened twice.
fn assert_clean(system: &System) {
    stdout_of(system.orderflow().args(["audit", "--timeout", "60s"]));
}
