//! Bytes as they come from a topic: an event or a named reason, and what is read was really there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orderflow_domain::Event;
use orderflow_domain::order::{MAX_ITEMS, total_minor};
use orderflow_schemas::{Contract as _, decode, encode, json};

fuzz_target!(|value: &[u8]| {
    match decode(value) {
        Ok(event) => is_what_was_there(&event, value),
        Err(error) => assert!(error.to_string().len() < 400, "{error}"),
    }
});

/// Written again it is no longer than it came, and read again it is the same; so it is as JSON.
fn is_what_was_there(event: &Event, value: &[u8]) {
    let mut again = Vec::new();
    encode(event, &mut again);
    assert!(again.len() <= value.len(), "{} bytes of {}", again.len(), value.len());
    assert_eq!(decode(&again).as_ref(), Ok(event));
    let shown = json::of_event(event);
    assert_eq!(json::to_event(event.event_type(), &shown).as_ref(), Ok(event));
    if let Event::OrderPlaced(order) = event {
        match order.validate() {
            Ok(()) => {
                assert!((1..=MAX_ITEMS).contains(&order.items.len()));
                assert_eq!(total_minor(&order.items), Some(order.total_minor));
            }
            Err(errors) => assert!(!errors.is_empty()),
        }
    }
}
