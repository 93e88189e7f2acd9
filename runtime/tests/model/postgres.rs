//! Traces of the model on PostgreSQL. Every handle has connections of its own, as another process would.

use orderflow_runtime::store::conformance::Ground;
use orderflow_runtime::store::postgres::{PostgresOptions, PostgresStore};

use super::replay::cases::replayed_on;
use crate::postgres::Schema;

/// A schema of its own on the server of the tests.
struct Place(Schema);

impl Ground for Place {
    type Store = PostgresStore;

    async fn fresh() -> Self {
        Self(Schema::fresh())
    }

    async fn handle(&self) -> PostgresStore {
        let opened = PostgresStore::open(self.0.address(), PostgresOptions::default()).await;
        opened.expect("the database opens")
    }

    async fn reopen(&mut self) {}
}

replayed_on!(
    #[ignore = "needs PostgreSQL; run by ./tests/run"]
    Place
);
