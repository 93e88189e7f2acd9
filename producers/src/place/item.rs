//! An item as it is written on a command line.

use std::str::FromStr;

use orderflow_domain::money::{AmountError, Currency, parse_decimal};
use orderflow_domain::{Item, ProductId};
use thiserror::Error;

/// `PRODUCT:QUANTITY:PRICE`, as `85123A:6:2.55`. The price is read once the currency is known.
///
/// A product id may hold spaces and anything else but a colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemText {
    /// The product.
    pub product_id: String,
    /// How many.
    pub quantity: i64,
    /// Price of one, in whole units of the currency with its decimals behind a point.
    pub unit_price: String,
}

/// The text is no item.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ItemError {
    /// Not three parts.
    #[error("{0:?} is not an item; expected PRODUCT:QUANTITY:PRICE such as 85123A:6:2.55")]
    Shape(String),
    /// The product is missing.
    #[error("the product of {0:?} is empty; expected PRODUCT:QUANTITY:PRICE such as 85123A:6:2.55")]
    Product(String),
    /// Not a whole number.
    #[error("the quantity {quantity:?} of {item:?} is not a whole number of 64 bits")]
    Quantity {
        /// The text of the item.
        item: String,
        /// The text of its quantity.
        quantity: String,
    },
}

impl ItemText {
    /// The item, its price in minor units.
    ///
    /// # Errors
    ///
    /// A price that is none in this currency.
    pub fn priced(&self, currency: Currency) -> Result<Item, AmountError> {
        Ok(Item {
            product_id: ProductId(self.product_id.as_str().into()),
            quantity: self.quantity,
            unit_price_minor: parse_decimal(&self.unit_price, currency)?,
        })
    }
}

impl FromStr for ItemText {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let (Some(product), Some(quantity), Some(price), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ItemError::Shape(text.to_owned()));
        };
        if product.is_empty() {
            return Err(ItemError::Product(text.to_owned()));
        }
        Ok(Self {
            product_id: product.to_owned(),
            quantity: quantity.parse().map_err(|_| ItemError::Quantity {
                item: text.to_owned(),
                quantity: quantity.to_owned(),
            })?,
            unit_price: price.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read() {
        let item: ItemText = "WHITE HANGING HEART:6:2.55".parse().expect("an item");
        let item = item.priced("GBP".parse().expect("a currency")).expect("a price");
        assert_eq!(
            (item.product_id.as_str(), item.quantity, item.unit_price_minor),
            ("WHITE HANGING HEART", 6, 255)
        );
    }

    #[test]
    fn what_is_no_item_is_refused_with_the_part_that_is_wrong() {
        for (text, problem) in [
            ("", "PRODUCT:QUANTITY:PRICE"),
            ("a:1", "PRODUCT:QUANTITY:PRICE"),
            ("a:b:1:2", "PRODUCT:QUANTITY:PRICE"),
            (":1:2", "the product of"),
            ("a:1.5:2", "the quantity \"1.5\""),
            ("a:99999999999999999999:2", "not a whole number of 64 bits"),
        ] {
            let error = text.parse::<ItemText>().expect_err(text).to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
