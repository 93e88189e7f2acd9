//! What payment decides.

use std::sync::Arc;

use orderflow_domain::payment::{Input, Payment as Kept, Refused, Status, Step, step};
use orderflow_domain::{Event as Known, EventId, OrderId, OrderPlaced, PaymentFailed, PaymentProcessed};
use orderflow_runtime::{
    Answered, Cause, Decision, Decoded, Effect, Entity, Fact, Handler, Reason, Record, Refusal, Rows, Wanted,
};
use orderflow_schemas::{Codec, Topic, TopicNames, Trace};

use super::gateway::{Request, Verdict};
use super::{CHARGE, SOURCE};
use crate::incoming::{self, Read};
use crate::outgoing;

/// How each order's payment stands, by order id.
pub const PAYMENT: Entity<Kept> = Entity::new("payment", 0);

/// The payment service.
#[derive(Debug, Clone)]
pub struct Payment {
    names: TopicNames,
    writes: Arc<str>,
    codec: Codec,
}

/// What payment decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An order is to be paid.
    Placed(OrderPlaced),
}

/// What an announcement is about, and what led to it.
#[derive(Debug, Clone, Copy)]
struct About {
    order_id: OrderId,
    placed_by: EventId,
    trace: Trace,
}

impl Payment {
    /// The service on topics of these names.
    #[must_use]
    pub fn new(names: TopicNames) -> Self {
        let writes = names.name(Topic::Payments).into();
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
        vec![self.names.name(Topic::Orders).into()]
    }

    /// The topics its facts go to.
    #[must_use]
    pub fn writes(&self) -> Vec<Arc<str>> {
        vec![Arc::clone(&self.writes)]
    }

    fn place(&self, cause: &Cause, order: &OrderPlaced, rows: &Rows) -> Result<Decision, Refusal> {
        let key = order.order_id.text();
        let stepped = step(rows.get(PAYMENT, &key), Input::Placed(order));
        let trace = outgoing::trace(cause, order);
        match stepped.map_err(|error| refused(&error, &key).of(cause.id))? {
            Step::Ask(payment, charge) => {
                let mut decision = Decision::new();
                let request = Request::new(charge, order.meta.event_id, trace);
                decision.ask(effect(cause, &key, &request)).put(PAYMENT, key, payment);
                Ok(decision)
            }
            Step::Settle(payment) => {
                let (order_id, placed_by) = (order.order_id, order.meta.event_id);
                Ok(self.settle(
                    cause,
                    About {
                        order_id,
                        placed_by,
                        trace,
                    },
                    key,
                    payment,
                ))
            }
            Step::Repeated => Ok(Decision::repeat()),
        }
    }

    fn settle(&self, cause: &Cause, about: About, key: String, payment: Kept) -> Decision {
        let mut decision = Decision::new();
        if let Some(fact) = self.outcome(cause, about, &payment) {
            decision.emit(fact);
        }
        decision.put(PAYMENT, key, payment);
        decision
    }

    /// The fact that says how a payment ended; `None` while it has not.
    fn outcome(&self, cause: &Cause, about: About, payment: &Kept) -> Option<Fact> {
        let meta = outgoing::meta(cause, 0, about.order_id, about.placed_by, SOURCE);
        let (order_id, amount_minor, currency) = (about.order_id, payment.amount_minor, payment.currency);
        match payment.status.clone() {
            Status::Charging => None,
            Status::Processed { charge_id } => {
                let event = PaymentProcessed {
                    meta,
                    order_id,
                    amount_minor,
                    currency,
                    charge_id,
                };
                Some(outgoing::fact(&self.codec, &event, &self.writes, about.trace))
            }
            Status::Failed { reason } => {
                let event = PaymentFailed {
                    meta,
                    order_id,
                    amount_minor,
                    currency,
                    reason,
                };
                Some(outgoing::fact(&self.codec, &event, &self.writes, about.trace))
            }
        }
    }
}

impl Handler for Payment {
    type Event = Event;

    fn decode(&self, record: &Record<'_>) -> Result<Decoded<Event>, Refusal> {
        let event = match incoming::read(record, &self.names, &self.codec)? {
            Read::Event(event) => event,
            Read::Lacks(schema) => return Ok(Decoded::Lacks(schema)),
        };
        match event {
            Known::OrderPlaced(order) => {
                incoming::check_order(&order)?;
                let id = order.meta.event_id.0;
                Ok(Decoded::Event {
                    id,
                    event: Event::Placed(order),
                })
            }
            Known::InventoryReserved(_)
            | Known::InventoryUnavailable(_)
            | Known::PaymentProcessed(_)
            | Known::PaymentFailed(_)
            | Known::StockReceived(_)
            | Known::StockAdjusted(_) => Ok(Decoded::Skip),
        }
    }

    fn rows(&self, event: &Event, wanted: &mut Wanted<'_>) {
        let Event::Placed(order) = event;
        wanted.row(PAYMENT, &order.order_id.text());
    }

    fn decide(&self, cause: &Cause, event: &Event, rows: &Rows) -> Result<Decision, Refusal> {
        let Event::Placed(order) = event;
        self.place(cause, order, rows)
    }

    fn answer_rows(&self, answered: &Answered<'_>, wanted: &mut Wanted<'_>) {
        wanted.row(PAYMENT, answered.subject);
    }

    fn answer(&self, cause: &Cause, answered: &Answered<'_>, rows: &Rows) -> Result<Decision, Refusal> {
        let request = Request::from_bytes(answered.request).map_err(|error| unreadable("request", &error))?;
        let verdict = Verdict::from_bytes(answered.answer).map_err(|error| unreadable("answer", &error))?;
        let key = answered.subject.to_owned();
        let (order_id, placed_by, trace) = (request.charge.order_id, request.placed_by, request.trace());
        let about = About {
            order_id,
            placed_by,
            trace,
        };
        match step(rows.get(PAYMENT, &key), input(verdict)).map_err(|error| refused(&error, &key))? {
            Step::Settle(payment) => Ok(self.settle(cause, about, key, payment)),
            // No rule leads here from an answer; if one ever does, the answer must not be lost.
            Step::Ask(..) | Step::Repeated => Err(Refusal::new(Reason::Conflict, "an answer that settles nothing")),
        }
    }
}

fn effect(cause: &Cause, subject: &str, request: &Request) -> Effect {
    Effect {
        id: cause.derive(0),
        kind: CHARGE,
        idempotency_key: request.charge.idempotency_key.clone(),
        subject: subject.to_owned(),
        request: request.to_bytes(),
    }
}

fn input(verdict: Verdict) -> Input<'static> {
    match verdict {
        Verdict::Charged { charge_id } => Input::Charged { charge_id },
        Verdict::Declined { reason } => Input::Declined { reason },
    }
}

fn refused(error: &Refused, key: &str) -> Refusal {
    let reason = match error {
        Refused::OrderExists => Reason::OrderExists,
        Refused::NeverPlaced | Refused::Settled => Reason::Conflict,
    };
    Refusal::new(reason, format!("order {key}: {error}"))
}

fn unreadable(what: &str, error: &serde_json::Error) -> Refusal {
    Refusal::new(
        Reason::WrongType,
        format!("the {what} of a charge cannot be read: {error}"),
    )
}

#[cfg(test)]
mod tests;
