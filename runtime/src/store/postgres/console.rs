//! SQL of a tool's own: for what looks after a whole database, or measures it.

use tokio::runtime::Runtime;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::alive::{Connected, SILENCE};
use super::connect::{self, Purpose};
use super::failure::Failure;
use super::{OpenError, PostgresAddress};
use crate::store::StoreError;

/// A connection that runs whatever statements it is given, for programs that wait: it has a runtime of its own and blocks
/// the thread, so it is not for use within another runtime.
///
/// Names without a schema mean those of the address' schema, which need not be there. While the server
/// lives nothing limits how long a statement takes.
#[derive(Debug)]
pub struct PostgresConsole {
    /// Taken when the console goes: a runtime that is merely dropped may wait.
    runtime: Option<Runtime>,
    connected: Connected,
    location: String,
}

impl PostgresConsole {
    /// Connects to a server that takes writes.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn open(address: &PostgresAddress) -> Result<Self, OpenError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let connected = match runtime.block_on(connect::connect(address, Purpose::Tend)) {
            Ok(connected) => connected,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        Ok(Self {
            runtime: Some(runtime),
            connected,
            location: address.location(),
        })
    }

    /// Runs statements separated by semicolons, all of them or none, unless they say otherwise.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.rows(sql).map(drop)
    }

    /// Runs statements and gives the columns of every row they return, as text; `None` is NULL.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Halt("a console was used after its end".to_owned()));
        };
        let asking = async { Ok::<_, Failure>(self.connected.client.simple_query(sql).await?) };
        let said = runtime.block_on(self.connected.hear(SILENCE, asking));
        let said = said.map_err(|failure| failure.of(&self.location))?;
        let rows = said.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(columns(row)),
            _ => None,
        });
        Ok(rows.collect())
    }
}

impl Drop for PostgresConsole {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn columns(row: &SimpleQueryRow) -> Vec<Option<String>> {
    (0..row.len())
        .map(|column| row.get(column).map(str::to_owned))
        .collect()
}
