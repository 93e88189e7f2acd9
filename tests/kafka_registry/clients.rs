//! What we write is read through the registry by clients that are not ours, and what they write by us.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use orderflow_schemas::history;
use rdkafka::Message as _;
use serde_json::{Value, json};

use super::support::cluster::{self, Sent};
use super::support::process::{output_of, shown, stdout_of};
use super::support::records::new_id;
use super::support::system::System;
use super::support::tools::{python, registry, serde};
use super::{END, assert_clean, ids, prepare};

#[test]
#[ignore = "needs Kafka's jars, Python and a schema registry; run by ./tests/run"]
fn clients_of_two_kinds_read_and_write_through_a_registry_that_is_not_ours() {
    let url = registry();
    let system = System::start(3).with_registry(&url);
    prepare(&system);
    let (mut inventory, mut payment) = (system.run("inventory"), system.run("payment"));
    let place = ["order", "place", "--item", "85123A:6:2.55", "--json"];
    stdout_of(system.orderflow().args(place));
    let from_python = new_id();
    let mut client = python("place_order.py");
    stdout_of(client.args([&system.brokers(), &url, "orders", &from_python, "85123A", "2"]));
    let from_java = new_id();
    let value = java_writes(&from_java);
    let record = Sent {
        key: &from_java,
        value: &value,
        millis: None,
    };
    cluster::produce(&system.brokers(), "orders", [record]);
    system.wait_caught_up("inventory");
    system.wait_caught_up("payment");

    for (topic, count) in [("stock", 1), ("orders", 3), ("inventory", 3), ("payments", 3)] {
        let ids = ids(&system, topic);
        assert!(
            ids.len() == count && ids.iter().all(|id| *id < history::FIRST_ID),
            "{topic}: {ids:?}"
        );
        let read = stdout_of(python("read_avro.py").args([&system.brokers(), &url, topic, &count.to_string()]));
        assert_eq!(read.lines().count(), count, "{read}");
        assert_eq!(java_reads(&system, topic).len(), count);
    }
    let reserved = java_reads(&system, "inventory");
    for id in [&from_python, &from_java] {
        assert!(
            reserved.iter().any(|event| event["order_id"] == json!(id)),
            "{id}: {reserved:?}"
        );
    }
    let tailed = stdout_of(
        system
            .orderflow()
            .args(["topics", "tail", "orders", "inventory", "payments"]),
    );
    let types: Vec<Value> = tailed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(
        types.len() == 9 && types.iter().all(|record| record["type"].is_string()),
        "{tailed}"
    );
    assert_clean(&system);
    for daemon in [&mut inventory, &mut payment] {
        assert!(daemon.stop(END).success(), "{}", daemon.log());
    }
}

/// An order as the registry's own serializer writes it, for Java.
fn java_writes(order_id: &str) -> Vec<u8> {
    let order = json!({
        "meta": {
            "event_id": new_id(), "occurred_at": 1_291_191_960_000_000_i64, "correlation_id": order_id,
            "causation_id": null, "source": "tests/java",
        },
        "order_id": order_id, "customer_id": null, "currency": "EUR",
        "items": [{"product_id": "85123A", "quantity": 3, "unit_price_minor": 250}],
        "total_minor": 750, "payment_token": "tok_ok", "placed_at": 1_291_191_960_000_000_i64,
    });
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/avro/OrderPlaced.v1.avsc");
    let written = fed(serde("write", "orders").arg(schema), &format!("{order}\n"));
    let digits = written.trim();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The events of a topic as the registry's own deserializer reads them, for Java.
fn java_reads(system: &System, topic: &str) -> Vec<Value> {
    let records = cluster::records(&system.brokers(), topic);
    let hex = |value: &[u8]| {
        value
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    };
    let values: Vec<_> = records.iter().filter_map(|record| record.payload().map(hex)).collect();
    let read = fed(&mut serde("read", topic), &values.join("\n"));
    read.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The output of a command that is given something on its standard input.
fn fed(command: &mut Command, input: &str) -> String {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("Java starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn without_the_registry_a_reader_says_which_schema_it_does_not_know() {
    let book = super::stub::Book::default();
    let answering = book.clone();
    let stub = super::stub::Stub::start(move |asked| answering.answer(asked));
    let system = System::start(1).with_registry(&stub.url());
    prepare(&system);
    let tail = |registry: &str| {
        let mut command = system.orderflow();
        let output = output_of(
            command
                .args(["topics", "tail", "stock"])
                .env("ORDERFLOW_REGISTRY", registry),
        );
        assert!(output.status.success(), "{}", shown(&output));
        serde_json::from_slice::<Value>(&output.stdout).expect("one line of JSON")
    };
    let (with, without) = (tail(&stub.url()), tail(""));
    assert_eq!(with["type"], "StockReceived");
    assert!(
        without["error"]
            .as_str()
            .is_some_and(|error| error.contains("none of the contracts")),
        "{without}"
    );
    let url = stub.url();
    drop(stub);
    // Known from the file; a reader that never asked says that it could not.
    assert_eq!(tail(&url)["type"], "StockReceived");
    std::fs::remove_file(system.data_dir().join("registry.json")).expect("it was kept");
    let away = tail(&url);
    assert!(
        away["error"]
            .as_str()
            .is_some_and(|error| error.contains("cannot be looked up")),
        "{away}"
    );
}
