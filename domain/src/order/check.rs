//! Rules of single fields.

use super::{FieldError, MAX_ID_BYTES};
use crate::Item;

/// Whether a text is one that can be stored, shown and used as a key: 1 to `max_bytes` bytes, no control characters.
///
/// # Errors
///
/// The rule that `text` breaks, for the field named `field`.
pub fn check_text(field: &str, text: &str, max_bytes: usize) -> Result<(), FieldError> {
    if text.is_empty() {
        return Err(FieldError::new(field, "empty", "must not be empty"));
    }
    if text.len() > max_bytes {
        let message = format!("has {} bytes; at most {max_bytes} are taken", text.len());
        return Err(FieldError::new(field, "too_long", message));
    }
    match text.chars().position(char::is_control) {
        Some(at) => Err(FieldError::new(
            field,
            "control_character",
            format!("has a control character at position {at}"),
        )),
        None => Ok(()),
    }
}

/// Whether `id` can be a product id.
///
/// # Errors
///
/// The rule of [`check_text`] that it breaks; at most [`MAX_ID_BYTES`].
pub fn check_product_id(field: &str, id: &str) -> Result<(), FieldError> {
    check_text(field, id, MAX_ID_BYTES)
}

/// Checks one line; names of fields are made only for what is wrong, since every order comes through here.
pub(super) fn item(index: usize, item: &Item, errors: &mut Vec<FieldError>) {
    if let Err(error) = check_product_id("product_id", item.product_id.as_str()) {
        errors.push(FieldError {
            field: format!("items[{index}].product_id"),
            ..error
        });
    }
    if item.quantity < 1 {
        let message = format!("is {}; must be at least 1", item.quantity);
        errors.push(FieldError::new(
            format!("items[{index}].quantity"),
            "too_small",
            message,
        ));
    }
    if item.unit_price_minor < 0 {
        let message = format!("is {}; must not be negative", item.unit_price_minor);
        errors.push(FieldError::new(
            format!("items[{index}].unit_price_minor"),
            "too_small",
            message,
        ));
    }
}
