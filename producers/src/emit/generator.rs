//! Makes up orders.

use orderflow_domain::{CustomerId, EventId, Item, Meta, OrderId, OrderPlaced, ProductId, Timestamp};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use uuid::Uuid;

use super::catalogue::{self, Demand};
use super::{Basket, InvalidShape, Shape};
use crate::fresh;

/// How many of a thing people order.
const QUANTITIES: [i64; 16] = [1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 6, 6, 8, 12, 24];

const TOKEN: &str = "tok_ok";
const DECLINED: [&str; 4] = [
    "tok_decline_insufficient_funds",
    "tok_decline_insufficient_funds",
    "tok_decline_expired_card",
    "tok_decline_lost_card",
];

/// Makes up orders, the same ones under the same seed (on 64-bit machines, and as long as the version is the same).
///
/// It fills an order that it is given, and allocates next to nothing: making an order up must not cost more than sending
/// it.
#[derive(Debug)]
pub struct Generator {
    shape: Shape,
    source: String,
    random: SmallRng,
    demand: Demand,
    products: Vec<(ProductId, i64)>,
    customers: Vec<CustomerId>,
    /// What the order that is being filled holds.
    basket: Vec<usize>,
    /// Whether one more item is added, as a share of 2^32.
    one_more: u32,
}

impl Generator {
    /// A generator of such orders.
    ///
    /// # Errors
    ///
    /// A shape that orders cannot have.
    pub fn new(shape: &Shape, source: &str, seed: u64) -> Result<Self, InvalidShape> {
        const FIRST_CUSTOMER: u32 = 10_000;
        shape.check()?;
        let products = (0..shape.products).map(|index| (catalogue::product_id(index), catalogue::price(index)));
        let customers = (0..shape.customers).map(|index| CustomerId((FIRST_CUSTOMER + index).to_string().into()));
        Ok(Self {
            source: source.to_owned(),
            random: SmallRng::seed_from_u64(seed),
            demand: Demand::new(shape.products, shape.skew),
            products: products.collect(),
            customers: customers.collect(),
            basket: Vec::new(),
            one_more: one_more(shape.basket),
            shape: shape.clone(),
        })
    }

    /// An order to [`Generator::fill`]; it is none yet.
    #[must_use]
    pub fn blank(&self) -> OrderPlaced {
        OrderPlaced {
            meta: Meta {
                event_id: EventId(Uuid::nil()),
                occurred_at: Timestamp(0),
                correlation_id: String::new(),
                causation_id: None,
                source: self.source.as_str().into(),
            },
            order_id: OrderId(Uuid::nil()),
            customer_id: None,
            currency: self.shape.currency,
            items: Vec::new(),
            total_minor: 0,
            payment_token: "".into(),
            placed_at: Timestamp(0),
        }
    }

    /// Makes `order`, whatever it was before, the next one.
    pub fn fill(&mut self, order: &mut OrderPlaced, placed_at: Timestamp) {
        order.order_id = OrderId(self.uuid(placed_at));
        order.meta.event_id = EventId(self.uuid(placed_at));
        order.meta.occurred_at = placed_at;
        order.placed_at = placed_at;
        order.meta.correlation_id.clear();
        let mut text = Uuid::encode_buffer();
        let id = order.order_id.0.as_hyphenated().encode_lower(&mut text);
        order.meta.correlation_id.push_str(id);
        self.fill_customer(&mut order.customer_id);
        self.fill_items(&mut order.items);
        order.total_minor = order
            .items
            .iter()
            .map(|item| item.quantity * item.unit_price_minor)
            .sum();
        order.payment_token.clear();
        order.payment_token.push_str(self.token());
    }

    fn uuid(&mut self, time: Timestamp) -> Uuid {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.random.next_u64().to_le_bytes());
        random[8..].copy_from_slice(&self.random.next_u64().to_le_bytes()[..2]);
        fresh::uuid_of(time, random)
    }

    fn fill_customer(&mut self, customer: &mut Option<CustomerId>) {
        if self.percent(self.shape.guests_percent) {
            *customer = None;
            return;
        }
        let index = self.below(self.shape.customers) as usize;
        *customer = Some(self.customers[index].clone());
    }

    fn fill_items(&mut self, items: &mut Vec<Item>) {
        let count = self.count();
        self.basket.clear();
        items.clear();
        for _ in 0..count {
            let product = self.another_product();
            let quantity = QUANTITIES[self.below(16) as usize];
            let (id, price) = &self.products[product];
            items.push(Item {
                product_id: id.clone(),
                quantity,
                unit_price_minor: *price,
            });
        }
    }

    /// A product by demand, or the next one that the basket does not hold; there are at least as many as items.
    fn another_product(&mut self) -> usize {
        let random = u16::try_from(self.random.next_u32() >> 16).unwrap_or_default();
        let mut product = self.demand.draw(random) as usize;
        while self.basket.contains(&product) {
            product = (product + 1) % self.products.len();
        }
        self.basket.push(product);
        product
    }

    fn count(&mut self) -> usize {
        let most = self.shape.products.min(Shape::MAX_BASKET);
        let count = match self.shape.basket {
            Basket::Fixed(count) => count,
            Basket::Mean(_) => {
                let mut count = 1;
                while count < most && self.random.next_u32() < self.one_more {
                    count += 1;
                }
                count
            }
        };
        count as usize
    }

    fn token(&mut self) -> &'static str {
        if self.percent(self.shape.declined_percent) {
            DECLINED[self.below(4) as usize]
        } else {
            TOKEN
        }
    }

    fn percent(&mut self, percent: u8) -> bool {
        self.below(100) < u32::from(percent)
    }

    /// A number below `bound`; the bias of at most one in four thousand does not matter here.
    fn below(&mut self, bound: u32) -> u32 {
        let scaled = u64::from(self.random.next_u32()) * u64::from(bound);
        u32::try_from(scaled >> 32).unwrap_or_default()
    }
}

/// With a chance of `(mean - 1) / mean` for each further item there are `mean` on average.
fn one_more(basket: Basket) -> u32 {
    match basket {
        Basket::Fixed(_) => 0,
        Basket::Mean(mean) => {
            let mean = u64::from(mean);
            u32::try_from((mean - 1) * (1 << 32) / mean).unwrap_or(u32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Skew;
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000_000);

    fn orders(shape: &Shape, seed: u64, count: usize) -> Vec<OrderPlaced> {
        let mut generator = Generator::new(shape, "test", seed).expect("a sound shape");
        let mut order = generator.blank();
        let filled = std::iter::repeat_with(|| {
            generator.fill(&mut order, START);
            order.clone()
        });
        filled.take(count).collect()
    }

    #[test]
    fn a_seed_repeats_every_order_and_another_gives_others() {
        let shape = Shape::default();
        assert_eq!(orders(&shape, 7, 500), orders(&shape, 7, 500));
        assert_ne!(orders(&shape, 7, 1), orders(&shape, 8, 1));
    }

    #[test]
    fn every_order_is_valid_and_no_id_comes_twice() {
        let orders = orders(&Shape::default(), 1, 2_000);
        assert!(orders.iter().all(|order| order.validate().is_ok()));
        let mut ids: Vec<Uuid> = orders
            .iter()
            .flat_map(|order| [order.order_id.0, order.meta.event_id.0])
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn shares_and_means_are_kept() {
        let shape = Shape {
            guests_percent: 20,
            declined_percent: 10,
            basket: Basket::Mean(5),
            ..Shape::default()
        };
        let orders = orders(&shape, 1, 10_000);
        let guests = orders.iter().filter(|order| order.customer_id.is_none()).count();
        let declined = orders.iter().filter(|order| order.payment_token != TOKEN).count();
        let items: usize = orders.iter().map(|order| order.items.len()).sum();
        assert!((1_850..2_150).contains(&guests), "{guests}");
        assert!((880..1_120).contains(&declined), "{declined}");
        assert!((48_000..52_000).contains(&items), "{items}");
    }

    #[test]
    fn a_fixed_basket_holds_different_products_of_the_stock() {
        for skew in [Skew::Even, Skew::Zipf] {
            let shape = Shape {
                products: 3,
                basket: Basket::Fixed(3),
                skew,
                ..Shape::default()
            };
            let stock: Vec<ProductId> = shape.stock(10).map(|(product, _)| product).collect();
            for order in orders(&shape, 3, 200) {
                let mut products: Vec<_> = order.items.into_iter().map(|item| item.product_id).collect();
                products.sort();
                assert_eq!(products, stock);
            }
        }
    }
}
