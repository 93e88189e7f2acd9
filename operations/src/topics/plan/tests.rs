//! What is planned, for clusters as they are met.

use std::time::Duration;

use super::*;
use crate::topics::Sizing;

const DAY: Duration = Duration::from_hours(24);

fn declaration(sizing: Sizing) -> Declaration {
    Declaration::new(["orders", "stock"], [("inventory", "orders")], sizing)
}

fn cluster(brokers: usize, topics: &[(&str, ExistingTopic)]) -> Cluster {
    Cluster {
        brokers: (0..brokers).map(|number| format!("broker-{number}:9092")).collect(),
        topics: topics
            .iter()
            .map(|(name, topic)| ((*name).to_owned(), topic.clone()))
            .collect(),
    }
}

/// A topic as Kafka's own tool makes it, with Kafka's defaults.
fn plain(partitions: i32) -> ExistingTopic {
    let defaults = [
        ("cleanup.policy", "delete"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "-1"),
        ("max.message.bytes", "1048588"),
        ("message.timestamp.type", "CreateTime"),
        ("compression.type", "producer"),
        ("min.insync.replicas", "1"),
        ("unclean.leader.election.enable", "false"),
        ("segment.bytes", "1073741824"),
    ];
    let config = defaults.map(|(name, value)| {
        (
            name.to_owned(),
            ConfigValue {
                value: value.to_owned(),
                own: false,
            },
        )
    });
    ExistingTopic {
        partitions,
        replication: 1,
        config: config.into(),
    }
}

fn with(mut topic: ExistingTopic, name: &str, value: &str) -> ExistingTopic {
    topic.config.insert(
        name.to_owned(),
        ConfigValue {
            value: value.to_owned(),
            own: true,
        },
    );
    topic
}

fn step<'a>(plan: &'a Plan, topic: &str) -> &'a Step {
    plan.steps
        .iter()
        .find(|step| step.topic == topic)
        .expect("a step for each declared topic")
}

fn value<'a>(step: &'a Step, property: &str) -> Option<&'a str> {
    step.changes
        .iter()
        .find(|change| change.property == property)
        .map(|change| change.to.as_str())
}

#[test]
fn on_an_empty_cluster_everything_is_made_alike() {
    let plan = Plan::new(&declaration(Sizing::default()), &cluster(1, &[]));
    let names: Vec<_> = plan.with(Action::Create).map(|step| step.topic.as_str()).collect();
    assert_eq!(
        names,
        ["orders", "stock", "orders.inventory.dlq", "orders.inventory.redrive"]
    );
    assert!(
        plan.steps
            .iter()
            .all(|step| (step.partitions, step.replication) == (12, 1))
    );
    assert_eq!(value(step(&plan, "orders"), "retention.ms"), Some("2592000000"));
    assert_eq!(value(step(&plan, "orders"), "min.insync.replicas"), Some("1"));
}

#[test]
fn dead_letters_are_kept_longer_and_may_be_larger() {
    let plan = Plan::new(&declaration(Sizing::default()), &cluster(1, &[]));
    for topic in ["orders.inventory.dlq", "orders.inventory.redrive"] {
        assert_eq!(value(step(&plan, topic), "retention.ms"), Some("7776000000"));
        assert_eq!(value(step(&plan, topic), "max.message.bytes"), Some("67108864"));
    }
}

#[test]
fn three_brokers_hold_three_replicas() {
    let plan = Plan::new(&declaration(Sizing::default()), &cluster(3, &[]));
    assert!(plan.steps.iter().all(|step| step.replication == 3));
    assert_eq!(value(step(&plan, "stock"), "min.insync.replicas"), Some("2"));
    let two = Plan::new(&declaration(Sizing::default()), &cluster(2, &[]));
    assert!(two.steps.iter().all(|step| step.replication == 1));
}

#[test]
fn a_newcomers_topic_decides_the_partitions_of_the_rest() {
    let plan = Plan::new(&declaration(Sizing::default()), &cluster(1, &[("orders", plain(1))]));
    assert!(plan.refusals().is_empty());
    assert!(plan.steps.iter().all(|step| step.partitions == 1));
    let orders = step(&plan, "orders");
    assert_eq!(orders.action, Action::Change);
    let change = Change {
        property: "retention.ms".into(),
        from: Some("604800000".into()),
        to: "2592000000".into(),
    };
    assert_eq!(orders.changes, [change]);
}

#[test]
fn what_is_as_declared_is_left_alone() {
    let orders = with(plain(12), "retention.ms", "2592000000");
    let plan = Plan::new(
        &Declaration::new(["orders"], [], Sizing::default()),
        &cluster(1, &[("orders", orders)]),
    );
    assert!(plan.is_fine(), "{plan:?}");
    assert_eq!(plan.steps[0].kept.len(), 1);
}

#[test]
fn a_topic_is_never_given_more_partitions() {
    let sizing = Sizing {
        partitions: Some(12),
        ..Sizing::default()
    };
    let plan = Plan::new(&declaration(sizing), &cluster(1, &[("orders", plain(1))]));
    let orders = step(&plan, "orders");
    assert_eq!(orders.action, Action::Refused);
    assert!(
        orders.refusals[0].reason.contains("has 1 partition, 12 are asked for"),
        "{orders:?}"
    );
    assert!(
        orders.refusals[0].hint.contains("orderflow explain topic-grown"),
        "{orders:?}"
    );
}

#[test]
fn topics_of_different_sizes_are_refused() {
    let mixed = cluster(1, &[("orders", plain(1)), ("stock", plain(12))]);
    let plan = Plan::new(&declaration(Sizing::default()), &mixed);
    let refusals = plan.refusals();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].0, "stock");
    assert!(refusals[0].1.reason.contains("`orders` has 1"), "{refusals:?}");
}

#[test]
fn a_compacted_topic_is_refused() {
    for policy in ["compact", "compact,delete"] {
        let orders = with(plain(12), "cleanup.policy", policy);
        let plan = Plan::new(&declaration(Sizing::default()), &cluster(1, &[("orders", orders)]));
        assert_eq!(step(&plan, "orders").action, Action::Refused);
        assert!(plan.refusals()[0].1.reason.contains(policy));
    }
}

#[test]
fn a_codec_that_services_read_stays_and_another_is_changed() {
    let compressed = |codec| {
        let orders = with(plain(12), "compression.type", codec);
        Plan::new(&declaration(Sizing::default()), &cluster(1, &[("orders", orders)]))
    };
    for readable in ["producer", "lz4", "uncompressed"] {
        assert_eq!(value(step(&compressed(readable), "orders"), "compression.type"), None);
    }
    let plan = compressed("zstd");
    assert_eq!(value(step(&plan, "orders"), "compression.type"), Some("producer"));
}

#[test]
fn records_kept_longer_stay_unless_a_loss_is_asked_for() {
    for longer in ["-1", "9999999999"] {
        let orders = with(plain(12), "retention.ms", longer);
        let kept = Plan::new(
            &declaration(Sizing::default()),
            &cluster(1, &[("orders", orders.clone())]),
        );
        assert_eq!(step(&kept, "orders").action, Action::Fine);
        assert!(step(&kept, "orders").notes[0].contains("left as it is"));

        let sizing = Sizing {
            events_kept: Some(DAY),
            ..Sizing::default()
        };
        let shrunk = Plan::new(&declaration(sizing), &cluster(1, &[("orders", orders)]));
        assert_eq!(step(&shrunk, "orders").action, Action::Refused);
        assert!(shrunk.refusals()[0].1.reason.contains("would be deleted"));
    }
}

#[test]
fn a_limit_by_size_would_delete_early_and_is_lifted() {
    let orders = with(plain(12), "retention.bytes", "1000000");
    let plan = Plan::new(&declaration(Sizing::default()), &cluster(1, &[("orders", orders)]));
    assert_eq!(value(step(&plan, "orders"), "retention.bytes"), Some("-1"));
}

#[test]
fn letters_have_room_above_a_larger_source() {
    let orders = with(plain(12), "max.message.bytes", "80000000");
    let letters = with(plain(12), "max.message.bytes", "80000000");
    let existing = cluster(1, &[("orders", orders), ("orders.inventory.dlq", letters)]);
    let plan = Plan::new(&declaration(Sizing::default()), &existing);
    assert_eq!(value(step(&plan, "orders"), "max.message.bytes"), None);
    assert_eq!(
        value(step(&plan, "orders.inventory.dlq"), "max.message.bytes"),
        Some("80065536")
    );
}

#[test]
fn more_replicas_than_brokers_are_refused() {
    let sizing = Sizing {
        replication: Some(3),
        ..Sizing::default()
    };
    let plan = Plan::new(&declaration(sizing), &cluster(1, &[]));
    assert!(plan.steps.iter().all(|step| step.action == Action::Refused));
    assert!(plan.refusals()[0].1.hint.contains("at most 1"));
}

#[test]
fn too_few_replicas_are_told_and_left_to_kafkas_tool() {
    let plan = Plan::new(&declaration(Sizing::default()), &cluster(3, &[("orders", plain(12))]));
    let orders = step(&plan, "orders");
    assert_eq!(orders.action, Action::Change);
    assert_eq!(
        value(orders, "min.insync.replicas"),
        None,
        "one replica cannot be two in sync"
    );
    assert!(orders.notes[0].contains("has 1 of 3 replicas"));
}

#[test]
fn a_plan_as_data_names_what_is_done() {
    let plan = Plan::new(&declaration(Sizing::default()), &cluster(1, &[("orders", plain(1))]));
    let json = serde_json::to_value(&plan.steps[2]).expect("a step is data");
    assert_eq!(json["topic"], "orders.inventory.dlq");
    assert_eq!(json["role"], "dead_letters");
    assert_eq!(json["source"], "orders");
    assert_eq!(json["action"], "create");
}
