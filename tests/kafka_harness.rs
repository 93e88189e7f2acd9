//! The tests' own tools against a real broker: what a broken harness would hide shows here first.

mod support;

use support::broker::Broker;
use support::cluster::{brokers, create_topic, partition_count, record_count, records};
use support::process::stdout_of;
use support::tools::{kafka_tool, kcat, python};
use support::unique;

use rdkafka::Message as _;

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn what_one_tool_writes_the_others_read() {
    let (brokers, topic) = (brokers(), unique("harness"));
    create_topic(&brokers, &topic, 3, &[]);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), "a:1\nb:2\nc:3\n").expect("the file can be written");

    stdout_of(kcat(&brokers).args(["-P", "-t", &topic, "-K:", "-l"]).arg(file.path()));

    let mut values: Vec<_> = records(&brokers, &topic)
        .iter()
        .map(|record| record.payload().map(<[u8]>::to_vec))
        .collect();
    values.sort();
    assert_eq!(values, [Some(b"1".to_vec()), Some(b"2".to_vec()), Some(b"3".to_vec())]);
    let mut offsets = kafka_tool("org.apache.kafka.tools.GetOffsetShell");
    let shown = stdout_of(offsets.args(["--bootstrap-server", &brokers, "--topic", &topic]));
    assert_eq!(shown.lines().count(), 3, "a line for each partition: {shown}");
    let listed = stdout_of(python("watermarks.py").args([&brokers, &topic]));
    assert_eq!(listed.trim(), record_count(&brokers, &topic).to_string());
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_broker_of_ones_own_keeps_its_data_through_sigkill_and_a_pause() {
    let mut broker = Broker::start();
    let address = broker.address();
    create_topic(&address, "kept", 2, &[]);
    broker.freeze();
    broker.thaw();
    broker.kill();
    broker.restart();
    assert_eq!(partition_count(&address, "kept"), Some(2));
}
