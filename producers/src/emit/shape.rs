//! What made-up orders look like.

use orderflow_domain::ProductId;
use orderflow_domain::money::Currency;
use orderflow_domain::order::MAX_ITEMS;
use thiserror::Error;

use super::catalogue;

/// What made-up orders look like. The default has as many products and as large a share of guests as half a year of a gift
/// shop's real orders; its baskets are smaller, 3 items for the shop's 25.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// How many products there are, 1 to [`Shape::MAX_PRODUCTS`].
    pub products: u32,
    /// How demand is spread over them.
    pub skew: Skew,
    /// How many items an order has.
    pub basket: Basket,
    /// How many customers there are, at least 1, at most [`Shape::MAX_CUSTOMERS`].
    pub customers: u32,
    /// Of 100 orders, how many are guests'.
    pub guests_percent: u8,
    /// Of 100 orders, how many bear a payment token that the built-in gateway declines.
    pub declined_percent: u8,
    /// Currency of the prices.
    pub currency: Currency,
}

/// How demand is spread over the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// Every product as often as any other.
    Even,
    /// The n-th product a n-th as often as the first.
    Zipf,
}

/// How many items an order has; each is another product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basket {
    /// Always as many.
    Fixed(u32),
    /// One at least, this many on average, each further one as likely as the one before, 200 at most.
    Mean(u32),
}

/// Orders cannot look like that.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field} is {found}; expected {least} to {most}")]
pub struct InvalidShape {
    /// Which part.
    pub field: &'static str,
    /// What it is.
    pub found: u64,
    /// The least it can be.
    pub least: u64,
    /// The most it can be.
    pub most: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            products: 3_375,
            skew: Skew::Zipf,
            basket: Basket::Mean(3),
            customers: 2_500,
            guests_percent: 9,
            declined_percent: 2,
            currency: "GBP".parse().expect("GBP is a currency"),
        }
    }
}

impl Shape {
    /// Most products.
    pub const MAX_PRODUCTS: u32 = 20_000;
    /// Most customers.
    pub const MAX_CUSTOMERS: u32 = 1_000_000;
    /// Most items of a [`Basket::Mean`].
    pub const MAX_BASKET: u32 = 200;

    /// Whether orders can look like that.
    ///
    /// # Errors
    ///
    /// The first part that is out of its bounds.
    pub fn check(&self) -> Result<(), InvalidShape> {
        let most_items = self.products.min(u32::try_from(MAX_ITEMS).unwrap_or(u32::MAX));
        let (basket, most_basket) = match self.basket {
            Basket::Fixed(items) => (items, most_items),
            Basket::Mean(items) => (items, most_items.min(Self::MAX_BASKET)),
        };
        within("products", self.products, 1, Self::MAX_PRODUCTS)?;
        within("items per order", basket, 1, most_basket)?;
        within("customers", self.customers, 1, Self::MAX_CUSTOMERS)?;
        within("guests in percent", self.guests_percent.into(), 0, 100)?;
        within("declined in percent", self.declined_percent.into(), 0, 100)
    }

    /// Every product that orders of this shape can name, with `quantity` of each: what to put in stock for them.
    pub fn stock(&self, quantity: i64) -> impl Iterator<Item = (ProductId, i64)> + use<> {
        (0..self.products).map(move |index| (catalogue::product_id(index), quantity))
    }
}

fn within(field: &'static str, found: u32, least: u32, most: u32) -> Result<(), InvalidShape> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let (found, least, most) = (found.into(), least.into(), most.into());
    Err(InvalidShape {
        field,
        found,
        least,
        most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_orders_cannot_look_like_is_refused_by_name() {
        assert_eq!(Shape::default().check(), Ok(()));
        for (shape, problem) in [
            (
                Shape {
                    products: 0,
                    ..Shape::default()
                },
                "products is 0; expected 1 to 20000",
            ),
            (
                Shape {
                    products: 2,
                    ..Shape::default()
                },
                "items per order is 3; expected 1 to 2",
            ),
            (
                Shape {
                    basket: Basket::Fixed(0),
                    ..Shape::default()
                },
                "items per order is 0; expected 1 to 2000",
            ),
            (
                Shape {
                    basket: Basket::Mean(201),
                    ..Shape::default()
                },
                "items per order is 201; expected 1 to 200",
            ),
            (
                Shape {
                    customers: 0,
                    ..Shape::default()
                },
                "customers is 0",
            ),
            (
                Shape {
                    guests_percent: 101,
                    ..Shape::default()
                },
                "guests in percent is 101; expected 0 to 100",
            ),
        ] {
            assert!(shape.check().expect_err(problem).to_string().contains(problem));
        }
    }
}
