//! Reserving an order: every line, or none.

use super::Stock;
use crate::{Item, ProductId, Reservation, UnavailableLine};

/// What an order wants of one product, over all its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand<'a> {
    /// The product.
    pub product_id: &'a ProductId,
    /// The sum of its quantities.
    pub quantity: i64,
}

/// What becomes of an order's wish for stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is held.
    Reserved {
        /// What is held, in order of product id.
        reservations: Vec<Reservation>,
        /// The products' new stock, in the same order.
        stocks: Vec<Stock>,
    },
    /// Nothing is held, and no stock has changed.
    Unavailable {
        /// Every product that could not be held, in order of product id.
        lines: Vec<UnavailableLine>,
    },
}

/// Why a product cannot be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnavailableReason {
    /// Nothing was ever received or counted of it.
    UnknownProduct,
    /// There is less than the order wants.
    InsufficientStock,
}

impl UnavailableReason {
    /// As it stands in the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownProduct => "unknown_product",
            Self::InsufficientStock => "insufficient_stock",
        }
    }
}

/// What `items` want, once per product, in order of product id.
///
/// A sum beyond 64 bits stays at the largest number, which no stock satisfies in practice; orders that pass
/// [`validate`](crate::OrderPlaced::validate) have none.
#[must_use]
pub fn demand(items: &[Item]) -> Vec<Demand<'_>> {
    let mut wanted: Vec<Demand<'_>> = items
        .iter()
        .map(|item| Demand {
            product_id: &item.product_id,
            quantity: item.quantity,
        })
        .collect();
    wanted.sort_unstable_by_key(|line| line.product_id);
    wanted.dedup_by(|next, sum| {
        let same = next.product_id == sum.product_id;
        if same {
            sum.quantity = sum.quantity.saturating_add(next.quantity);
        }
        same
    });
    wanted
}

/// Holds everything that `items` want, or nothing. `stock_of` gives the stock of a product, `None` of an unknown one, and
/// is asked once per product, in order of product id.
pub fn reserve(items: &[Item], mut stock_of: impl FnMut(&ProductId) -> Option<Stock>) -> Outcome {
    let wanted = demand(items);
    let mut reservations = Vec::with_capacity(wanted.len());
    let mut stocks = Vec::with_capacity(wanted.len());
    let mut lines = Vec::new();
    for want in wanted {
        match hold(want, stock_of(want.product_id)) {
            Ok(stock) => {
                reservations.push(Reservation {
                    product_id: want.product_id.clone(),
                    quantity: want.quantity,
                });
                stocks.push(stock);
            }
            Err(line) => lines.push(line),
        }
    }
    if lines.is_empty() {
        Outcome::Reserved { reservations, stocks }
    } else {
        Outcome::Unavailable { lines }
    }
}

fn hold(want: Demand<'_>, stock: Option<Stock>) -> Result<Stock, UnavailableLine> {
    let refused = |available, reason: UnavailableReason| UnavailableLine {
        product_id: want.product_id.clone(),
        requested: want.quantity,
        available,
        reason: reason.as_str().to_owned(),
    };
    let stock = stock.ok_or_else(|| refused(0, UnavailableReason::UnknownProduct))?;
    stock
        .hold(want.quantity)
        .ok_or_else(|| refused(stock.available, UnavailableReason::InsufficientStock))
}
