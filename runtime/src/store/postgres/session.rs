//! A connection of a service, with every statement of the store prepared on it.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use super::PostgresAddress;
use super::alive::SILENCE;
use super::connect::{self, Purpose};
use super::failure::Failure;
use super::migrate;
use super::open_error::{OpenError, refusal};
use super::tables;

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A session that serves units.
///
/// Statements sent without waiting for one another go out in the order in which their futures are first polled, and the
/// server runs them in that order: a pipeline is `tokio::try_join!` with `biased`, in the order written.
pub(super) struct Session {
    client: Client,
    prepared: HashMap<&'static str, Statement>,
}

impl Session {
    /// Connects, asserts, compares the schema and prepares everything, the statements in one round trip.
    pub(super) async fn open(address: &PostgresAddress, migrate: bool) -> Result<Self, OpenError> {
        let connected = connect::connect(address, Purpose::Serve).await?;
        let client = &connected.client;
        let preparing = async {
            migrate::prepare(client, address, migrate).await?;
            let statements = tables::STATEMENTS.iter().copied().flatten().copied();
            let prepared = try_join_all(statements.map(|sql| prepare(client, sql))).await;
            prepared.map_err(|error| refusal(&error, &address.location()))
        };
        let prepared = connected.hear(SILENCE, preparing).await?;
        Ok(Self {
            client: connected.client,
            prepared: prepared.into_iter().collect(),
        })
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// All rows.
    pub(super) async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        let statement = self.statement(sql).await?;
        in_time(self.client.query(&statement, values)).await
    }

    /// One row or none.
    pub(super) async fn find(&self, sql: &'static str, values: Values<'_>) -> Result<Option<Row>, Failure> {
        let statement = self.statement(sql).await?;
        in_time(self.client.query_opt(&statement, values)).await
    }

    /// The one row there always is.
    pub(super) async fn row(&self, sql: &'static str, values: Values<'_>) -> Result<Row, Failure> {
        let statement = self.statement(sql).await?;
        in_time(self.client.query_one(&statement, values)).await
    }

    /// How many rows were touched.
    pub(super) async fn execute(&self, sql: &'static str, values: Values<'_>) -> Result<u64, Failure> {
        let statement = self.statement(sql).await?;
        in_time(self.client.execute(&statement, values)).await
    }

    /// `BEGIN`, `COMMIT`, `ROLLBACK`.
    pub(super) async fn control(&self, sql: &'static str) -> Result<(), Failure> {
        in_time(self.client.batch_execute(sql)).await
    }

    /// Ready at once for every statement of [`tables::STATEMENTS`].
    async fn statement(&self, sql: &'static str) -> Result<Statement, Failure> {
        match self.prepared.get(sql) {
            Some(statement) => Ok(statement.clone()),
            None => in_time(self.client.prepare(sql)).await,
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// A server that is there and says nothing must not hold a lane for ever.
async fn in_time<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(SILENCE, answer).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(Failure::Silence(SILENCE)),
    }
}

async fn prepare(client: &Client, sql: &'static str) -> Result<(&'static str, Statement), Error> {
    Ok((sql, client.prepare(sql).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_is_given_up_after_its_own_limits() {
        let began = tokio::time::Instant::now();
        let silent = in_time::<()>(std::future::pending()).await.expect_err("given up");
        assert_eq!(began.elapsed().as_secs(), SILENCE.as_secs());
        assert!(silent.is_loss(), "the session is of no further use");
        let said = "there says nothing for 40 s; check that the server runs and can be reached".to_owned();
        assert_eq!(silent.of("there"), StoreError::Unavailable(said));
        assert!(matches!(in_time(std::future::ready(Ok(1))).await, Ok(1)));
    }
}
