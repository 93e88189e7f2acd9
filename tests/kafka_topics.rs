//! `topics plan`, `apply` and `tail` as a library, on a real broker.

mod support;

use std::time::Duration;

use orderflow_operations::topics::{self, Action, Declaration, Error, Sizing};
use orderflow_runtime::kafka::Connection;
use support::cluster::{brokers, connection, partition_count};
use support::process::stdout_of;
use support::tools::kafka_tool;
use support::{unique, wait_until};

/// A declaration of topics that only this test knows.
fn declared(prefix: &str, sizing: Sizing) -> Declaration {
    let (orders, stock) = (format!("{prefix}.orders"), format!("{prefix}.stock"));
    let readings = [
        ("inventory", orders.as_str()),
        ("inventory", stock.as_str()),
        ("payment", orders.as_str()),
    ];
    Declaration::new([orders.as_str(), stock.as_str()], readings, sizing)
}

/// A topic made as a newcomer's guide makes it.
fn create_with_kafkas_tool(topic: &str, arguments: &[&str]) {
    let mut tool = kafka_tool("org.apache.kafka.tools.TopicCommand");
    stdout_of(
        tool.args(["--bootstrap-server", &brokers(), "--create", "--topic", topic])
            .args(arguments),
    );
    // A busy broker answers before it tells of the topic.
    wait_until("the topic", Duration::from_mins(1), || {
        partition_count(&brokers(), topic).is_some()
    });
}

fn described_by_kafkas_tool(topic: &str) -> String {
    let mut tool = kafka_tool("org.apache.kafka.tools.TopicCommand");
    stdout_of(tool.args(["--bootstrap-server", &brokers(), "--describe", "--topic", topic]))
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn what_is_planned_is_made_and_then_is_fine() {
    let (connection, declaration) = (connection(), declared(&unique("made"), Sizing::default()));
    let plan = topics::plan(&connection, &declaration).expect("a plan");
    assert_eq!(plan.with(Action::Create).count(), 8);

    let outcomes = topics::apply(&connection, &plan).expect("the plan is done");
    assert!(outcomes.iter().all(|outcome| outcome.error.is_none()), "{outcomes:?}");
    for topic in &declaration.topics {
        assert_eq!(partition_count(&brokers(), &topic.name), Some(12), "{}", topic.name);
    }
    let again = topics::plan(&connection, &declaration).expect("a plan");
    assert!(again.is_fine(), "{again:?}");
    assert!(topics::apply(&connection, &again).expect("nothing to do").is_empty());
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn a_topic_made_with_kafkas_own_tool_is_taken_and_the_rest_fits_it() {
    let prefix = unique("newcomer");
    let order_placed = format!("{prefix}-order-placed");
    create_with_kafkas_tool(&order_placed, &["--partitions", "1", "--config", "segment.ms=3600000"]);
    let stock = format!("{prefix}-stock");
    let declaration = Declaration::new(
        [order_placed.as_str(), &stock],
        [("inventory", order_placed.as_str())],
        Sizing::default(),
    );

    let plan = topics::plan(&connection(), &declaration).expect("a plan");
    assert_eq!(plan.steps[0].action, Action::Change);
    topics::apply(&connection(), &plan).expect("the plan is done");

    assert_eq!(partition_count(&brokers(), &stock), Some(1));
    assert_eq!(
        partition_count(&brokers(), &format!("{order_placed}.inventory.redrive")),
        Some(1)
    );
    let described = described_by_kafkas_tool(&order_placed);
    assert!(described.contains("retention.ms=2592000000"), "{described}");
    assert!(
        described.contains("segment.ms=3600000"),
        "what the newcomer set is kept: {described}"
    );
    assert!(topics::plan(&connection(), &declaration).expect("a plan").is_fine());
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn a_refused_plan_changes_nothing() {
    let prefix = unique("refused");
    let orders = format!("{prefix}.orders");
    create_with_kafkas_tool(&orders, &["--partitions", "2", "--config", "cleanup.policy=compact"]);

    let sizing = Sizing {
        partitions: Some(3),
        ..Sizing::default()
    };
    let plan = topics::plan(&connection(), &declared(&prefix, sizing)).expect("a plan");
    let error = topics::apply(&connection(), &plan).expect_err("it is refused");

    assert!(
        matches!(&error, Error::Refused(refusals) if refusals.len() == 2),
        "{error:?}"
    );
    assert!(error.to_string().contains("cleanup.policy=compact"), "{error}");
    assert_eq!(partition_count(&brokers(), &format!("{prefix}.stock")), None);
    assert!(!described_by_kafkas_tool(&orders).contains("retention.ms"));
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn a_cluster_that_is_not_there_is_one_clear_error() {
    let nowhere = Connection::to(format!("127.0.0.1:{}", support::broker::free_port()));
    let started = std::time::Instant::now();
    let error = topics::plan(&nowhere, &declared("nowhere", Sizing::default())).expect_err("nobody is there");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&nowhere.brokers), "{error}");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(cause.contains("Connection refused"), "{cause}");
    assert!(started.elapsed() < Duration::from_secs(15));
}
