//! What has happened: the events, each in the past tense, with the field names that clients in other languages read.
//!
//! Every event begins with a [`Meta`]. The field names and their order are those of the Avro contracts.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::{Currency, CustomerId, EventId, OrderId, ProductId, Timestamp};

/// What every event says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Identity of the event; a repetition of the same event bears the same id.
    pub event_id: EventId,
    /// When it happened in the business, which may be long before it was produced.
    pub occurred_at: Timestamp,
    /// The order (or product, for stock) that the event belongs to.
    pub correlation_id: String,
    /// The event that led to this one; `None` where something begins.
    pub causation_id: Option<EventId>,
    /// What produced it, as `orderflow/cli` or `online-retail`.
    pub source: CompactString,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What was ordered; a product may stand on several lines.
    pub product_id: ProductId,
    /// How many, at least 1.
    pub quantity: i64,
    /// Price of one, in minor units of the order's currency, at least 0.
    pub unit_price_minor: i64,
}

/// A customer placed an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// What the event says of itself.
    pub meta: Meta,
    /// Identity of the order, and the record's key.
    pub order_id: OrderId,
    /// Who placed it; `None` is a guest.
    pub customer_id: Option<CustomerId>,
    /// Currency of every amount in the order.
    pub currency: Currency,
    /// The lines, at least one.
    pub items: Vec<Item>,
    /// Sum of quantity times price over all lines.
    pub total_minor: i64,
    /// What the payment gateway is to charge.
    pub payment_token: CompactString,
    /// When the customer placed it.
    pub placed_at: Timestamp,
}

/// Stock held for one product of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The product, once per order however many lines name it.
    pub product_id: ProductId,
    /// How many are held.
    pub quantity: i64,
}

/// Every line of an order is held in stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryReserved {
    /// What the event says of itself.
    pub meta: Meta,
    /// The order.
    pub order_id: OrderId,
    /// What is held, summed per product, in order of product id.
    pub reservations: Vec<Reservation>,
}

/// Why a product of an order could not be held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnavailableLine {
    /// The product.
    pub product_id: ProductId,
    /// How many the order asked for, over all its lines.
    pub requested: i64,
    /// How many there were.
    pub available: i64,
    /// `unknown_product` or `insufficient_stock`.
    pub reason: String,
}

/// An order was refused for want of stock; nothing of it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryUnavailable {
    /// What the event says of itself.
    pub meta: Meta,
    /// The order.
    pub order_id: OrderId,
    /// Every product that could not be held, in order of product id.
    pub lines: Vec<UnavailableLine>,
}

/// The order's total was charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentProcessed {
    /// What the event says of itself.
    pub meta: Meta,
    /// The order.
    pub order_id: OrderId,
    /// What was charged.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: Currency,
    /// The gateway's own name for the charge.
    pub charge_id: String,
}

/// The order's total was not charged, and will not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFailed {
    /// What the event says of itself.
    pub meta: Meta,
    /// The order.
    pub order_id: OrderId,
    /// What was to be charged.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: Currency,
    /// Why, in the gateway's words, as `insufficient_funds`.
    pub reason: String,
}

/// Goods came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReceived {
    /// What the event says of itself.
    pub meta: Meta,
    /// The product, and the record's key.
    pub product_id: ProductId,
    /// How many came in, at least 1.
    pub quantity: i64,
}

/// The count of a product was corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockAdjusted {
    /// What the event says of itself.
    pub meta: Meta,
    /// The product, and the record's key.
    pub product_id: ProductId,
    /// A signed change; `None` where `count` says what was counted.
    pub delta: Option<i64>,
    /// What was counted on the shelf, reserved goods included; the consumer makes the change of it.
    pub count: Option<i64>,
    /// Why, as `stock_take` or `damaged`.
    pub reason: String,
}

/// Any event of the contracts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "each variant is the event it holds")]
pub enum Event {
    OrderPlaced(OrderPlaced),
    InventoryReserved(InventoryReserved),
    InventoryUnavailable(InventoryUnavailable),
    PaymentProcessed(PaymentProcessed),
    PaymentFailed(PaymentFailed),
    StockReceived(StockReceived),
    StockAdjusted(StockAdjusted),
}

impl Event {
    /// What the event says of itself.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        match self {
            Self::OrderPlaced(e) => &e.meta,
            Self::InventoryReserved(e) => &e.meta,
            Self::InventoryUnavailable(e) => &e.meta,
            Self::PaymentProcessed(e) => &e.meta,
            Self::PaymentFailed(e) => &e.meta,
            Self::StockReceived(e) => &e.meta,
            Self::StockAdjusted(e) => &e.meta,
        }
    }
}
