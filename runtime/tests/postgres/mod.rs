//! The server of the tests, and a schema of one's own on it.

use std::sync::atomic::{AtomicU32, Ordering};

use orderflow_runtime::store::postgres::PostgresAddress;

/// The variable that names the server; `./tests/run` starts one and sets it.
const SERVER: &str = "ORDERFLOW_TEST_POSTGRES";

/// A schema that nobody else uses, dropped at the end.
pub(crate) struct Schema {
    url: String,
    name: String,
}

impl Schema {
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            url: server(),
            name: format!("test_{}_{number}", std::process::id()),
        }
    }

    /// The URL, with the schema in it.
    pub(crate) fn url(&self) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}schema={}", self.url, self.name)
    }

    pub(crate) fn address(&self) -> PostgresAddress {
        PostgresAddress::parse(&self.url(), "unused").expect("the server's URL")
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        // A runtime of its own: this one may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                    .await
                    .map_err(std::io::Error::other)?;
                let connection = tokio::spawn(connection);
                let dropped = client
                    .batch_execute(&format!("DROP SCHEMA IF EXISTS {name} CASCADE"))
                    .await;
                drop(client);
                let _ended = connection.await;
                dropped.map_err(std::io::Error::other)
            })
        });
        let _left_behind = dropping.join();
    }
}

fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| panic!("{SERVER} names no server; ./tests/run starts one and sets it"))
}
