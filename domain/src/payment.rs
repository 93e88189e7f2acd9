//! Payment of an order: charged once, under a key that never changes.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::order::{PayloadDigest, Recognised, payload_digest, recognise};
use crate::{Currency, OrderId, OrderPlaced};

/// The charge id of an order that costs nothing: it is processed without asking the gateway, since gateways refuse to
/// charge zero and there is nothing to pay back.
pub const NO_CHARGE: &str = "none";

/// What payment keeps of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Recognises the order when it comes again.
    pub digest: PayloadDigest,
    /// What is charged: the order's total.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: Currency,
    /// How far it is.
    pub status: Status,
}

/// How far a payment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// The gateway is being asked.
    Charging,
    /// Charged, or nothing to charge.
    Processed {
        /// The gateway's name for the charge, or [`NO_CHARGE`].
        charge_id: String,
    },
    /// Refused by the gateway.
    Failed {
        /// In the gateway's words.
        reason: String,
    },
}

/// What is asked of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The gateway remembers its answer under this key and gives it again; see [`idempotency_key`].
    pub idempotency_key: String,
    /// The order that is paid.
    pub order_id: OrderId,
    /// How much, at least 1.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: Currency,
    /// What the customer pays with.
    pub payment_token: CompactString,
}

/// What comes to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// The order was placed; it has passed [`validate`](OrderPlaced::validate).
    Placed(&'a OrderPlaced),
    /// The gateway charged it.
    Charged {
        /// The gateway's name for the charge.
        charge_id: String,
    },
    /// The gateway refused it.
    Declined {
        /// In the gateway's words.
        reason: String,
    },
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep the payment and ask the gateway.
    Ask(Payment, Charge),
    /// Keep the payment and announce its outcome, which is in its status.
    Settle(Payment),
    /// The same order again; nothing to do.
    Repeated,
}

/// An input that cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Another order has this id.
    #[error("another order with this id has been placed before")]
    OrderExists,
    /// The gateway's answer is about no order that is known.
    #[error("an answer of the gateway for an order that was never placed")]
    NeverPlaced,
    /// The gateway's answer comes after the outcome.
    #[error("an answer of the gateway for an order that is settled")]
    Settled,
}

/// The key under which an order is charged: `orderflow-charge-` and the order id.
///
/// It never changes, between attempts, restarts or versions, or an order could be charged twice.
#[must_use]
pub fn idempotency_key(order_id: OrderId) -> String {
    format!("orderflow-charge-{order_id}")
}

/// What follows when `input` comes to the payment that is kept, if any.
///
/// # Errors
///
/// When the input cannot follow; nothing changes then.
pub fn step(kept: Option<&Payment>, input: Input<'_>) -> Result<Step, Refused> {
    match (kept.map(|payment| (payment, &payment.status)), input) {
        (None, Input::Placed(order)) => Ok(begin(order)),
        (
            Some((payment, Status::Charging | Status::Processed { .. } | Status::Failed { .. })),
            Input::Placed(order),
        ) => again(payment, order),
        (Some((payment, Status::Charging)), Input::Charged { charge_id }) => {
            Ok(settle(payment, Status::Processed { charge_id }))
        }
        (Some((payment, Status::Charging)), Input::Declined { reason }) => {
            Ok(settle(payment, Status::Failed { reason }))
        }
        (
            Some((_, Status::Processed { .. } | Status::Failed { .. })),
            Input::Charged { .. } | Input::Declined { .. },
        ) => Err(Refused::Settled),
        (None, Input::Charged { .. } | Input::Declined { .. }) => Err(Refused::NeverPlaced),
    }
}

fn begin(order: &OrderPlaced) -> Step {
    let payment = |status| Payment {
        digest: payload_digest(order),
        amount_minor: order.total_minor,
        currency: order.currency,
        status,
    };
    if order.total_minor == 0 {
        return Step::Settle(payment(Status::Processed {
            charge_id: NO_CHARGE.to_owned(),
        }));
    }
    let charge = Charge {
        idempotency_key: idempotency_key(order.order_id),
        order_id: order.order_id,
        amount_minor: order.total_minor,
        currency: order.currency,
        payment_token: order.payment_token.clone(),
    };
    Step::Ask(payment(Status::Charging), charge)
}

fn again(payment: &Payment, order: &OrderPlaced) -> Result<Step, Refused> {
    match recognise(Some(payment.digest), payload_digest(order)) {
        Recognised::Repeated => Ok(Step::Repeated),
        Recognised::Different | Recognised::New => Err(Refused::OrderExists),
    }
}

fn settle(payment: &Payment, status: Status) -> Step {
    Step::Settle(Payment {
        status,
        ..payment.clone()
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{EventId, Item, Meta, ProductId, Timestamp};

    fn order(unit_price_minor: i64) -> OrderPlaced {
        let order_id = OrderId(Uuid::from_u128(7));
        let event_id = EventId(Uuid::from_u128(1));
        let (occurred_at, correlation_id, source) = (Timestamp(0), order_id.to_string(), "test".to_owned());
        OrderPlaced {
            meta: Meta {
                event_id,
                occurred_at,
                correlation_id,
                causation_id: None,
                source: source.into(),
            },
            order_id,
            customer_id: None,
            currency: "GBP".parse().expect("a currency"),
            items: vec![Item {
                product_id: ProductId("p".into()),
                quantity: 2,
                unit_price_minor,
            }],
            total_minor: 2 * unit_price_minor,
            payment_token: "tok_ok".into(),
            placed_at: Timestamp(0),
        }
    }

    fn payment(status: Status) -> Payment {
        let order = order(5);
        Payment {
            digest: payload_digest(&order),
            amount_minor: 10,
            currency: order.currency,
            status,
        }
    }

    fn processed() -> Status {
        Status::Processed {
            charge_id: "ch_1".to_owned(),
        }
    }

    fn failed() -> Status {
        Status::Failed {
            reason: "lost_card".to_owned(),
        }
    }

    fn charged() -> Input<'static> {
        Input::Charged {
            charge_id: "ch_1".to_owned(),
        }
    }

    fn declined() -> Input<'static> {
        Input::Declined {
            reason: "lost_card".to_owned(),
        }
    }

    #[test]
    fn a_placed_order_is_charged_its_total_under_its_key() {
        let charge = Charge {
            idempotency_key: "orderflow-charge-00000000-0000-0000-0000-000000000007".to_owned(),
            order_id: OrderId(Uuid::from_u128(7)),
            amount_minor: 10,
            currency: "GBP".parse().expect("a currency"),
            payment_token: "tok_ok".into(),
        };
        assert_eq!(
            step(None, Input::Placed(&order(5))),
            Ok(Step::Ask(payment(Status::Charging), charge))
        );
    }

    #[test]
    fn an_order_that_costs_nothing_is_processed_without_a_charge() {
        let Ok(Step::Settle(settled)) = step(None, Input::Placed(&order(0))) else {
            panic!("not settled")
        };
        assert_eq!(
            settled.status,
            Status::Processed {
                charge_id: "none".to_owned()
            }
        );
        assert_eq!(settled.amount_minor, 0);
    }

    #[test]
    fn every_state_and_input() {
        let (same, other) = (order(5), order(6));
        for (status, input, expected) in [
            (
                Some(Status::Charging),
                charged(),
                Ok(Step::Settle(payment(processed()))),
            ),
            (Some(Status::Charging), declined(), Ok(Step::Settle(payment(failed())))),
            (Some(Status::Charging), Input::Placed(&same), Ok(Step::Repeated)),
            (Some(processed()), Input::Placed(&same), Ok(Step::Repeated)),
            (Some(failed()), Input::Placed(&same), Ok(Step::Repeated)),
            (Some(Status::Charging), Input::Placed(&other), Err(Refused::OrderExists)),
            (Some(processed()), Input::Placed(&other), Err(Refused::OrderExists)),
            (Some(failed()), Input::Placed(&other), Err(Refused::OrderExists)),
            (Some(processed()), charged(), Err(Refused::Settled)),
            (Some(processed()), declined(), Err(Refused::Settled)),
            (Some(failed()), charged(), Err(Refused::Settled)),
            (Some(failed()), declined(), Err(Refused::Settled)),
            (None, charged(), Err(Refused::NeverPlaced)),
            (None, declined(), Err(Refused::NeverPlaced)),
        ] {
            let kept = status.map(payment);
            assert_eq!(step(kept.as_ref(), input.clone()), expected, "{kept:?} and {input:?}");
        }
    }
}
