//! What the schemas do not say: who emits an event, who reads it, and what it follows.

use crate::EventType;

/// What a service author needs to know of an event beyond its fields.
pub(super) struct About {
    pub(super) key: &'static str,
    pub(super) emitted_by: &'static str,
    pub(super) read_by: &'static str,
    pub(super) follows: &'static str,
    pub(super) repeated: &'static str,
    pub(super) aliases: &'static str,
}

const ORDER_KEY: &str = "`order_id`, lower-case with hyphens";
const PRODUCT_KEY: &str = "`product_id`";

/// Of the facts that a service computes from a cause.
const SAME_ID: &str = "byte for byte, under the same event id";

impl About {
    pub(super) fn of(event: EventType) -> Self {
        match event {
            EventType::OrderPlaced => Self {
                key: ORDER_KEY,
                emitted_by: "whoever takes orders: `orderflow order place`, `emit`, `import`, or a producer of yours",
                read_by: "groups `inventory` and `payment`",
                follows: "nothing; it is the first event of an order",
                repeated: "under any event id; the same order but for `meta` is a duplicate, another one under its id is \
                           refused as `order_exists`",
                aliases: "`OrderCreated`, `order.created`, `ORDER_CREATED`, `ORDER_PLACED`; the topic `order-placed`, `order-events`",
            },
            EventType::InventoryReserved => Self {
                key: ORDER_KEY,
                emitted_by: "group `inventory`",
                read_by: "whoever wants to know what is held",
                follows: "OrderPlaced; either this or InventoryUnavailable, once",
                repeated: SAME_ID,
                aliases: "`StockReserved`, `inventory.reserved`, `INVENTORY_RESERVED`",
            },
            EventType::InventoryUnavailable => Self {
                key: ORDER_KEY,
                emitted_by: "group `inventory`",
                read_by: "whoever wants to know what is missing",
                follows: "OrderPlaced; either this or InventoryReserved, once",
                repeated: SAME_ID,
                aliases: "`InventoryFailed`, `StockReservationFailed`, `OutOfStock`, `INVENTORY_FAILED`",
            },
            EventType::PaymentProcessed => Self {
                key: ORDER_KEY,
                emitted_by: "group `payment`",
                read_by: "whoever wants to know what was paid",
                follows: "OrderPlaced, once the gateway has answered; either this or PaymentFailed, once",
                repeated: SAME_ID,
                aliases: "`PaymentCompleted`, `PaymentSucceeded`, `payment.processed`, `PAYMENT_PROCESSED`",
            },
            EventType::PaymentFailed => Self {
                key: ORDER_KEY,
                emitted_by: "group `payment`",
                read_by: "whoever wants to know what was not paid",
                follows: "OrderPlaced, once the gateway has answered; either this or PaymentProcessed, once",
                repeated: SAME_ID,
                aliases: "`PaymentDeclined`, `payment.failed`, `PAYMENT_FAILED`",
            },
            EventType::StockReceived => Self {
                key: PRODUCT_KEY,
                emitted_by: "`orderflow stock receive` and `stock import`, or a warehouse system of yours",
                read_by: "group `inventory`",
                follows: "nothing",
                repeated: "under the same event id; under another one it counts again",
                aliases: "`InventoryAdded`, `GoodsReceived`, `RESTOCK`",
            },
            EventType::StockAdjusted => Self {
                key: PRODUCT_KEY,
                emitted_by: "`orderflow stock set`, or a warehouse system of yours",
                read_by: "group `inventory`",
                follows: "nothing",
                repeated: "under the same event id; under another one a `delta` counts again, a `count` changes nothing",
                aliases: "`InventoryUpdated`, `StockCorrected`",
            },
        }
    }
}
