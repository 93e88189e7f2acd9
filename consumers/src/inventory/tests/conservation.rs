//! Whatever comes in whatever order, goods are neither made nor lost.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const PRODUCTS: [&str; 4] = ["a", "b", "c", "d"];

/// What the database would hold.
#[derive(Debug, Default)]
struct Kept {
    stocks: BTreeMap<&'static str, Stock>,
    orders: BTreeMap<u64, OrderRecord>,
}

impl Kept {
    fn rows(&self, n: u64) -> Rows {
        let key = order_id(n).to_string();
        let rows = match self.orders.get(&n) {
            Some(record) => Rows::new().with(RESERVATION, &key, record.clone()),
            None => Rows::new().without(RESERVATION, &key),
        };
        PRODUCTS
            .iter()
            .fold(rows, |rows, product| match self.stocks.get(product) {
                Some(stock) => rows.with(STOCK, product, *stock),
                None => rows.without(STOCK, product),
            })
    }

    fn take(&mut self, n: u64, decision: &Decision) {
        for product in PRODUCTS {
            if let Some(stock) = decision.row(STOCK, product) {
                self.stocks.insert(product, *stock);
            }
        }
        if let Some(record) = decision.row(RESERVATION, &order_id(n).to_string()) {
            self.orders.insert(n, record.clone());
        }
    }

    fn held(&self, product: &str) -> i64 {
        let held = self.orders.values().flat_map(|record| &record.held);
        let of_product = held.filter(|held| held.product_id.as_str() == product);
        of_product.map(|held| held.quantity).sum()
    }
}

fn product() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PRODUCTS.to_vec())
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let lines = prop::collection::vec((product(), 1..40_i64), 1..5);
    let placed = (0..20_u64, lines).prop_map(|(n, lines)| (n, Event::placed(order(n, &lines))));
    let came = (product(), 0..100_i64).prop_map(|(product, n)| (0, Event::Received(received(0, product, n))));
    let change = (product(), -60..60_i64)
        .prop_map(|(product, delta)| (0, Event::Adjusted(adjusted(0, product, (Some(delta), None)))));
    let counted = (product(), 0..100_i64)
        .prop_map(|(product, count)| (0, Event::Adjusted(adjusted(0, product, (None, Some(count))))));
    prop::collection::vec(prop_oneof![3 => placed, 2 => came, 1 => change, 1 => counted], 1..80)
}

proptest! {
    #[test]
    fn what_came_in_is_available_or_reserved_and_reserved_is_what_orders_hold(events in events()) {
        let mut kept = Kept::default();
        let mut outcomes = BTreeMap::<u64, usize>::new();
        for (n, event) in &events {
            // A refusal changes nothing: that is what the next round starts from.
            let Ok(decision) = decide(event, *n, &kept.rows(*n)) else { continue };
            kept.take(*n, &decision);
            *outcomes.entry(*n).or_default() += decision.facts().len();
        }
        for (product, stock) in &kept.stocks {
            prop_assert!(stock.is_consistent(), "{product}: {stock:?}");
            prop_assert_eq!(stock.reserved, kept.held(product), "{}", product);
        }
        for (n, count) in outcomes {
            prop_assert_eq!(count, usize::from(kept.orders.contains_key(&n)), "outcomes of order {}", n);
        }
    }
}
