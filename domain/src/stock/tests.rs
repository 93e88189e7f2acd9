use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{EventId, Item, Meta, ProductId, Reservation, Timestamp, UnavailableLine};

fn stock(available: i64, reserved: i64) -> Stock {
    Stock {
        received: available + reserved,
        adjusted: 0,
        available,
        reserved,
    }
}

fn meta() -> Meta {
    let event_id = EventId(Uuid::from_u128(1));
    Meta {
        event_id,
        occurred_at: Timestamp(0),
        correlation_id: "p".into(),
        causation_id: None,
        source: "test".into(),
    }
}

fn received(quantity: i64) -> StockReceived {
    StockReceived {
        meta: meta(),
        product_id: ProductId("p".into()),
        quantity,
    }
}

fn adjusted(delta: Option<i64>, count: Option<i64>) -> StockAdjusted {
    StockAdjusted {
        meta: meta(),
        product_id: ProductId("p".into()),
        delta,
        count,
        reason: "stock_take".into(),
    }
}

fn item(product: &str, quantity: i64) -> Item {
    Item {
        product_id: ProductId(product.into()),
        quantity,
        unit_price_minor: 1,
    }
}

fn line(product: &str, requested: i64, available: i64, reason: &str) -> UnavailableLine {
    UnavailableLine {
        product_id: ProductId(product.into()),
        requested,
        available,
        reason: reason.into(),
    }
}

fn held(product: &str, quantity: i64) -> Reservation {
    Reservation {
        product_id: ProductId(product.into()),
        quantity,
    }
}

fn reserve_from(shelf: &[(&str, Stock)], items: &[Item]) -> Outcome {
    let shelf: BTreeMap<&str, Stock> = shelf.iter().copied().collect();
    reserve(items, |product| shelf.get(product.as_str()).copied())
}

#[test]
fn received_goods_become_available() {
    let after = stock(3, 2).receive(&received(4)).expect("sound");
    assert_eq!(
        after,
        Stock {
            received: 9,
            adjusted: 0,
            available: 7,
            reserved: 2
        }
    );
}

#[test]
fn receiving_nothing_or_too_much_is_refused() {
    assert_eq!(stock(3, 2).receive(&received(0)), Err(StockError::NothingReceived(0)));
    assert_eq!(stock(3, 2).receive(&received(-1)), Err(StockError::NothingReceived(-1)));
    assert_eq!(stock(3, 2).receive(&received(i64::MAX)), Err(StockError::Overflow));
}

#[test]
fn corrections() {
    let both = StockError::NotOneCorrection("both");
    let neither = StockError::NotOneCorrection("neither");
    let result = |adjusted, available| {
        Ok(Stock {
            received: 5,
            adjusted,
            available,
            reserved: 2,
        })
    };
    for (delta, count, expected) in [
        (Some(4), None, result(4, 7)),
        (Some(0), None, result(0, 3)),
        (Some(-3), None, result(-3, 0)),
        (
            Some(-4),
            None,
            Err(StockError::BelowZero {
                delta: -4,
                available: 3,
            }),
        ),
        (
            Some(i64::MIN),
            None,
            Err(StockError::BelowZero {
                delta: i64::MIN,
                available: 3,
            }),
        ),
        (Some(i64::MAX), None, Err(StockError::Overflow)),
        (None, Some(9), result(4, 7)),
        (None, Some(5), result(0, 3)),
        (None, Some(2), result(-3, 0)),
        (None, Some(1), Err(StockError::BelowReserved { count: 1, reserved: 2 })),
        (
            None,
            Some(-1),
            Err(StockError::BelowReserved { count: -1, reserved: 2 }),
        ),
        (
            None,
            Some(i64::MAX),
            Ok(Stock {
                received: 5,
                adjusted: i64::MAX - 5,
                available: i64::MAX - 2,
                reserved: 2,
            }),
        ),
        (Some(1), Some(1), Err(both)),
        (None, None, Err(neither)),
    ] {
        assert_eq!(
            stock(3, 2).correct(&adjusted(delta, count)),
            expected,
            "delta {delta:?}, count {count:?}"
        );
    }
}

#[test]
fn an_order_gets_all_it_wants_summed_per_product_in_order() {
    let outcome = reserve_from(
        &[("a", stock(5, 1)), ("b", stock(2, 0))],
        &[item("b", 2), item("a", 1), item("a", 4)],
    );
    let reservations = vec![held("a", 5), held("b", 2)];
    let stocks = vec![
        Stock {
            received: 6,
            adjusted: 0,
            available: 0,
            reserved: 6,
        },
        Stock {
            received: 2,
            adjusted: 0,
            available: 0,
            reserved: 2,
        },
    ];
    assert_eq!(outcome, Outcome::Reserved { reservations, stocks });
}

#[test]
fn an_order_gets_nothing_when_a_line_cannot_be_held() {
    let shelf = [("a", stock(5, 1)), ("b", stock(2, 0))];
    for (items, lines) in [
        (
            vec![item("a", 1), item("b", 3)],
            vec![line("b", 3, 2, "insufficient_stock")],
        ),
        (
            vec![item("a", 3), item("b", 1), item("a", 3)],
            vec![line("a", 6, 5, "insufficient_stock")],
        ),
        (
            vec![item("z", 1), item("a", 1)],
            vec![line("z", 1, 0, "unknown_product")],
        ),
        (
            vec![item("z", 1), item("a", 9)],
            vec![
                line("a", 9, 5, "insufficient_stock"),
                line("z", 1, 0, "unknown_product"),
            ],
        ),
        (
            vec![item("a", i64::MAX), item("a", i64::MAX)],
            vec![line("a", i64::MAX, 5, "insufficient_stock")],
        ),
        (vec![item("a", 0)], vec![line("a", 0, 5, "insufficient_stock")]),
    ] {
        assert_eq!(reserve_from(&shelf, &items), Outcome::Unavailable { lines });
    }
}

#[derive(Debug, Clone)]
enum Move {
    Receive(i64),
    Adjust(i64),
    Count(i64),
    Hold(i64),
}

fn a_move() -> impl Strategy<Value = Move> {
    let amount = prop_oneof![4 => -20_i64..100, 1 => any::<i64>()];
    (0..4, amount).prop_map(|(kind, amount)| match kind {
        0 => Move::Receive(amount),
        1 => Move::Adjust(amount),
        2 => Move::Count(amount),
        _ => Move::Hold(amount),
    })
}

proptest! {
    /// Whatever happens in whatever order, units are neither made nor lost and stock never goes below zero.
    #[test]
    fn stock_is_conserved(moves in prop::collection::vec(a_move(), 0..40)) {
        let mut stock = Stock::default();
        for step in moves {
            let next = match step {
                Move::Receive(quantity) => stock.receive(&received(quantity)).ok(),
                Move::Adjust(delta) => stock.adjust(delta).ok(),
                Move::Count(count) => stock.count(count).ok(),
                Move::Hold(quantity) => stock.hold(quantity),
            };
            stock = next.unwrap_or(stock);
            prop_assert!(stock.is_consistent(), "{stock:?}");
        }
    }

    /// Held plus left is what was there, for every product of every order.
    #[test]
    fn an_order_is_held_whole_or_not_at_all(
        lines in prop::collection::vec((0..4_u8, 1..6_i64), 1..8),
        shelf in prop::collection::vec(0..12_i64, 4),
    ) {
        let items: Vec<Item> = lines.iter().map(|(product, quantity)| item(&product.to_string(), *quantity)).collect();
        let of = |product: &ProductId| shelf[product.as_str().parse::<usize>().expect("a number")];
        let wanted = demand(&items);
        prop_assert_eq!(wanted.iter().map(|want| want.quantity).sum::<i64>(), lines.iter().map(|line| line.1).sum::<i64>());
        match reserve(&items, |product| Some(stock(of(product), 0))) {
            Outcome::Reserved { reservations, stocks } => {
                prop_assert_eq!(reservations.len(), wanted.len());
                for (reservation, after) in reservations.iter().zip(&stocks) {
                    prop_assert_eq!(after.available + reservation.quantity, of(&reservation.product_id));
                    prop_assert_eq!(after.reserved, reservation.quantity);
                }
            }
            Outcome::Unavailable { lines } => {
                for line in &lines {
                    prop_assert!(line.requested > line.available);
                }
                prop_assert_eq!(lines.len(), wanted.iter().filter(|want| want.quantity > of(want.product_id)).count());
            }
        }
    }
}
