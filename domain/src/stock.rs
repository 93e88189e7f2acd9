//! Stock of a product: what comes in, what is corrected, what orders hold.
//!
//! Every function takes the state and gives the next one; none changes anything when it refuses.

mod reserve;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use reserve::{Demand, Outcome, UnavailableReason, demand, reserve};

use crate::order::PayloadDigest;
use crate::{StockAdjusted, StockReceived};

/// Stock of one product, in units. `received + adjusted = available + reserved`, and none but `adjusted` is negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// All that ever came in.
    pub received: i64,
    /// Sum of all corrections; negative where more was lost than found.
    pub adjusted: i64,
    /// What orders can still get.
    pub available: i64,
    /// What is held for orders.
    pub reserved: i64,
}

/// What inventory keeps of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// Recognises the order when it comes again.
    pub digest: PayloadDigest,
    /// What is held for it, in order of product id; empty for an order that was refused.
    pub held: Vec<crate::Reservation>,
}

/// A movement of stock that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StockError {
    /// Nothing, or less than nothing, came in.
    #[error("a quantity received of {0}; must be at least 1")]
    NothingReceived(i64),
    /// More would be taken away than is not held for orders.
    #[error("a correction of {delta} leaves less than nothing of {available} available")]
    BelowZero {
        /// The correction.
        delta: i64,
        /// What there is to take it from.
        available: i64,
    },
    /// Fewer were counted than are held for orders.
    #[error("{count} counted, but {reserved} are reserved for orders")]
    BelowReserved {
        /// What was counted.
        count: i64,
        /// What is held.
        reserved: i64,
    },
    /// A correction must be either a change or a count.
    #[error("a correction states either delta or count; this one states {0}")]
    NotOneCorrection(&'static str),
    /// Beyond 64 bits.
    #[error("the stock would exceed 64 bits")]
    Overflow,
}

impl Stock {
    /// All there is on the shelf: available and reserved.
    #[must_use]
    pub const fn on_hand(&self) -> i64 {
        self.available.saturating_add(self.reserved)
    }

    /// Whether the parts add up and none is negative.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let came = i128::from(self.received) + i128::from(self.adjusted);
        let there = i128::from(self.available) + i128::from(self.reserved);
        came == there && self.received >= 0 && self.available >= 0 && self.reserved >= 0
    }

    /// Goods came in.
    ///
    /// # Errors
    ///
    /// A quantity below 1, or sums that do not fit.
    pub fn receive(self, event: &StockReceived) -> Result<Self, StockError> {
        if event.quantity < 1 {
            return Err(StockError::NothingReceived(event.quantity));
        }
        let received = self.received.checked_add(event.quantity).ok_or(StockError::Overflow)?;
        self.with_available(event.quantity)
            .map(|stock| Self { received, ..stock })
    }

    /// The count was corrected, by a change or by what was counted.
    ///
    /// # Errors
    ///
    /// Neither or both of the two, a result below zero or below what is reserved, or sums that do not fit.
    pub fn correct(self, event: &StockAdjusted) -> Result<Self, StockError> {
        match (event.delta, event.count) {
            (Some(delta), None) => self.adjust(delta),
            (None, Some(count)) => self.count(count),
            (None, None) => Err(StockError::NotOneCorrection("neither")),
            (Some(_), Some(_)) => Err(StockError::NotOneCorrection("both")),
        }
    }

    /// Adds a signed change to what is available.
    ///
    /// # Errors
    ///
    /// When less than nothing would be available, or a sum does not fit.
    pub fn adjust(self, delta: i64) -> Result<Self, StockError> {
        if delta < -self.available {
            return Err(StockError::BelowZero {
                delta,
                available: self.available,
            });
        }
        let adjusted = self.adjusted.checked_add(delta).ok_or(StockError::Overflow)?;
        self.with_available(delta).map(|stock| Self { adjusted, ..stock })
    }

    /// Makes the stock what was counted on the shelf, reserved goods included.
    ///
    /// # Errors
    ///
    /// When fewer were counted than orders hold, or a sum does not fit.
    pub fn count(self, count: i64) -> Result<Self, StockError> {
        if count < self.reserved {
            return Err(StockError::BelowReserved {
                count,
                reserved: self.reserved,
            });
        }
        self.adjust(count - self.on_hand())
    }

    /// Moves `quantity` from available to reserved; `None` when there is less, or for a quantity below 1.
    #[must_use]
    pub fn hold(self, quantity: i64) -> Option<Self> {
        let fits = (1..=self.available).contains(&quantity);
        // The sum of the two is on hand, so what is taken from one fits the other.
        fits.then(|| Self {
            available: self.available - quantity,
            reserved: self.reserved + quantity,
            ..self
        })
    }

    fn with_available(self, delta: i64) -> Result<Self, StockError> {
        // On hand must fit too, or moving between the two could not be relied on.
        self.on_hand().checked_add(delta).ok_or(StockError::Overflow)?;
        Ok(Self {
            available: self.available + delta,
            ..self
        })
    }
}

#[cfg(test)]
mod tests;
