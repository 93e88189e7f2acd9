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
    /// Half a year of the real shop's own orders, again and again under new ids.
    Real,
}

/// There are no such orders.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown workload {0:?}; expected hot (50 products), wide (3,375 products) or real (a shop's own orders)")]
pub struct UnknownWorkload(String);

impl Workload {
    /// Whether its orders are made up, as those of which the targets speak are.
    pub(super) const fn is_made_up(&self) -> bool {
        matches!(self, Self::Hot | Self::Wide)
    }

    /// What the made-up orders look like; `None` for those that nobody makes up.
    pub(super) fn shape(&self) -> Option<Shape> {
        let products = match self {
            Self::Hot => 50,
            Self::Wide => 3_375,
            Self::Real => return None,
        };
        Some(Shape {
            products,
            skew: Skew::Even,
            basket: Basket::Fixed(3),
            ..Shape::default()
        })
    }

    /// The same, for what can only be done with made-up orders.
    pub(super) fn made_up(&self) -> Result<Shape, super::Error> {
        self.shape().ok_or_else(|| super::Error::Load {
            topic: self.to_string(),
            cause: "these orders are not made up".to_owned(),
        })
    }

    /// Its name in topics and folders.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Wide => "wide",
            Self::Real => "real",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hot => "3 items, 50 products",
            Self::Wide => "3 items, 3,375 products",
            Self::Real => "real orders, 25 items on average",
        })
    }
}

impl FromStr for Workload {
    type Err = UnknownWorkload;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "hot" => Ok(Self::Hot),
            "wide" => Ok(Self::Wide),
            "real" => Ok(Self::Real),
            _ => Err(UnknownWorkload(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_found_by_its_name() {
        for workload in [Workload::Hot, Workload::Wide, Workload::Real] {
            assert_eq!(workload.name().parse(), Ok(workload.clone()));
            assert_eq!(workload.shape().is_some(), workload.is_made_up());
        }
        let unknown = "warm".parse::<Workload>().expect_err("there is none");
        assert!(unknown.to_string().contains("expected hot"), "{unknown}");
    }
}
