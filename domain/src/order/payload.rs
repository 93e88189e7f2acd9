//! When an order that comes again is the same one.
//!
//! The same order may come under another event id: imported twice, placed again after a timeout. Everything but `meta`
//! decides whether it is a repetition (a duplicate) or another order under an id that is taken (`order_exists`).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::OrderPlaced;

/// Whether two events place the same order: everything equal apart from `meta`.
#[must_use]
pub fn same_payload(a: &OrderPlaced, b: &OrderPlaced) -> bool {
    let OrderPlaced {
        meta: _,
        order_id,
        customer_id,
        currency,
        items,
        total_minor,
        payment_token,
        placed_at,
    } = a;
    *order_id == b.order_id
        && *customer_id == b.customer_id
        && *currency == b.currency
        && *items == b.items
        && *total_minor == b.total_minor
        && *payment_token == b.payment_token
        && *placed_at == b.placed_at
}

/// What is kept of an order to recognise it: 128 bits of SHA-256 over everything but `meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PayloadDigest(pub Uuid);

/// The digest of an order's payload. Its derivation never changes, since digests are kept in databases.
#[must_use]
pub fn payload_digest(order: &OrderPlaced) -> PayloadDigest {
    let mut digest = Fields(Sha256::new());
    digest.bytes(order.order_id.0.as_bytes());
    match &order.customer_id {
        Some(customer) => digest.bytes(customer.as_str().as_bytes()),
        None => digest.number(-1),
    }
    digest.bytes(order.currency.as_str().as_bytes());
    for item in &order.items {
        digest.bytes(item.product_id.as_str().as_bytes());
        digest.number(item.quantity);
        digest.number(item.unit_price_minor);
    }
    digest.number(order.total_minor);
    digest.bytes(order.payment_token.as_bytes());
    digest.number(order.placed_at.0);
    digest.finish()
}

/// What an order is to a service that remembers the digest of the one it has, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognised {
    /// Not seen before.
    New,
    /// The same order again: a duplicate.
    Repeated,
    /// Another order under the same id: refused as `order_exists`.
    Different,
}

/// Compares an order, by its digest, with what is remembered under its id.
#[must_use]
pub fn recognise(remembered: Option<PayloadDigest>, digest: PayloadDigest) -> Recognised {
    match remembered {
        None => Recognised::New,
        Some(known) if known == digest => Recognised::Repeated,
        Some(_) => Recognised::Different,
    }
}

/// Length-prefixed, so that no two payloads run together to the same bytes; a number is told from a text of its length
/// by the prefix's sign bit.
struct Fields(Sha256);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn number(&mut self, number: i64) {
        self.0.update((1_u64 << 63).to_be_bytes());
        self.0.update(number.to_be_bytes());
    }

    fn finish(self) -> PayloadDigest {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0.finalize()[..16]);
        PayloadDigest(Builder::from_custom_bytes(bytes).into_uuid())
    }
}
