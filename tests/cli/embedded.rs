//! On a broker in this process: what it denies.

use std::process::Output;

use orderflow_runtime::embedded::EmbeddedBroker;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::behaviour::{folder, orderflow, run, stderr};

/// More than any client tries within its time.
const EVERY_TRY: usize = 1_000;

fn broker() -> EmbeddedBroker {
    EmbeddedBroker::start(&[("orders", 4), ("stock", 4)]).expect("a broker")
}

/// Runs the program on the broker with the words of a line.
fn told(broker: &EmbeddedBroker, line: &str) -> Output {
    let folder = folder();
    std::fs::write(
        folder.path().join("delivery.csv"),
        "product_id,quantity\nA,1\nB,2\nC,3\n",
    )
    .expect("written");
    let arguments: Vec<_> = line.split(' ').collect();
    run(orderflow(folder.path(), &arguments).args(["--brokers", &broker.bootstrap()]))
}

fn fail_to_write(broker: &EmbeddedBroker, error: RDKafkaRespErr) {
    broker
        .fail_requests(RDKafkaApiKey::Produce, &vec![error; EVERY_TRY])
        .expect("injected");
}

#[test]
fn stock_that_may_not_be_written_is_forbidden_as_an_order_is() {
    let broker = broker();
    fail_to_write(&broker, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    for (line, topic) in [
        ("order place --item A:6:2.55", "orders"),
        ("stock receive A 1", "stock"),
        ("stock set A 1", "stock"),
        ("stock import delivery.csv", "stock"),
    ] {
        let output = told(&broker, line);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{line}: {said}");
        assert!(said.contains("error[forbidden]: "), "{line}: {said}");
        assert!(
            said.contains(&format!("denies this client Write on topic {topic}\n")),
            "{line}: {said}"
        );
    }
}
