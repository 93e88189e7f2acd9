//! Tools that are not ours: Kafka's own, kcat, Confluent's Python client, a schema registry, SQLite's shell.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::setting;

/// One of Kafka's command-line tools by its class, such as `org.apache.kafka.tools.TopicCommand`.
///
/// # Panics
/// When `./tests/run` did not fetch Kafka's jars.
pub(crate) fn kafka_tool(class: &str) -> Command {
    let mut command = Command::new(std::env::var("ORDERFLOW_TEST_JAVA").unwrap_or_else(|_| "java".into()));
    command
        .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp"])
        .arg(format!("{}/*", setting("ORDERFLOW_TEST_KAFKA_LIBS")))
        .arg(class)
        .stdin(Stdio::null());
    command
}

/// `kafka-consumer-groups.sh` against the given cluster.
pub(crate) fn consumer_groups(brokers: &str) -> Command {
    let mut command = kafka_tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
    command.args(["--bootstrap-server", brokers]);
    command
}

/// kcat against the given cluster.
///
/// # Panics
/// When `./tests/run` did not install it.
pub(crate) fn kcat(brokers: &str) -> Command {
    let mut command = Command::new(setting("ORDERFLOW_TEST_KCAT"));
    command.args(["-b", brokers, "-q"]).stdin(Stdio::null());
    command
}

/// SQLite's own shell, from the path.
pub(crate) fn sqlite() -> Command {
    let mut command = Command::new("sqlite3");
    command.args(["-batch", "-bail"]).stdin(Stdio::null());
    command
}

/// The address of a schema registry that is not ours, and how clients of Confluent's reach it.
///
/// # Panics
/// When `./tests/run` did not start it.
pub(crate) fn registry() -> String {
    format!("{}/apis/ccompat/v7", setting("ORDERFLOW_TEST_REGISTRY"))
}

/// The registry's own Java serializer and deserializer: `tests/kafka/serde/Records.java`.
///
/// # Panics
/// When `./tests/run` did not fetch them.
pub(crate) fn serde(verb: &str, topic: &str) -> Command {
    let folder = setting("ORDERFLOW_TEST_SERDE");
    let mut command = Command::new(std::env::var("ORDERFLOW_TEST_JAVA").unwrap_or_else(|_| "java".into()));
    command
        .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(format!("{folder}:{folder}/*"))
        .args(["Records", verb])
        .arg(format!("{}/apis/registry/v2", setting("ORDERFLOW_TEST_REGISTRY")))
        .arg(topic);
    command
}

/// A script of `tests/kafka` in the Python that has Confluent's client.
///
/// # Panics
/// When `./tests/run` did not install it.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new(setting("ORDERFLOW_TEST_PYTHON"));
    command
        .arg(
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("tests/kafka")
                .join(script),
        )
        .stdin(Stdio::null());
    command
}
