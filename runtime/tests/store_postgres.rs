//! PostgreSQL passes the conformance suite of stores.

mod postgres;

use orderflow_runtime::store::conformance::Ground;
use orderflow_runtime::store::postgres::{PostgresOptions, PostgresStore};

use self::postgres::Schema;

/// A schema of its own on the server of the tests. Every handle has connections of its own, as another process would.
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

orderflow_runtime::store_conformance!(Place, ignore = "needs PostgreSQL; run by ./tests/run");
