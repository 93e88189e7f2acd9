//! Inventory: stock per product, and each order's goods held all together or not at all.

use std::sync::Arc;

use orderflow_domain::order::{PayloadDigest, Recognised, payload_digest, recognise};
use orderflow_domain::stock::{OrderRecord, Outcome, Stock, StockError, reserve};
use orderflow_domain::{
    Event as Known, InventoryReserved, InventoryUnavailable, Meta, OrderPlaced, ProductId, Reservation, StockAdjusted,
    StockReceived,
};
use orderflow_runtime::{Cause, Decision, Decoded, Entity, Handler, Reason, Record, Refusal, Rows, Wanted};
use orderflow_schemas::{Codec, Contract, EventType, Topic, TopicNames};

use crate::incoming::{self, Read};
use crate::outgoing;

/// The group this service consumes as.
pub const GROUP: &str = "inventory";

/// What its facts say they come from.
pub const SOURCE: &str = "orderflow/inventory";

/// What its facts are.
pub const EMITS: [EventType; 2] = [EventType::InventoryReserved, EventType::InventoryUnavailable];

/// What is remembered of each order, by order id.
pub const RESERVATION: Entity<OrderRecord> = Entity::new("reservation", 0);

/// Stock of each product, by product id. Orders of every lane meet here, so it comes after what is an order's own.
pub const STOCK: Entity<Stock> = Entity::shared("stock", 1);

/// The inventory service.
#[derive(Debug, Clone)]
pub struct Inventory {
    names: TopicNames,
    writes: Arc<str>,
    codec: Codec,
}

/// What inventory decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An order wants its goods; the digest recognises it when it comes again.
    Placed(OrderPlaced, PayloadDigest),
    /// Goods came in.
    Received(StockReceived),
    /// The count of a product was corrected.
    Adjusted(StockAdjusted),
}

impl Event {
    /// An order, with what recognises it.
    #[must_use]
    pub fn placed(order: OrderPlaced) -> Self {
        let digest = payload_digest(&order);
        Self::Placed(order, digest)
    }
}

impl Inventory {
    /// The service on topics of these names.
    #[must_use]
    pub fn new(names: TopicNames) -> Self {
        let writes = names.name(Topic::Inventory).into();
        Self {
            names,
            writes,
            codec: Codec::builtin(),
        }
    }

    /// The same, reading and writing with another codec.
    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Self {
        Self { codec, ..self }
    }

    /// The topics it reads.
    #[must_use]
    pub fn reads(&self) -> Vec<Arc<str>> {
        [Topic::Orders, Topic::Stock]
            .map(|topic| self.names.name(topic).into())
            .to_vec()
    }

    /// The topics its facts go to.
    #[must_use]
    pub fn writes(&self) -> Vec<Arc<str>> {
        vec![Arc::clone(&self.writes)]
    }

    fn place(
        &self,
        cause: &Cause,
        (order, digest): (&OrderPlaced, PayloadDigest),
        rows: &Rows,
    ) -> Result<Decision, Refusal> {
        let key = order.order_id.text();
        let remembered = rows.get(RESERVATION, &key).map(|record| record.digest);
        match recognise(remembered, digest) {
            Recognised::New => {
                let (mut decision, held) = self.hold(cause, order, rows);
                decision.put(RESERVATION, key, OrderRecord { digest, held });
                Ok(decision)
            }
            Recognised::Repeated => Ok(Decision::repeat()),
            Recognised::Different => {
                let detail = format!("order {key} was placed before with other contents");
                Err(Refusal::new(Reason::OrderExists, detail).of(cause.id))
            }
        }
    }

    /// Takes the goods or says what is missing; what is held comes back beside it.
    fn hold(&self, cause: &Cause, order: &OrderPlaced, rows: &Rows) -> (Decision, Vec<Reservation>) {
        let meta = outgoing::meta(cause, 0, order.order_id, order.meta.event_id, SOURCE);
        let mut decision = Decision::new();
        let held = match reserve(&order.items, |product| rows.get(STOCK, product.as_str()).copied()) {
            Outcome::Reserved { reservations, stocks } => {
                put_stocks(&mut decision, &reservations, stocks);
                let event = reserved(meta, order, reservations);
                self.announce(&mut decision, cause, order, &event);
                event.reservations
            }
            Outcome::Unavailable { lines } => {
                let order_id = order.order_id;
                self.announce(
                    &mut decision,
                    cause,
                    order,
                    &InventoryUnavailable { meta, order_id, lines },
                );
                Vec::new()
            }
        };
        (decision, held)
    }

    fn announce(&self, decision: &mut Decision, cause: &Cause, order: &OrderPlaced, event: &impl Contract) {
        let trace = outgoing::trace(cause, order);
        decision.emit(outgoing::fact(&self.codec, event, &self.writes, trace));
    }
}

impl Handler for Inventory {
    type Event = Event;

    fn decode(&self, record: &Record<'_>) -> Result<Decoded<Event>, Refusal> {
        let event = match incoming::read(record, &self.names, &self.codec)? {
            Read::Event(event) => event,
            Read::Lacks(schema) => return Ok(Decoded::Lacks(schema)),
        };
        let id = event.meta().event_id.0;
        let event = match event {
            Known::OrderPlaced(order) => {
                incoming::check_order(&order)?;
                Event::placed(order)
            }
            Known::StockReceived(received) => {
                incoming::check_product(&received, &received.product_id)?;
                Event::Received(received)
            }
            Known::StockAdjusted(adjusted) => {
                incoming::check_product(&adjusted, &adjusted.product_id)?;
                Event::Adjusted(adjusted)
            }
            Known::InventoryReserved(_)
            | Known::InventoryUnavailable(_)
            | Known::PaymentProcessed(_)
            | Known::PaymentFailed(_) => return Ok(Decoded::Skip),
        };
        Ok(Decoded::Event { id, event })
    }

    fn rows(&self, event: &Event, wanted: &mut Wanted<'_>) {
        match event {
            Event::Placed(order, _) => {
                wanted.absent(RESERVATION, &order.order_id.text());
                for item in &order.items {
                    wanted.row(STOCK, item.product_id.as_str());
                }
            }
            Event::Received(event) => wanted.row(STOCK, event.product_id.as_str()),
            Event::Adjusted(event) => wanted.row(STOCK, event.product_id.as_str()),
        }
    }

    fn decide(&self, cause: &Cause, event: &Event, rows: &Rows) -> Result<Decision, Refusal> {
        match event {
            Event::Placed(order, digest) => self.place(cause, (order, *digest), rows),
            Event::Received(event) => move_stock(cause, &event.product_id, rows, |stock| stock.receive(event)),
            Event::Adjusted(event) => move_stock(cause, &event.product_id, rows, |stock| stock.correct(event)),
        }
    }
}

fn put_stocks(decision: &mut Decision, reservations: &[Reservation], stocks: Vec<Stock>) {
    for (held, stock) in reservations.iter().zip(stocks) {
        decision.put(STOCK, held.product_id.as_str(), stock);
    }
}

fn reserved(meta: Meta, order: &OrderPlaced, reservations: Vec<Reservation>) -> InventoryReserved {
    let order_id = order.order_id;
    InventoryReserved {
        meta,
        order_id,
        reservations,
    }
}

/// Applies a movement to a product's stock; a product never heard of begins with none.
fn move_stock(
    cause: &Cause,
    product: &ProductId,
    rows: &Rows,
    movement: impl FnOnce(Stock) -> Result<Stock, StockError>,
) -> Result<Decision, Refusal> {
    let stock = rows.get(STOCK, product.as_str()).copied().unwrap_or_default();
    let moved = movement(stock).map_err(|error| {
        let detail = format!("product {:?}: {error}", product.as_str());
        Refusal::new(Reason::InvalidOrder, detail).of(cause.id)
    })?;
    let mut decision = Decision::new();
    decision.put(STOCK, product.as_str(), moved);
    Ok(decision)
}

#[cfg(test)]
mod tests;
