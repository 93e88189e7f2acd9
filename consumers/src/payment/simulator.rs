//! The built-in gateway: it decides by the payment token, and keeps a ledger as a provider would.
//!
//! | token | verdict |
//! | --- | --- |
//! | `tok_ok` | charged, at most the limit |
//! | `tok_decline_<reason>` | declined with that reason |
//! | `tok_flaky_<n>` | decided as `tok_ok`, and the answers of the first *n* calls are lost after the money moved: what idempotency keys are for |
//! | `tok_slow_<ms>` | decided as `tok_ok` after that many milliseconds; another call meanwhile finds it in progress |
//! | any other | declined, `unknown_token` |
//!
//! An amount above the limit is declined with `amount_limit`, whatever the token would have given.
//!
//! The [`ledger`] is a database of its own and never part of payment's transaction, so that the two can disagree: that is
//! what an audit compares.

pub mod ledger;

mod token;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use orderflow_domain::payment::Charge;

use self::ledger::{Booked, Booking, Ledger, LedgerError};
use self::token::Token;
use super::{Gateway, NoVerdict, Verdict};

/// Largest amount charged unless set otherwise, in minor units: 100,000.00 in a currency of two decimals.
pub const AMOUNT_LIMIT_MINOR: i64 = 10_000_000;

/// The built-in gateway. Cheap to clone; clones share the ledger.
#[derive(Debug, Clone)]
pub struct Simulator {
    ledger: Ledger,
    limit_minor: i64,
    in_progress: Arc<Mutex<HashSet<String>>>,
}

impl Simulator {
    /// Opens the ledger at `path`, or makes it there; amounts above `limit_minor` are declined.
    ///
    /// # Errors
    /// When the file cannot be opened as a ledger.
    pub fn open(path: &Path, limit_minor: i64) -> Result<Self, LedgerError> {
        Ok(Self {
            ledger: Ledger::open(path)?,
            limit_minor,
            in_progress: Arc::default(),
        })
    }

    fn decide(&self, charge: &Charge, token: &Token<'_>) -> Result<(), String> {
        match token {
            Token::Unknown => Err("unknown_token".to_owned()),
            _ if charge.amount_minor > self.limit_minor => Err("amount_limit".to_owned()),
            Token::Decline(reason) => Err((*reason).to_owned()),
            Token::Ok | Token::Flaky(_) | Token::Slow(_) => Ok(()),
        }
    }

    /// Decides after a while, and goes on doing so when the caller has hung up, as a provider would.
    async fn charge_slowly(&self, booking: Booking, wait: Duration) -> Result<Verdict, NoVerdict> {
        let key = booking.charge.idempotency_key.clone();
        if self.lookup(&key).await?.is_some() {
            return self.book(booking).await.map(|booked| booked.verdict);
        }
        if !self.in_progress().insert(key.clone()) {
            return Err(NoVerdict::InProgress);
        }
        let simulator = self.clone();
        let work = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let booked = simulator.book(booking).await;
            simulator.in_progress().remove(&key);
            booked
        });
        let booked = work.await.map_err(|error| NoVerdict::Failed(error.to_string()))?;
        booked.map(|booked| booked.verdict)
    }

    async fn book(&self, booking: Booking) -> Result<Booked, NoVerdict> {
        Ok(self.ledger.book(booking).await?)
    }

    fn in_progress(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway for Simulator {
    async fn charge(&self, charge: &Charge) -> Result<Verdict, NoVerdict> {
        let token = Token::parse(&charge.payment_token);
        let booking = Booking {
            charge: charge.clone(),
            decision: self.decide(charge, &token),
        };
        if let Token::Slow(wait) = token {
            return self.charge_slowly(booking, wait).await;
        }
        let booked = self.book(booking).await?;
        match token {
            Token::Flaky(lost) if booked.calls <= lost => Err(NoVerdict::Failed(format!(
                "the answer to call {} of {lost} is lost",
                booked.calls
            ))),
            _ => Ok(booked.verdict),
        }
    }

    async fn lookup(&self, idempotency_key: &str) -> Result<Option<Verdict>, NoVerdict> {
        Ok(self.ledger.find(idempotency_key).await?)
    }
}

impl From<LedgerError> for NoVerdict {
    /// Whatever the ledger's trouble is, the charge may be in it.
    fn from(error: LedgerError) -> Self {
        Self::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests;
