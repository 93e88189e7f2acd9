//! Goods for a load.

use std::collections::BTreeSet;

use orderflow_domain::Timestamp;
use orderflow_producers::emit::{Generator, Shape};

/// Orders that name every product of a shape, in all likelihood.
const ORDERS: usize = 5_000;

/// A catalogue with more of everything than a load of that shape can ask for.
pub(crate) fn catalogue(shape: &Shape) -> String {
    let mut generator = Generator::new(shape, "tests", 1).expect("a shape that orders can have");
    let mut order = generator.blank();
    let mut products = BTreeSet::new();
    for _ in 0..ORDERS {
        generator.fill(&mut order, Timestamp(0));
        products.extend(order.items.iter().map(|item| item.product_id.0.clone()));
    }
    let mut rows = vec!["product_id,quantity".to_owned()];
    rows.extend(products.iter().map(|product| format!("{product},1000000")));
    rows.join("\n")
}
