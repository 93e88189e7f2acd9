//! What cannot be judged is told, and is no violation.

use std::time::{Duration, Instant};

use orderflow_operations::audit::{AuditError, Databases, Options, audit};
use orderflow_operations::topics;
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::store::Database;
use orderflow_schemas::TopicNames;

use super::fixture::{Captured, World, produce};
use super::story;

fn said(world: &World) -> String {
    world.audit().expect_err("nothing can be said").to_string()
}

#[test]
fn services_that_do_not_get_there_are_named() {
    let world = World::new();
    produce(&world.broker.connection(), &[story::of(&story::plain(500))]);
    let began = Instant::now();
    let error = world.audit().expect_err("the services are not running");
    assert!(began.elapsed() >= Duration::from_millis(300));
    let AuditError::Deadline { behind, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(behind.len(), 2);
    assert!(behind[0].starts_with("inventory is at offset"), "{behind:?}");
}

#[test]
fn facts_that_are_not_published_are_waited_for() {
    let world = World::new();
    world.change(
        "payment",
        "UPDATE lanes SET published_seq = published_seq - 2 WHERE lane = 0",
    );
    assert!(said(&world).contains("payment has published"), "{}", said(&world));
}

#[test]
fn calls_without_an_answer_are_waited_for() {
    let world = World::new();
    world.change(
        "payment",
        "UPDATE effects SET state = 1 WHERE id IN (SELECT id FROM effects LIMIT 1)",
    );
    assert!(
        said(&world).contains("payment has 1 calls to the outside without an answer"),
        "{}",
        said(&world)
    );
}

#[test]
fn a_topic_whose_beginning_is_gone_proves_nothing() {
    let world = World::damaged(|records| {
        let large = Captured::keyed("orders", b"k", vec![7; 100_000]);
        records.extend(vec![large; 80]);
    });
    let error = world.audit().expect_err("the broker has dropped records");
    assert!(matches!(error, AuditError::Missing(_)), "{error}");
    assert!(error.to_string().contains("begins at offset"), "{error}");
}

#[test]
fn outbox_rows_deleted_for_their_age_prove_nothing() {
    let world = World::new();
    world.change("inventory", "DELETE FROM outbox WHERE lane = 0 AND sequence <= 2");
    let options = Options {
        outbox_retention: Duration::ZERO,
        ..Options::default()
    };
    let error = world.audit_with(&options).expect_err("rows are gone");
    assert!(error.to_string().contains("2 outbox rows have been deleted"), "{error}");
}

#[test]
fn a_database_that_is_not_there() {
    let mut world = World::new();
    world.databases.payment = Database::Sqlite("/nowhere/payment.db".into());
    let error = world.audit().expect_err("there is no database");
    assert!(matches!(error, AuditError::Database(_)), "{error}");
    assert!(error.to_string().contains("/nowhere/payment.db"), "{error}");
}

#[test]
fn the_database_of_another_group() {
    let mut world = World::new();
    world.databases.payment = world.databases.inventory.clone();
    assert!(
        said(&world).contains("is the database of group inventory, not of payment"),
        "{}",
        said(&world)
    );
}

#[test]
fn a_ledger_of_another_provider_is_not_compared() {
    let mut world = World::new();
    world.databases.ledger = None;
    let report = world.audit().expect("a report");
    assert!(report.clean && report.notes.len() == 1, "{report:#?}");
}

#[test]
fn other_topic_names_than_the_services_have() {
    let world = World::new();
    let names = TopicNames::with_prefix("shop.").expect("names");
    let asked = audit(
        &world.broker.connection(),
        &names,
        &world.databases,
        &Options::default(),
    );
    let error = asked.expect_err("there are no such topics");
    let missing = matches!(&error, AuditError::Cluster(topics::Error::NoTopic { topic, .. }) if topic == "shop.orders");
    assert!(missing, "{error}");
}

#[test]
fn a_dead_broker() {
    let databases = Databases {
        inventory: Database::Sqlite("inventory.db".into()),
        payment: Database::Sqlite("payment.db".into()),
        ledger: None,
    };
    let nobody = Connection::to("127.0.0.1:1");
    let asked = audit(&nobody, &TopicNames::default(), &databases, &Options::default());
    let error = asked.expect_err("nobody listens there");
    assert!(
        matches!(error, AuditError::Cluster(topics::Error::Unreachable { .. })),
        "{error}"
    );
}

#[test]
fn only_so_many_violations_are_listed() {
    let world = World::new();
    world.change(
        "payment",
        "UPDATE state SET body = json_set(body, '$.amount_minor', 1) WHERE entity = 'payment'",
    );
    let options = Options {
        listed: 3,
        ..Options::default()
    };
    let report = world.audit_with(&options).expect("a report");
    let finding = report.violated().next().expect("a violation");
    assert_eq!((finding.violated, finding.violations.len()), (26, 3));
}
