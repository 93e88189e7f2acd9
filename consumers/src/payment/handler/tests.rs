use orderflow_domain::order::payload_digest;
use orderflow_domain::{Meta, Timestamp};
use uuid::Uuid;

use super::*;
use crate::payment::GROUP;
use crate::samples::{Stored, TIME, event_id, order, order_id, received};

const HOP: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ORIGIN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";

fn payment() -> Payment {
    Payment::new(TopicNames::default())
}

fn key() -> String {
    order_id(7).to_string()
}

fn placed() -> OrderPlaced {
    order(7, &[("a", 3)])
}

fn placing() -> Cause {
    let mut cause = Cause::new(GROUP, event_id(7).0, TIME + 1);
    cause.traceparent = Some(HOP.to_owned());
    cause.origin_traceparent = Some(ORIGIN.to_owned());
    cause
}

/// As the runtime makes it: an id of its own, the event time of the order.
fn answering() -> Cause {
    Cause::new(GROUP, Uuid::from_u128(99), TIME + 1)
}

fn kept(status: Status) -> Kept {
    let order = placed();
    Kept {
        digest: payload_digest(&order),
        amount_minor: order.total_minor,
        currency: order.currency,
        status,
    }
}

fn asked() -> Effect {
    let rows = Rows::new().without(PAYMENT, &key());
    let decision = payment()
        .decide(&placing(), &Event::Placed(placed()), &rows)
        .expect("taken");
    decision.effects()[0].clone()
}

fn answer(verdict: &Verdict, rows: &Rows) -> Result<Decision, Refusal> {
    let (effect, answer) = (asked(), verdict.to_bytes());
    let answered = Answered {
        effect: effect.id,
        kind: effect.kind,
        subject: &effect.subject,
        request: &effect.request,
        answer: &answer,
    };
    payment().answer(&answering(), &answered, rows)
}

fn expected_meta(cause: &Cause) -> Meta {
    Meta {
        event_id: EventId(cause.derive(0)),
        occurred_at: Timestamp((TIME + 1) * 1_000),
        correlation_id: key(),
        causation_id: Some(event_id(7)),
        source: "orderflow/payment".into(),
    }
}

fn only_fact(decision: &Decision) -> (&Fact, Known) {
    let [fact] = decision.facts() else {
        panic!("{:?}", decision.facts())
    };
    (
        fact,
        orderflow_schemas::decode(&fact.value).expect("a fact can be read"),
    )
}

#[test]
fn a_placed_order_is_asked_for_under_its_own_key() {
    let rows = Rows::new().without(PAYMENT, &key());
    let decision = payment()
        .decide(&placing(), &Event::Placed(placed()), &rows)
        .expect("taken");
    assert_eq!(decision.row(PAYMENT, &key()), Some(&kept(Status::Charging)));
    assert!(decision.facts().is_empty());
    let [effect] = decision.effects() else {
        panic!("{:?}", decision.effects())
    };
    assert_eq!((effect.id, effect.kind), (placing().derive(0), "charge"));
    assert_eq!(effect.subject, key());
    assert_eq!(effect.idempotency_key, format!("orderflow-charge-{}", key()));
    let request = Request::from_bytes(&effect.request).expect("a request");
    assert_eq!(
        (request.charge.amount_minor, request.charge.payment_token.as_str()),
        (750, "tok_ok")
    );
}

#[test]
fn the_key_is_the_orders_whatever_event_places_it() {
    let again = OrderPlaced {
        meta: order(8, &[]).meta,
        ..placed()
    };
    let rows = Rows::new().without(PAYMENT, &key());
    let cause = Cause::new(GROUP, event_id(8).0, TIME + 60_000);
    let decision = payment().decide(&cause, &Event::Placed(again), &rows).expect("taken");
    assert_eq!(decision.effects()[0].idempotency_key, asked().idempotency_key);
}

#[test]
fn a_charge_is_announced_with_the_order_as_its_cause() {
    let verdict = Verdict::Charged {
        charge_id: "ch_1".to_owned(),
    };
    let rows = Rows::new().with(PAYMENT, &key(), kept(Status::Charging));
    let decision = answer(&verdict, &rows).expect("taken");
    let charge_id = "ch_1".to_owned();
    let (fact, event) = only_fact(&decision);
    assert_eq!((&*fact.topic, fact.key.as_slice()), ("payments", key().as_bytes()));
    let order = placed();
    assert_eq!(
        event,
        Known::PaymentProcessed(PaymentProcessed {
            meta: expected_meta(&answering()),
            order_id: order.order_id,
            amount_minor: 750,
            currency: order.currency,
            charge_id: charge_id.clone(),
        })
    );
    assert_eq!(
        decision.row(PAYMENT, &key()),
        Some(&kept(Status::Processed { charge_id }))
    );
}

#[test]
fn the_trace_of_the_order_goes_on_through_the_call() {
    let verdict = Verdict::Declined {
        reason: "lost_card".to_owned(),
    };
    let rows = Rows::new().with(PAYMENT, &key(), kept(Status::Charging));
    let decision = answer(&verdict, &rows).expect("taken");
    let headers = only_fact(&decision).0.headers.as_slice();
    let hop = headers.get("traceparent").expect("a hop");
    assert!(hop.starts_with(&HOP.as_bytes()[..36]) && hop != HOP.as_bytes());
    assert_eq!(headers.get("ce_traceparent"), Some(ORIGIN.as_bytes()));
}

#[test]
fn a_refusal_of_the_gateway_is_announced_with_its_reason() {
    let reason = "insufficient_funds".to_owned();
    let rows = Rows::new().with(PAYMENT, &key(), kept(Status::Charging));
    let verdict = Verdict::Declined { reason: reason.clone() };
    let decision = answer(&verdict, &rows).expect("taken");
    let order = placed();
    assert_eq!(
        only_fact(&decision).1,
        Known::PaymentFailed(PaymentFailed {
            meta: expected_meta(&answering()),
            order_id: order.order_id,
            amount_minor: 750,
            currency: order.currency,
            reason: reason.clone(),
        })
    );
    assert_eq!(decision.row(PAYMENT, &key()), Some(&kept(Status::Failed { reason })));
}

#[test]
fn an_order_that_costs_nothing_is_processed_at_once() {
    let mut free = placed();
    free.items[0].unit_price_minor = 0;
    free.total_minor = 0;
    let rows = Rows::new().without(PAYMENT, &key());
    let decision = payment()
        .decide(&placing(), &Event::Placed(free), &rows)
        .expect("taken");
    assert!(decision.effects().is_empty());
    let Known::PaymentProcessed(event) = only_fact(&decision).1 else {
        panic!("not processed")
    };
    assert_eq!((event.amount_minor, event.charge_id.as_str()), (0, "none"));
}

#[test]
fn an_order_that_comes_again_is_a_duplicate_in_every_state_and_another_under_its_id_is_refused() {
    let processed = Status::Processed {
        charge_id: "ch_1".to_owned(),
    };
    let failed = Status::Failed {
        reason: "lost_card".to_owned(),
    };
    for status in [Status::Charging, processed, failed] {
        let rows = Rows::new().with(PAYMENT, &key(), kept(status));
        let decide = |order| payment().decide(&placing(), &Event::Placed(order), &rows);
        let decision = decide(placed()).expect("a duplicate");
        assert!(decision.is_repeat() && decision.effects().is_empty() && decision.facts().is_empty());
        let refusal = decide(order(7, &[("a", 4)])).expect_err("refused");
        assert_eq!(
            (refusal.reason, refusal.event_id),
            (Reason::OrderExists, Some(event_id(7).0))
        );
    }
}

#[test]
fn an_answer_that_cannot_be_read_or_cannot_follow_is_refused() {
    let charged = Verdict::Charged {
        charge_id: "ch_1".to_owned(),
    };
    let settled = Rows::new().with(
        PAYMENT,
        &key(),
        kept(Status::Failed {
            reason: "lost_card".to_owned(),
        }),
    );
    assert_eq!(
        answer(&charged, &settled).expect_err("refused").reason,
        Reason::Conflict
    );
    let never = Rows::new().without(PAYMENT, &key());
    assert_eq!(answer(&charged, &never).expect_err("refused").reason, Reason::Conflict);
    let effect = asked();
    let garbled = Answered {
        effect: effect.id,
        kind: effect.kind,
        subject: &effect.subject,
        request: &effect.request,
        answer: b"<html>",
    };
    let refusal = payment().answer(&answering(), &garbled, &settled).expect_err("refused");
    assert_eq!(refusal.reason, Reason::WrongType);
}

#[test]
fn it_reads_orders_and_nothing_else() {
    let decoded = payment().decode(&Stored::of(&placed()).record());
    assert!(matches!(decoded, Ok(Decoded::Event { id, .. }) if id == event_id(7).0));
    let misplaced = Stored {
        topic: "orders",
        ..Stored::of(&received(1, "a", 1))
    };
    let refusal = payment().decode(&misplaced.record()).expect_err("refused");
    assert_eq!(refusal.reason, Reason::WrongType);
    assert_eq!(
        (payment().reads(), payment().writes()),
        (vec!["orders".into()], vec!["payments".into()])
    );
}
