//! The real shop's orders, as many as one likes.

use orderflow_domain::{EventId, OrderId, OrderPlaced, ProductId};
use orderflow_producers::import::{self, ImportOptions};
use orderflow_producers::{Sink, SinkError, Stop};
use orderflow_runtime::kafka::Connection;

use super::{Error, load};
use crate::real;

/// Every product of the orders.
pub(super) fn products() -> Result<Vec<ProductId>, Error> {
    let demand = import::demand(real::input(), &ImportOptions::default()).map_err(|error| unreadable(&error))?;
    Ok(demand.into_keys().collect())
}

/// Puts in the first so many; behind the last one the first comes again, under ids of its own.
pub(super) fn orders(connection: &Connection, topic: &str, orders: u64, stop: &Stop) -> Result<(), Error> {
    let failed = |error: SinkError| match error {
        SinkError::Stopped => Error::Stopped,
        cause => Error::Load {
            topic: topic.to_owned(),
            cause: cause.to_string(),
        },
    };
    let file = read()?;
    let mut sink = Sink::open(connection, import::sink_options(topic), stop).map_err(failed)?;
    for (index, order) in (0..orders).zip(file.iter().cycle()) {
        if stop.is_requested() {
            return Err(Error::Stopped);
        }
        sink.send(&placed_anew(order, index)).map_err(failed)?;
    }
    sink.finish().map(drop).map_err(failed)
}

/// All of them: some thousand, so they fit into memory.
fn read() -> Result<Vec<OrderPlaced>, Error> {
    let mut orders = Vec::new();
    let read = import::read(
        real::input(),
        &ImportOptions::default(),
        &Stop::default(),
        &mut |order| {
            orders.push(order.clone());
            Ok(())
        },
    );
    read.map_err(|error| unreadable(&error))?;
    Ok(orders)
}

/// The same basket as another order.
fn placed_anew(order: &OrderPlaced, index: u64) -> OrderPlaced {
    let mut order = order.clone();
    order.order_id = OrderId(load::uuid(load::Kind::Order, index));
    order.meta.event_id = EventId(load::uuid(load::Kind::Event, index));
    order.meta.correlation_id = order.order_id.to_string();
    order
}

fn unreadable(error: &dyn std::error::Error) -> Error {
    Error::Load {
        topic: "the real orders".to_owned(),
        cause: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_some_thousand_with_25_items_on_average() {
        let orders = read().expect("the file is part of the program");
        let items: usize = orders.iter().map(|order| order.items.len()).sum();
        assert!((8_000..9_000).contains(&orders.len()), "{}", orders.len());
        let (least, most) = (orders.len() * 24, orders.len() * 26);
        assert!(
            (least..most).contains(&items),
            "{items} items of {} orders",
            orders.len()
        );
    }

    #[test]
    fn what_comes_again_is_another_order_of_the_same() {
        let orders = read().expect("the file is part of the program");
        let again: Vec<_> = (0..1_000).map(|index| placed_anew(&orders[0], index)).collect();
        let ids: BTreeSet<_> = again
            .iter()
            .flat_map(|order| [order.order_id.0, order.meta.event_id.0])
            .collect();
        assert_eq!(ids.len(), 2_000, "no id twice, be it an order's or an event's");
        for order in again {
            assert_eq!(order.validate(), Ok(()));
            assert_eq!(order.items, orders[0].items);
        }
    }

    #[test]
    fn all_that_is_ordered_is_among_the_products() {
        let products: BTreeSet<_> = products()
            .expect("the file is part of the program")
            .into_iter()
            .collect();
        let orders = read().expect("the file is part of the program");
        let ordered = orders.iter().flat_map(|order| &order.items);
        assert!(ordered.clone().count() > 0);
        assert!(ordered.into_iter().all(|item| products.contains(&item.product_id)));
    }
}
