//! The kinds of event.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::Topic;

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is named after its event")]
pub enum EventType {
    OrderPlaced,
    InventoryReserved,
    InventoryUnavailable,
    PaymentProcessed,
    PaymentFailed,
    StockReceived,
    StockAdjusted,
}

impl EventType {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::OrderPlaced,
        Self::InventoryReserved,
        Self::InventoryUnavailable,
        Self::PaymentProcessed,
        Self::PaymentFailed,
        Self::StockReceived,
        Self::StockAdjusted,
    ];

    /// The name without its namespace, as `OrderPlaced`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderPlaced => "OrderPlaced",
            Self::InventoryReserved => "InventoryReserved",
            Self::InventoryUnavailable => "InventoryUnavailable",
            Self::PaymentProcessed => "PaymentProcessed",
            Self::PaymentFailed => "PaymentFailed",
            Self::StockReceived => "StockReceived",
            Self::StockAdjusted => "StockAdjusted",
        }
    }

    /// The full name of the Avro record; also the `CloudEvents` type and the registry's subject.
    #[must_use]
    pub const fn record_name(self) -> &'static str {
        match self {
            Self::OrderPlaced => "orderflow.orders.OrderPlaced",
            Self::InventoryReserved => "orderflow.inventory.InventoryReserved",
            Self::InventoryUnavailable => "orderflow.inventory.InventoryUnavailable",
            Self::PaymentProcessed => "orderflow.payments.PaymentProcessed",
            Self::PaymentFailed => "orderflow.payments.PaymentFailed",
            Self::StockReceived => "orderflow.stock.StockReceived",
            Self::StockAdjusted => "orderflow.stock.StockAdjusted",
        }
    }

    /// The topic its records stand in.
    #[must_use]
    pub const fn topic(self) -> Topic {
        match self {
            Self::OrderPlaced => Topic::Orders,
            Self::InventoryReserved | Self::InventoryUnavailable => Topic::Inventory,
            Self::PaymentProcessed | Self::PaymentFailed => Topic::Payments,
            Self::StockReceived | Self::StockAdjusted => Topic::Stock,
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No event has that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown event {0:?}; expected one such as OrderPlaced or orderflow.orders.OrderPlaced")]
pub struct UnknownEvent(pub String);

impl FromStr for EventType {
    type Err = UnknownEvent;

    /// Takes the name or the record name.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|event| event.name() == name || event.record_name() == name)
            .ok_or_else(|| UnknownEvent(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for event in EventType::ALL {
            assert_eq!(event.name().parse(), Ok(event));
            assert_eq!(event.record_name().parse(), Ok(event));
        }
        assert_eq!(
            "ORDER_CREATED".parse::<EventType>(),
            Err(UnknownEvent("ORDER_CREATED".to_owned()))
        );
    }

    #[test]
    fn record_names_are_made_of_topic_and_name() {
        for event in EventType::ALL {
            let made = format!("orderflow.{}.{}", event.topic().default_name(), event.name());
            assert_eq!(event.record_name(), made);
        }
    }
}
