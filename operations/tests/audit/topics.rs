//! Topics damaged: records changed in place, lost, added or out of order.

use orderflow_domain::{Event, EventId, InventoryReserved, PaymentProcessed};
use orderflow_operations::audit::Invariant;
use uuid::Uuid;

use super::expect::{place, the_one, violated};
use super::fixture::{Captured, World};
use super::story::{self, PLAIN, SHORT, order_id};

const LANE: &str = "orderflow-lane";
const SEQUENCE: &str = "orderflow-seq";

fn fact(records: &[Captured], topic: &str, order: u128) -> usize {
    let key = order_id(order).to_string().into_bytes();
    let found = records
        .iter()
        .position(|record| record.topic == topic && record.key.as_ref() == Some(&key));
    found.expect("the order has a fact")
}

fn letter(records: &[Captured], topic: &str) -> usize {
    let found = records
        .iter()
        .position(|record| record.topic == topic && record.value.is_some());
    found.expect("there is a letter")
}

fn flip(bytes: Option<&mut Vec<u8>>) {
    let last = bytes.and_then(|bytes| bytes.last_mut()).expect("a byte");
    *last ^= 1;
}

fn reserved(record: &Captured) -> InventoryReserved {
    match orderflow_schemas::decode(record.value.as_deref().expect("a value")) {
        Ok(Event::InventoryReserved(fact)) => fact,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fact_produced_again_under_a_new_id() {
    let new = Uuid::from_u128(5);
    let world = World::damaged(|records| {
        let mut again = records[fact(records, "inventory", PLAIN)].clone();
        let mut event = reserved(&again);
        event.meta.event_id = EventId(new);
        again.value = story::of(&event).value;
        again.headers.clear();
        records.push(again);
    });
    let violations = violated(&world, &[Invariant::OrderOutcomes, Invariant::Outbox]);
    let (topic, _, _, event) = place(&violations[0]);
    assert_eq!((topic, event), ("inventory", new));
    assert!(
        violations[0].sentence.contains("another outcome"),
        "{}",
        violations[0].sentence
    );
}

#[test]
fn a_fact_with_another_amount() {
    let world = World::damaged(|records| {
        let at = fact(records, "payments", PLAIN);
        let value = records[at].value.as_deref().expect("a value");
        let Ok(Event::PaymentProcessed(event)) = orderflow_schemas::decode(value) else {
            panic!("a processed payment");
        };
        let amount_minor = event.amount_minor + 1;
        records[at].value = story::of(&PaymentProcessed { amount_minor, ..event }).value;
    });
    let violation = the_one(&world, Invariant::Outbox);
    assert_eq!(place(&violation).0, "payments");
}

#[test]
fn a_header_of_a_fact_changed() {
    let world = World::damaged(|records| {
        let at = fact(records, "payments", PLAIN);
        flip(records[at].headers[0].1.as_mut());
    });
    let violation = the_one(&world, Invariant::Outbox);
    assert!(violation.sentence.contains("other headers"), "{}", violation.sentence);
}

#[test]
fn a_record_that_no_service_wrote() {
    let world = World::damaged(|records| {
        records.push(Captured::keyed("payments", b"k", b"not of this system".to_vec()));
    });
    let violation = the_one(&world, Invariant::Outbox);
    assert_eq!(
        (violation.topic.as_deref(), violation.event_id),
        (Some("payments"), None)
    );
    assert!(violation.offset.is_some());
}

#[test]
fn a_fact_lost() {
    let world = World::damaged(|records| {
        let at = fact(records, "inventory", SHORT);
        records.remove(at);
    });
    let expected = [Invariant::Outbox, Invariant::OrderOutcomes, Invariant::OrderRows];
    let violations = violated(&world, &expected);
    assert!(
        violations[0].sentence.contains("in no topic"),
        "{}",
        violations[0].sentence
    );
}

#[test]
fn facts_out_of_order() {
    let world = World::damaged(|records| {
        let of_lane = |record: &Captured| record.topic == "payments" && record.header(LANE) == Some(b"1");
        let facts: Vec<_> = (0..records.len()).filter(|at| of_lane(&records[*at])).collect();
        assert_eq!(records[facts[0]].partition, records[facts[1]].partition);
        assert_ne!(records[facts[0]].header(SEQUENCE), records[facts[1]].header(SEQUENCE));
        records.swap(facts[0], facts[1]);
    });
    assert_eq!(place(&the_one(&world, Invariant::PublishOrder)).0, "payments");
}

#[test]
fn copies_of_a_fact_do_no_harm() {
    let world = World::damaged(|records| {
        let written = |record: &&Captured| record.header(SEQUENCE).is_some() && !record.topic.ends_with(".redrive");
        let again: Vec<_> = records.iter().filter(written).cloned().collect();
        records.extend(again);
    });
    let report = world.audit().expect("a report");
    assert!(report.clean, "{:#?}", report.violated().collect::<Vec<_>>());
    assert_eq!(report.totals.republished, report.totals.facts + 2);
}

#[test]
fn a_byte_of_a_letter_flipped() {
    let world = World::damaged(|records| {
        let at = letter(records, "stock.inventory.dlq");
        flip(records[at].value.as_mut());
    });
    let violation = the_one(&world, Invariant::DeadLetters);
    assert_eq!(place(&violation).0, "stock.inventory.dlq");
    assert!(
        violation.sentence.contains("is not that of stock/"),
        "{}",
        violation.sentence
    );
}

#[test]
fn the_key_of_a_letter_changed() {
    let world = World::damaged(|records| {
        let at = letter(records, "orders.payment.dlq");
        flip(records[at].key.as_mut());
    });
    assert_eq!(place(&the_one(&world, Invariant::DeadLetters)).0, "orders.payment.dlq");
}

#[test]
fn a_second_letter_with_other_bytes() {
    let world = World::damaged(|records| {
        let mut forged = records[letter(records, "orders.inventory.dlq")].clone();
        flip(forged.value.as_mut());
        records.push(forged);
    });
    the_one(&world, Invariant::DeadLetters);
}

#[test]
fn a_letter_changed_in_its_outbox_too() {
    let world = World::damaged(|records| {
        let at = letter(records, "stock.inventory.dlq");
        records[at].value = Some(b"other".to_vec());
    });
    world.change(
        "inventory",
        "UPDATE outbox SET value = X'6F74686572' WHERE topic = 'stock.inventory.dlq'",
    );
    the_one(&world, Invariant::DeadLetters);
}

#[test]
fn a_letter_that_names_another_origin() {
    const OFFSET: &str = "kafka_dlt-original-offset";
    let world = World::damaged(|records| {
        let at = letter(records, "stock.inventory.dlq");
        let offset = records[at].headers.iter_mut().find(|(name, _)| name == OFFSET);
        offset.expect("it names its origin").1 = Some(99_i64.to_be_bytes().to_vec());
    });
    let violation = the_one(&world, Invariant::Outbox);
    assert!(violation.sentence.contains("other headers"), "{}", violation.sentence);
}

#[test]
fn a_letter_lost() {
    let world = World::damaged(|records| {
        let at = letter(records, "stock.inventory.dlq");
        records.remove(at);
    });
    let violation = the_one(&world, Invariant::Outbox);
    assert!(violation.sentence.contains("in no topic"), "{}", violation.sentence);
}

#[test]
fn a_refused_order_lost() {
    let world = World::damaged(|records| {
        let last = records
            .iter()
            .rposition(|record| record.topic == "orders" && record.event_id().is_some());
        records.remove(last.expect("an order"));
    });
    let violations = violated(&world, &[Invariant::RecordCounts, Invariant::DeadLetters]);
    assert_eq!(violations.len(), 2, "both groups have counted it: {violations:#?}");
}

#[test]
fn an_order_changed_after_it_was_applied() {
    let world = World::damaged(|records| {
        let at = fact(records, "orders", PLAIN + 12);
        let mut order = story::plain(PLAIN + 12);
        order.payment_token = "tok_okay".into();
        records[at].value = story::of(&order).value;
    });
    let violations = violated(&world, &[Invariant::Inbox, Invariant::OrderOutcomes]);
    assert_eq!(place(&violations[0]).3, story::event_id(PLAIN + 12));
}
