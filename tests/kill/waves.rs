//! The input: orders of every fate in waves, with duplicates, late repeats and records that nobody can read.

use orderflow_domain::id::{EventId, OrderId};
use orderflow_domain::{Item, Meta, OrderPlaced, ProductId, StockAdjusted, StockReceived, Timestamp};
use orderflow_operations::audit::Report;
use orderflow_schemas::{Contract, encode};
use uuid::Uuid;

use super::support::cluster::{Sent, produce};
use super::support::seed::Dice;

/// New orders in a wave.
const ORDERS: usize = 36;

/// Records of a wave sent again at its end, and records of earlier waves sent again at its beginning.
const REPEATS: usize = 4;

/// Products of which there is more than anybody orders.
const PLENTY: usize = 6;

/// Of this product there is less than is ordered.
const SCARCE: &str = "SCARCE";

/// 2010-12-01T08:26:00Z, microseconds.
const TIME: i64 = 1_291_191_960_000_000;

/// How many of what were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Different orders.
    pub(crate) orders: u64,
    /// Repeats, as often as a service reads them: those of orders count for both.
    pub(crate) duplicates: u64,
    /// Records that are refused, as often as a service reads them.
    pub(crate) dead: u64,
}

impl Sums {
    /// What an audit found of them.
    pub(crate) fn of(report: &Report) -> Self {
        Self {
            orders: report.totals.orders,
            duplicates: report.totals.duplicates,
            dead: report.totals.dead,
        }
    }
}

/// Sends waves, one after the other.
#[derive(Debug)]
pub(crate) struct Waves {
    dice: Dice,
    /// Everything sound that was sent, each once.
    sent: Vec<Put>,
    sums: Sums,
    number: usize,
}

/// A record on its way.
#[derive(Debug, Clone)]
struct Put {
    topic: &'static str,
    key: String,
    value: Vec<u8>,
}

impl Waves {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            sent: Vec::new(),
            sums: Sums::default(),
            number: 0,
        }
    }

    /// What was sent so far.
    pub(crate) fn sums(&self) -> Sums {
        self.sums
    }

    /// Makes the next wave and returns when all of it is acknowledged.
    pub(crate) fn send(&mut self, brokers: &str) {
        let wave = self.next();
        for topic in ["stock", "orders"] {
            let records = wave.iter().filter(|put| put.topic == topic).map(|put| Sent {
                key: &put.key,
                value: &put.value,
                millis: None,
            });
            produce(brokers, topic, records);
        }
    }

    fn next(&mut self) -> Vec<Put> {
        let earlier = std::mem::take(&mut self.sent);
        let mut wave = self.repeats_of(&earlier);
        self.sent = earlier;
        let mut fresh = self.stock();
        fresh.extend((0..ORDERS).map(|n| self.order(n)).collect::<Vec<_>>());
        wave.extend(fresh.iter().cloned());
        wave.extend(self.unreadable(&fresh));
        wave.extend(self.repeats_of(&fresh));
        self.sent.extend(fresh);
        self.number += 1;
        wave
    }

    fn repeats_of(&mut self, earlier: &[Put]) -> Vec<Put> {
        let count = if earlier.is_empty() { 0 } else { REPEATS };
        let repeats: Vec<_> = (0..count)
            .map(|_| earlier[self.dice.below(earlier.len())].clone())
            .collect();
        self.sums.duplicates += repeats.iter().map(|put| readers(put.topic)).sum::<u64>();
        repeats
    }

    /// A delivery of everything at first, then a little of what is scarce and a correction.
    fn stock(&mut self) -> Vec<Put> {
        if self.number == 0 {
            return (0..PLENTY).map(|n| self.received(&plenty(n), 1_000_000)).collect();
        }
        vec![self.received(SCARCE, 5), self.adjusted(&plenty(0), -1)]
    }

    fn received(&mut self, product: &str, quantity: i64) -> Put {
        let meta = self.meta(product);
        put(&StockReceived {
            meta,
            product_id: ProductId(product.into()),
            quantity,
        })
    }

    fn adjusted(&mut self, product: &str, delta: i64) -> Put {
        let meta = self.meta(product);
        put(&StockAdjusted {
            meta,
            product_id: ProductId(product.into()),
            delta: Some(delta),
            count: None,
            reason: "stock_take".to_owned(),
        })
    }

    /// The `n`-th order of a wave: most are reserved and charged, each other fate has its own.
    fn order(&mut self, n: usize) -> Put {
        let (product, token) = match n {
            0..4 => (SCARCE.to_owned(), "tok_ok"),
            4 => ("NOWHERE".to_owned(), "tok_ok"),
            5..8 => (plenty(n), "tok_decline_insufficient_funds"),
            8 => (plenty(n), "tok_flaky_1"),
            9 => (plenty(n), "tok_slow_5"),
            _ => (plenty(self.dice.below(PLENTY)), "tok_ok"),
        };
        let order_id = uuid(&mut self.dice);
        let meta = self.meta(&order_id.to_string());
        let quantity = 1 + i64::from(n.is_multiple_of(3));
        self.sums.orders += 1;
        put(&OrderPlaced {
            meta,
            order_id: OrderId(order_id),
            customer_id: None,
            currency: "EUR".parse().expect("a currency"),
            items: [product, plenty(n + 1)].map(|product| item(&product, quantity)).into(),
            total_minor: 2 * quantity * PRICE,
            payment_token: token.into(),
            placed_at: Timestamp(TIME),
        })
    }

    /// Two records that no service can take; they differ from wave to wave.
    fn unreadable(&mut self, fresh: &[Put]) -> Vec<Put> {
        let sound = fresh.last().expect("a wave has orders");
        let broken = |key: &str, value: &[u8]| Put {
            topic: "orders",
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let stranger = uuid(&mut self.dice).to_string();
        let kinds = [
            broken(&sound.key, b""),
            broken(&sound.key, br#"{"order_id": 1}"#),
            broken(&sound.key, &sound.value[..sound.value.len() / 2]),
            broken(&stranger, &sound.value),
        ];
        let (first, second) = if self.number.is_multiple_of(2) { (0, 1) } else { (2, 3) };
        self.sums.dead += 2 * readers("orders");
        vec![kinds[first].clone(), kinds[second].clone()]
    }

    fn meta(&mut self, correlation_id: &str) -> Meta {
        Meta {
            event_id: EventId(uuid(&mut self.dice)),
            occurred_at: Timestamp(TIME),
            correlation_id: correlation_id.to_owned(),
            causation_id: None,
            source: "tests".into(),
        }
    }
}

/// Of every item.
const PRICE: i64 = 250;

fn item(product: &str, quantity: i64) -> Item {
    Item {
        product_id: ProductId(product.into()),
        quantity,
        unit_price_minor: PRICE,
    }
}

fn plenty(n: usize) -> String {
    format!("PLENTY-{}", n % PLENTY)
}

/// How many services read a topic.
fn readers(topic: &str) -> u64 {
    if topic == "orders" { 2 } else { 1 }
}

fn put(event: &impl Contract) -> Put {
    let mut value = Vec::new();
    encode(event, &mut value);
    Put {
        topic: event.event_type().topic().default_name(),
        key: event.key().into_owned(),
        value,
    }
}

fn uuid(dice: &mut Dice) -> Uuid {
    Uuid::from_u64_pair(dice.next(), dice.next())
}
