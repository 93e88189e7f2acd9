//! Money: whole minor units and an ISO 4217 code, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An ISO 4217 currency this system takes, by its three-letter code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Currency(pub String);

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The code is not a currency this system takes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown currency {0:?}; expected an ISO 4217 code such as GBP, EUR or USD")]
pub struct UnknownCurrency(pub String);

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Ok(Self(code.to_owned()))
    }
}
