//! Tools that are not ours: Kafka's own, kcat, Confluent's Python client.

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

/// kcat against the given cluster.
///
/// # Panics
/// When `./tests/run` did not install it.
pub(crate) fn kcat(brokers: &str) -> Command {
    let mut command = Command::new(setting("ORDERFLOW_TEST_KCAT"));
    command.args(["-b", brokers, "-q"]).stdin(Stdio::null());
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
