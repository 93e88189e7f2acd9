//! Which orders are taken, and when two of them are the same one.

mod check;
mod payload;

use thiserror::Error;

pub use check::{check_product_id, check_text};
pub use payload::{PayloadDigest, Recognised, payload_digest, recognise, same_payload};

use crate::{Item, OrderPlaced};

/// Most lines of an order. The longest of a year of wholesale orders has 675; with ids of full length this many still fit
/// three times into Kafka's default record of 1 MiB, and so does the refusal that names every one of them.
pub const MAX_ITEMS: usize = 2_000;

/// Longest product id, customer id or source, in bytes. Room for any SKU, URN or e-mail address that is used as one, and
/// short enough for a key of an index.
pub const MAX_ID_BYTES: usize = 128;

/// Longest payment token, in bytes; the providers' own stay below 255.
pub const MAX_PAYMENT_TOKEN_BYTES: usize = 255;

/// One field of an event that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Path of the field in the contract, as `items[2].quantity`.
    pub field: String,
    /// Which rule, for programs: `empty`, `too_long`, `control_character`, `too_small`, `too_many`, `overflow`,
    /// `wrong_sum`, `unknown_currency`.
    pub slug: &'static str,
    /// The same for people, with what was found.
    pub message: String,
}

impl FieldError {
    /// A rule broken by `field`.
    pub fn new(field: impl Into<String>, slug: &'static str, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            slug,
            message: message.into(),
        }
    }
}

/// The sum of quantity times price over `items`, in minor units; `None` when it does not fit.
#[must_use]
pub fn total_minor(items: &[Item]) -> Option<i64> {
    items.iter().try_fold(0_i64, |sum, item| {
        sum.checked_add(item.quantity.checked_mul(item.unit_price_minor)?)
    })
}

impl OrderPlaced {
    /// Whether this is an order that can be worked on.
    ///
    /// # Errors
    ///
    /// Every rule that is broken, in the order of the fields: texts within their bounds and without control characters,
    /// a currency of ISO 4217, 1 to [`MAX_ITEMS`] items, quantities of at least 1, prices of at least 0, quantities and
    /// amounts that fit 64 bits, and a total that is the sum of its lines.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        self.check_texts(&mut errors);
        self.check_currency(&mut errors);
        self.check_items(&mut errors);
        self.check_total(&mut errors);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn check_texts(&self, errors: &mut Vec<FieldError>) {
        errors.extend(check_text("meta.correlation_id", &self.meta.correlation_id, MAX_ID_BYTES).err());
        errors.extend(check_text("meta.source", &self.meta.source, MAX_ID_BYTES).err());
        if let Some(customer) = &self.customer_id {
            errors.extend(check_text("customer_id", customer.as_str(), MAX_ID_BYTES).err());
        }
        errors.extend(check_text("payment_token", &self.payment_token, MAX_PAYMENT_TOKEN_BYTES).err());
    }

    fn check_currency(&self, errors: &mut Vec<FieldError>) {
        if !self.currency.is_known() {
            let message = format!("{:?} is not an ISO 4217 currency", self.currency.as_str());
            errors.push(FieldError::new("currency", "unknown_currency", message));
        }
    }

    fn check_items(&self, errors: &mut Vec<FieldError>) {
        if self.items.is_empty() {
            errors.push(FieldError::new("items", "empty", "an order has at least one item"));
        }
        if self.items.len() > MAX_ITEMS {
            let message = format!("{} items; an order has at most {MAX_ITEMS}", self.items.len());
            errors.push(FieldError::new("items", "too_many", message));
            return;
        }
        for (index, item) in self.items.iter().enumerate() {
            check::item(index, item, errors);
        }
    }

    /// Amounts are compared only where every line is sound; else the error would say twice what is wrong with the line.
    fn check_total(&self, errors: &mut Vec<FieldError>) {
        if errors.iter().any(|error| error.field.starts_with("items")) {
            return;
        }
        if self
            .items
            .iter()
            .try_fold(0_i64, |sum, item| sum.checked_add(item.quantity))
            .is_none()
        {
            errors.push(FieldError::new(
                "items",
                "overflow",
                "the quantities together exceed 64 bits",
            ));
        }
        match total_minor(&self.items) {
            None => errors.push(FieldError::new(
                "items",
                "overflow",
                "quantity times price exceeds 64 bits of minor units",
            )),
            Some(sum) if sum != self.total_minor => {
                let message = format!("is {}, but the items add up to {sum}", self.total_minor);
                errors.push(FieldError::new("total_minor", "wrong_sum", message));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
