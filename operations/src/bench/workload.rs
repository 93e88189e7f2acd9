//! Which orders.

use std::fmt;
use std::str::FromStr;

use orderflow_producers::emit::{Basket, Shape, Skew};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Three items each over 50 products: every batch changes every stock row.
    Hot,
    /// Three items each over 3,375 products, as many as half a year of the real shop.
    Wide,
}

/// There are no such orders.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown workload {0:?}; expected hot (50 products) or wide (3,375 products)")]
pub struct UnknownWorkload(String);

impl Workload {
    /// Whether its orders are made up, so that there are as many as one likes.
    pub(super) const fn is_made_up(&self) -> bool {
        matches!(self, Self::Hot | Self::Wide)
    }

    /// What the orders look like.
    pub(super) fn shape(&self) -> Shape {
        let products = match self {
            Self::Hot => 50,
            Self::Wide => 3_375,
        };
        Shape {
            products,
            skew: Skew::Even,
            basket: Basket::Fixed(3),
            ..Shape::default()
        }
    }

    /// Its name in topics and folders.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Wide => "wide",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hot => "3 items, 50 products",
            Self::Wide => "3 items, 3,375 products",
        })
    }
}

impl FromStr for Workload {
    type Err = UnknownWorkload;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "hot" => Ok(Self::Hot),
            "wide" => Ok(Self::Wide),
            _ => Err(UnknownWorkload(name.to_owned())),
        }
    }
}
