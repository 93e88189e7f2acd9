//! The server of the tests, and a schema of one's own on it.

#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses its part of this"
)]

pub(crate) mod door;
pub(crate) mod server;

use std::sync::atomic::{AtomicU32, Ordering};

use orderflow_runtime::store::postgres::PostgresAddress;
use tokio_postgres::{Client, NoTls};

/// The variable that names the server; `./tests/run` starts one and sets it.
const SERVER: &str = "ORDERFLOW_TEST_POSTGRES";

/// A schema that nobody else uses, dropped at the end with the roles made for it.
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

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The URL, with the schema in it.
    pub(crate) fn url(&self) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}schema={}", self.url, self.name)
    }

    /// The same for another user.
    pub(crate) fn url_of(&self, user: &str) -> String {
        let url = self.url();
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (_, place) = rest.split_once('@').expect("a URL with a user");
        format!("{scheme}://{user}@{place}")
    }

    pub(crate) fn address(&self) -> PostgresAddress {
        PostgresAddress::parse(&self.url(), "unused").expect("the server's URL")
    }

    /// Runs statements as the server's owner; `SCHEMA` stands for the name.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = sql
            .replace("SCHEMA SCHEMA", &format!("SCHEMA {}", self.name))
            .replace("SCHEMA.", &format!("{}.", self.name));
        connect(&self.url)
            .await
            .batch_execute(&sql)
            .await
            .expect("the statements run");
    }

    /// A user who owns the schema and nothing else.
    pub(crate) async fn role(&self, options: &str) -> String {
        let role = self.role_without_schema(options).await;
        self.run(&format!("CREATE SCHEMA SCHEMA AUTHORIZATION {role}")).await;
        role
    }

    /// A user without any right.
    pub(crate) async fn role_without_schema(&self, options: &str) -> String {
        let role = format!("{}_user", self.name);
        self.run(&format!("CREATE ROLE {role} LOGIN {options}")).await;
        role
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        // A runtime of its own: this one may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let client = connect(&url).await;
                for sql in [
                    format!("DROP SCHEMA IF EXISTS {name} CASCADE"),
                    format!("DROP ROLE IF EXISTS {name}_user"),
                ] {
                    client.batch_execute(&sql).await.expect("cleaned up");
                }
            });
        });
        let _left_behind = dropping.join();
    }
}

/// A plain connection, for what a test does behind the store's back.
pub(crate) async fn connect(url: &str) -> Client {
    let url = url.split('?').next().unwrap_or_default();
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the server lets its owner in");
    tokio::spawn(async move {
        let _ended = connection.await;
    });
    client
}

/// One number.
pub(crate) async fn ask(url: &str, sql: &str) -> i64 {
    connect(url).await.query_one(sql, &[]).await.expect("an answer").get(0)
}

/// Host and port of the server.
pub(crate) fn host() -> String {
    let url = server();
    let place = url.split_once('@').map_or(&*url, |(_, place)| place);
    place.split(['/', '?']).next().unwrap_or_default().to_owned()
}

fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| panic!("{SERVER} names no server; ./tests/run starts one and sets it"))
}
