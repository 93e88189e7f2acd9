use orderflow_domain::{Event, OrderPlaced};

use super::*;
use crate::samples::{Stored, event_id, order, received};

fn sound() -> Stored {
    Stored::of(&order(7, &[("85123A", 6), ("71053", 2)]))
}

fn with_value(change: impl FnOnce(&mut Vec<u8>)) -> Stored {
    let mut stored = sound();
    change(stored.value.as_mut().expect("a value"));
    stored
}

fn reason_of(stored: &Stored) -> Reason {
    refusal_of(stored).reason
}

fn refusal_of(stored: &Stored) -> Refusal {
    read(&stored.record(), &TopicNames::default(), &Codec::builtin()).expect_err("refused")
}

#[test]
fn a_sound_record_is_its_event() {
    let placed = order(7, &[("85123A", 6), ("71053", 2)]);
    assert_eq!(
        read(&sound().record(), &TopicNames::default(), &Codec::builtin()),
        Ok(Read::Event(Event::OrderPlaced(placed)))
    );
}

#[test]
fn values_that_cannot_be_read_are_refused_by_what_is_wrong_with_them() {
    for (reason, stored) in [
        (Reason::Empty, with_value(Vec::clear)),
        (Reason::TooShort, with_value(|value| value.truncate(4))),
        (Reason::BadMagic, with_value(|value| value[0] = 1)),
        (
            Reason::BadMagic,
            with_value(|value| *value = br#"{"order_id": "7"}"#.to_vec()),
        ),
        (Reason::UnknownSchema, with_value(|value| value[1..5].fill(0))),
        (Reason::Truncated, with_value(|value| value.truncate(60))),
        (Reason::TrailingBytes, with_value(|value| value.push(0))),
        (Reason::Limit, with_value(hostile_length)),
    ] {
        assert_eq!(reason_of(&stored), reason, "{:?}", refusal_of(&stored).detail);
    }
}

/// The first field, the event's id, claims to be of 2^40 bytes.
fn hostile_length(value: &mut Vec<u8>) {
    value.truncate(5);
    value.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x40]);
}

#[test]
fn records_that_are_wrong_about_their_event_are_refused_without_its_id() {
    let of_key = |key: Option<&[u8]>| Stored {
        key: key.map(<[u8]>::to_vec),
        ..sound()
    };
    let at = |timestamp| Stored { timestamp, ..sound() };
    let upper = order(7, &[]).order_id.to_string().replace('c', "C");
    for (reason, stored) in [
        (Reason::NullKey, of_key(None)),
        (Reason::KeyMismatch, of_key(Some(b""))),
        (Reason::KeyMismatch, of_key(Some(b"another"))),
        (Reason::KeyMismatch, of_key(Some(upper.as_bytes()))),
        (Reason::KeyMismatch, of_key(Some(&[0xff; 4_000]))),
        (Reason::Tombstone, Stored { value: None, ..sound() }),
        (
            Reason::WrongType,
            Stored {
                topic: "stock",
                ..sound()
            },
        ),
        (Reason::Limit, at(-1)),
        (Reason::Limit, at(LATEST_TIMESTAMP + 1)),
        (Reason::Limit, at(i64::MAX)),
    ] {
        let refusal = refusal_of(&stored);
        assert_eq!((refusal.reason, refusal.event_id), (reason, None), "{}", refusal.detail);
        assert!(refusal.detail.len() < 1_000, "{}", refusal.detail);
    }
}

#[test]
fn the_ends_of_time_are_taken() {
    for timestamp in [0, LATEST_TIMESTAMP] {
        let stored = Stored { timestamp, ..sound() };
        assert!(read(&stored.record(), &TopicNames::default(), &Codec::builtin()).is_ok());
    }
}

#[test]
fn topics_go_by_their_configured_names() {
    let names = TopicNames::with_prefix("shop.").expect("sound");
    let stored = Stored {
        topic: "shop.orders",
        ..sound()
    };
    assert!(read(&stored.record(), &names, &Codec::builtin()).is_ok());
    let refusal = read(&sound().record(), &names, &Codec::builtin()).expect_err("refused");
    assert_eq!(refusal.detail, "OrderPlaced in topic orders; its topic is shop.orders");
}

#[test]
fn an_order_that_breaks_rules_is_refused_with_its_fields_and_its_id() {
    let broken = OrderPlaced {
        items: Vec::new(),
        total_minor: -1,
        payment_token: "tok\n".into(),
        ..order(7, &[])
    };
    let refusal = check_order(&broken).expect_err("refused");
    assert_eq!(
        (refusal.reason, refusal.event_id),
        (Reason::InvalidOrder, Some(event_id(7).0))
    );
    for field in ["items: ", "payment_token: "] {
        assert!(refusal.detail.contains(field), "{}", refusal.detail);
    }
}

#[test]
fn a_refusal_names_a_few_of_many_errors() {
    let lines: Vec<_> = (0..500).map(|_| ("p", 0)).collect();
    let refusal = check_order(&order(7, &lines)).expect_err("refused");
    assert!(refusal.detail.contains("items[4].quantity"), "{}", refusal.detail);
    assert!(refusal.detail.ends_with("; and 495 more"), "{}", refusal.detail);
}

#[test]
fn a_product_id_that_cannot_be_kept_is_refused() {
    let movement = received(8, "85123A\0", 1);
    let refusal = check_product(&movement, &movement.product_id).expect_err("refused");
    assert_eq!(
        (refusal.reason, refusal.event_id),
        (Reason::InvalidOrder, Some(event_id(8).0))
    );
}

#[test]
fn every_reason_of_an_unreadable_value_is_in_the_closed_set() {
    let text = String::new;
    for unreadable in [
        Unreadable::Empty,
        Unreadable::TooShort(1),
        Unreadable::BadMagic(1),
        Unreadable::UnknownSchema(1),
        Unreadable::Truncated(text()),
        Unreadable::TrailingBytes(1),
        Unreadable::Limit(text()),
        Unreadable::WrongType(text()),
    ] {
        assert!(Reason::parse(unreadable.reason()).is_some(), "{unreadable:?}");
    }
}
