//! Money: whole minor units and an ISO 4217 code, never a float.

mod amount;
mod currency;

pub use amount::{AmountError, MAX_ROUNDED_DECIMALS, format_minor, parse_decimal, parse_decimal_half_even};
pub use currency::{Currency, UnknownCurrency};
