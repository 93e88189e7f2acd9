//! On a broker in this process: what it denies, and what it does not acknowledge.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use orderflow_runtime::embedded::EmbeddedBroker;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;

use super::behaviour::{folder, orderflow, run, signal, stderr, stdout};

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

fn write_again(broker: &EmbeddedBroker) {
    broker
        .inject(|cluster| cluster.clear_request_errors(RDKafkaApiKey::Produce))
        .expect("injected");
}

#[test]
fn an_order_that_may_have_been_written_is_repeated_as_the_hint_says() {
    let broker = broker();
    fail_to_write(&broker, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    let output = told(&broker, "order place --item A:6:2.55 --timeout 2s");
    let said = stderr(&output);
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(4), ""),
        "{said}"
    );
    assert!(said.contains("error[unacknowledged]: order "), "{said}");
    let again = said
        .split_once("hint: repeat it with ")
        .and_then(|(_, rest)| rest.split_once(": it counts once in any case"));
    let (again, _) = again.unwrap_or_else(|| panic!("no hint: {said}"));

    write_again(&broker);
    let output = told(&broker, &format!("order place --item A:6:2.55 --json {again}"));
    let envelope: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let order = &envelope["items"][0];
    let flags = format!(
        "--order-id {} --placed-at {}",
        order["order_id"].as_str().expect("an id"),
        order["placed_at"].as_str().expect("a time")
    );
    assert_eq!(flags, again);
}

/// With its seed and its start a load is the same again; without, whoever repeats it must know that it is another.
#[test]
fn a_load_that_was_interrupted_says_what_a_repeat_would_be() {
    let broker = broker();
    let load = "order emit --count 3 --seed 7 --start 2026-01-01T00:00:00Z";
    for (line, again) in [
        (
            load,
            "repeat it as it is: with --seed and --start its orders are the same",
        ),
        ("order emit --count 3 --seed 7", "a repeat is another load"),
        (
            "order emit --count 3 --start 2026-01-01T00:00:00Z",
            "a repeat is another load",
        ),
    ] {
        fail_to_write(&broker, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
        let output = told(&broker, line);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{line}: {said}");
        assert!(said.contains(&format!("hint: {again}")), "{line}: {said}");
        assert!(
            said.starts_with("0 of ") && said.contains(" orders sent are acknowledged\n"),
            "{line}: {said}"
        );
        write_again(&broker);
    }
    let output = told(&broker, load);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// What a pause has cost is not made up for by a burst, so whoever measures with it must know.
#[test]
fn a_load_that_did_not_reach_its_rate_says_so() {
    const FROZEN: Duration = Duration::from_secs(1);
    let broker = broker();
    let folder = folder();
    let line = "order emit --count 5000 --rate 1000 --brokers";
    let mut load = orderflow(folder.path(), &line.split(' ').collect::<Vec<_>>());
    let load = load
        .arg(broker.bootstrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let load = load.spawn().expect("the program starts");
    let client: BaseConsumer = broker.connection().client(&[]).create().expect("a client");
    wait_until("its first orders", || {
        (0..4).any(|partition| {
            client
                .fetch_watermarks("orders", partition, Duration::from_secs(5))
                .is_ok_and(|(_, end)| end > 0)
        })
    });
    signal(&load, Signal::STOP);
    // The time that it misses is the fault itself.
    std::thread::sleep(FROZEN);
    signal(&load, Signal::CONT);
    let output = load.wait_with_output().expect("its output");
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.ends_with(" orders a second were reached, and 1000 asked for\n"),
        "{said}"
    );
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
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
