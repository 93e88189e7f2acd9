//! Databases damaged behind the services' backs.

use orderflow_operations::audit::Invariant;
use rusqlite::params;

use super::expect::{place, the_one, violated};
use super::fixture::World;
use super::story::{self, INVALID, PLAIN, event_id, order_id};

/// The condition that finds the fact of an order in an outbox.
fn fact_of(order: u128) -> String {
    format!("key = CAST('{}' AS BLOB) AND reason IS NULL", order_id(order))
}

fn id(event: u128) -> String {
    format!("X'{}'", event_id(event).simple())
}

#[test]
fn a_count_changed() {
    let world = World::new();
    world.change(
        "payment",
        "UPDATE progress SET duplicate = duplicate - 1 WHERE topic = 'orders' AND duplicate > 0 AND partition = 0",
    );
    let violation = the_one(&world, Invariant::RecordCounts);
    assert_eq!(
        (violation.topic.as_deref(), violation.partition),
        (Some("orders"), Some(0))
    );
    assert!(
        violation.sentence.contains("and the topic has"),
        "{}",
        violation.sentence
    );
}

#[test]
fn a_dead_record_counted_as_applied() {
    let world = World::new();
    world.change(
        "inventory",
        "UPDATE progress SET dead = dead - 1, applied = applied + 1 WHERE topic = 'stock' AND dead > 0",
    );
    let violation = the_one(&world, Invariant::RecordCounts);
    assert!(
        violation.sentence.contains("there are 1 dead letters"),
        "{}",
        violation.sentence
    );
}

#[test]
fn an_inbox_row_deleted() {
    let world = World::new();
    world.change("inventory", &format!("DELETE FROM inbox WHERE id = {}", id(PLAIN + 7)));
    let violation = the_one(&world, Invariant::Inbox);
    let (topic, _, _, event) = place(&violation);
    assert_eq!((topic, event), ("orders", event_id(PLAIN + 7)));
}

#[test]
fn an_inbox_row_of_stock_deleted() {
    let world = World::new();
    world.change("inventory", &format!("DELETE FROM inbox WHERE id = {}", id(2)));
    assert_eq!(place(&the_one(&world, Invariant::Inbox)).3, event_id(2));
}

#[test]
fn an_inbox_row_with_other_bytes() {
    let world = World::new();
    let zero = format!("UPDATE inbox SET hash = zeroblob(16) WHERE id = {}", id(PLAIN + 7));
    world.change("payment", &zero);
    let violations = violated(&world, &[Invariant::Inbox, Invariant::OrderOutcomes]);
    assert!(
        violations[0].sentence.contains("with other bytes"),
        "{}",
        violations[0].sentence
    );
    assert_eq!(place(&violations[0]).3, event_id(PLAIN + 7));
}

#[test]
fn an_applied_order_without_an_outcome() {
    let world = World::new();
    world.change(
        "payment",
        &format!("UPDATE inbox SET status = 0 WHERE id = {}", id(INVALID)),
    );
    let violation = the_one(&world, Invariant::OrderOutcomes);
    let (topic, _, _, event) = place(&violation);
    assert_eq!(
        (topic, event, violation.group),
        ("orders", event_id(INVALID), Some("payment"))
    );
}

#[test]
fn a_dead_order_with_an_outcome() {
    let world = World::new();
    world.change(
        "inventory",
        &format!("UPDATE inbox SET status = 1 WHERE id = {}", id(PLAIN + 9)),
    );
    let violations = violated(&world, &[Invariant::OrderOutcomes, Invariant::DeadLetters]);
    assert_eq!(place(&violations[0]).0, "inventory");
    assert!(
        violations[0].sentence.contains("was not applied"),
        "{}",
        violations[0].sentence
    );
}

#[test]
fn a_dead_event_that_has_no_letter() {
    let world = World::new();
    let row = "INSERT INTO inbox VALUES (zeroblob(16), zeroblob(16), 1, 0, 0)";
    world.change("payment", row);
    let violation = the_one(&world, Invariant::DeadLetters);
    assert_eq!(violation.event_id, Some(uuid::Uuid::nil()));
}

#[test]
fn a_reservation_deleted() {
    let world = World::new();
    let row = format!(
        "DELETE FROM state WHERE entity = 'reservation' AND key = '{}'",
        order_id(PLAIN + 3)
    );
    world.change("inventory", &row);
    let violation = the_one(&world, Invariant::OrderRows);
    assert_eq!(place(&violation).0, "inventory");
    assert!(
        violation.sentence.contains(&order_id(PLAIN + 3).to_string()),
        "{}",
        violation.sentence
    );
}

#[test]
fn the_amount_of_a_payment_changed() {
    let world = World::new();
    let row = format!(
        "UPDATE state SET body = json_set(body, '$.amount_minor', 1) WHERE entity = 'payment' AND key = '{}'",
        order_id(PLAIN + 3)
    );
    world.change("payment", &row);
    let violation = the_one(&world, Invariant::OrderRows);
    assert_eq!((place(&violation).0, violation.group), ("payments", Some("payment")));
}

#[test]
fn a_payment_kept_that_was_never_announced() {
    let world = World::new();
    let row = format!(
        "UPDATE state SET key = '{}' WHERE entity = 'payment' AND key = '{}'",
        order_id(999),
        order_id(PLAIN)
    );
    world.change("payment", &row);
    let violations = violated(&world, &[Invariant::OrderRows]);
    let sentences: Vec<_> = violations.iter().map(|violation| violation.sentence.as_str()).collect();
    assert!(
        sentences[0].contains("keeps nothing") && sentences[1].contains("never announced"),
        "{sentences:?}"
    );
}

fn stock(change: &str) -> World {
    let world = World::new();
    world.change(
        "inventory",
        &format!("UPDATE state SET body = json_set(body, {change}) WHERE entity = 'stock' AND key = 'A'"),
    );
    world
}

#[test]
fn stock_that_does_not_add_up() {
    let world = stock("'$.available', (body ->> '$.available') + 1");
    let violation = the_one(&world, Invariant::StockBalance);
    assert!(violation.sentence.contains("product \"A\""), "{}", violation.sentence);
}

#[test]
fn negative_stock() {
    let world = stock("'$.available', -1, '$.reserved', (body ->> '$.reserved') + (body ->> '$.available') + 1");
    violated(&world, &[Invariant::StockBalance, Invariant::StockFacts]);
}

#[test]
fn stock_that_adds_up_to_something_else() {
    let world = stock("'$.available', (body ->> '$.available') + 1, '$.received', (body ->> '$.received') + 1");
    let violation = the_one(&world, Invariant::StockFacts);
    let (topic, _, _, event) = place(&violation);
    assert_eq!((topic, event), ("stock", event_id(1)));
    assert!(violation.sentence.contains("product \"A\""), "{}", violation.sentence);
}

#[test]
fn a_reservation_that_the_stock_has_forgotten() {
    let world = stock("'$.available', (body ->> '$.available') + 2, '$.reserved', (body ->> '$.reserved') - 2");
    the_one(&world, Invariant::StockFacts);
}

#[test]
fn a_stock_row_deleted() {
    let world = World::new();
    world.change("inventory", "DELETE FROM state WHERE entity = 'stock' AND key = 'D'");
    let violation = the_one(&world, Invariant::StockFacts);
    assert!(
        violation.sentence.contains("the database has no row"),
        "{}",
        violation.sentence
    );
}

#[test]
fn the_value_of_an_outbox_row_changed() {
    let world = World::new();
    let row = format!(
        "UPDATE outbox SET value = CAST(value || X'00' AS BLOB) WHERE {}",
        fact_of(PLAIN + 6)
    );
    world.change("payment", &row);
    let violation = the_one(&world, Invariant::Outbox);
    assert_eq!(place(&violation).0, "payments");
    assert!(
        violation.sentence.contains("another key or value"),
        "{}",
        violation.sentence
    );
}

#[test]
fn the_headers_of_an_outbox_row_changed() {
    let world = World::new();
    world.change(
        "inventory",
        &format!("UPDATE outbox SET packed_headers = X'' WHERE {}", fact_of(PLAIN + 6)),
    );
    let violation = the_one(&world, Invariant::Outbox);
    assert!(violation.sentence.contains("other headers"), "{}", violation.sentence);
}

#[test]
fn the_event_id_of_an_outbox_row_changed() {
    let world = World::new();
    world.change(
        "inventory",
        &format!("UPDATE outbox SET event_id = zeroblob(16) WHERE {}", fact_of(PLAIN + 6)),
    );
    the_one(&world, Invariant::Outbox);
}

#[test]
fn an_outbox_row_deleted() {
    let world = World::new();
    world.change("payment", &format!("DELETE FROM outbox WHERE {}", fact_of(PLAIN + 6)));
    let violation = violated(&world, &[Invariant::Outbox]).remove(0);
    assert_eq!(place(&violation).0, "payments");
    assert!(violation.sentence.contains("no outbox row"), "{}", violation.sentence);
}

#[test]
fn the_outbox_row_of_a_reservation_deleted() {
    let world = World::new();
    world.change("inventory", &format!("DELETE FROM outbox WHERE {}", fact_of(PLAIN + 6)));
    assert_eq!(place(&the_one(&world, Invariant::Outbox)).0, "inventory");
}

#[test]
fn the_outbox_row_of_a_dead_letter_deleted() {
    let world = World::new();
    world.change("inventory", "DELETE FROM outbox WHERE topic = 'stock.inventory.dlq'");
    assert_eq!(place(&the_one(&world, Invariant::Outbox)).0, "stock.inventory.dlq");
}

#[test]
fn a_published_row_that_is_in_no_topic() {
    let world = World::new();
    let (lane, sequence) = append(&world, story::event_id(777));
    let violation = the_one(&world, Invariant::Outbox);
    assert_eq!((violation.event_id, violation.offset), (Some(event_id(777)), None));
    assert!(
        violation
            .sentence
            .contains(&format!("sequence {sequence} of lane {lane}")),
        "{}",
        violation.sentence
    );
}

/// Adds a row about nothing to a lane of inventory, and says that it is published.
fn append(world: &World, event: uuid::Uuid) -> (i32, i64) {
    let db = world.sql("inventory");
    let next: i64 = db
        .query_row("SELECT next_out_seq FROM lanes WHERE lane = 1", [], |row| row.get(0))
        .expect("a lane");
    let sql = "INSERT INTO outbox VALUES (1, ?1, ?2, 'inventory', 1, 0, NULL, NULL, X'', NULL, 0)";
    db.execute(sql, params![next, event.as_bytes()]).expect("a row");
    let sql = "UPDATE lanes SET next_out_seq = ?1 + 1, published_seq = ?1 WHERE lane = 1";
    db.execute(sql, [next]).expect("a lane");
    (1, next)
}

#[test]
fn a_sequence_that_is_nowhere() {
    let world = World::new();
    world.change(
        "inventory",
        "UPDATE lanes SET next_out_seq = next_out_seq + 1, published_seq = published_seq + 1 WHERE lane = 2",
    );
    let violation = the_one(&world, Invariant::Outbox);
    assert!(
        violation.sentence.contains("lane 2: sequence"),
        "{}",
        violation.sentence
    );
}

#[test]
fn a_lane_that_says_less_than_its_outbox() {
    let world = World::new();
    world.change(
        "inventory",
        "UPDATE lanes SET next_out_seq = next_out_seq - 1, published_seq = published_seq - 1 WHERE lane = 2",
    );
    violated(&world, &[Invariant::Outbox]);
}
