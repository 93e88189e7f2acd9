//! A database of a test's own on the shared server of PostgreSQL, or on one that is the test's own as well.

#[path = "../../runtime/tests/postgres/server.rs"]
pub(crate) mod server;

use std::process::Command;

use super::process::stdout_of;
use super::setting;

/// A database that is dropped with the test.
#[derive(Debug)]
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Makes one.
    ///
    /// # Panics
    /// When `./tests/run` has started no server.
    pub(crate) fn make() -> Self {
        Self::on(setting("ORDERFLOW_TEST_POSTGRES"))
    }

    /// Makes one on the server of this URL.
    pub(crate) fn on(server: String) -> Self {
        let name = super::unique("orderflow").replace('-', "_");
        Self::called(server, name)
    }

    /// Makes one for each of these services, and gives them with a URL in which `{service}` stands for the name of one.
    pub(crate) fn of_services<const N: usize>(services: [&str; N]) -> ([Self; N], String) {
        let stem = super::unique("orderflow").replace('-', "_");
        let of = |service| Self::called(setting("ORDERFLOW_TEST_POSTGRES"), format!("{stem}_{service}"));
        let databases = services.map(of);
        let url = databases[0]
            .url()
            .replace(&databases[0].name, &format!("{stem}_{{service}}"));
        (databases, url)
    }

    fn called(server: String, name: String) -> Self {
        let database = Self { server, name };
        psql(&database.server, &format!("CREATE DATABASE {}", database.name));
        database
    }

    /// As `--database` takes it.
    pub(crate) fn url(&self) -> String {
        let (place, parameters) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (place, _) = place.rsplit_once('/').expect("a URL with a database");
        let parameters = if parameters.is_empty() {
            String::new()
        } else {
            format!("?{parameters}")
        };
        format!("{place}/{}{parameters}", self.name)
    }

    /// The same for another user.
    pub(crate) fn url_of(&self, user: &str) -> String {
        let url = self.url();
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (_, place) = rest.split_once('@').expect("a URL with a user");
        format!("{scheme}://{user}@{place}")
    }

    /// What it is called on its server.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A number; `None` while what is asked for is not there.
    pub(crate) fn number(&self, query: &str) -> Option<i64> {
        self.text(query)?.parse().ok()
    }

    /// A text; `None` while what is asked for is not there.
    pub(crate) fn text(&self, query: &str) -> Option<String> {
        let output = command(&self.url(), query).output().expect("psql runs");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    }

    /// What a query gives, as text.
    ///
    /// # Panics
    /// When the server refuses it.
    pub(crate) fn ask(&self, query: &str) -> String {
        stdout_of(&mut command(&self.url(), query)).trim_end().to_owned()
    }

    /// A copy of it as it is now, while nobody is connected to it.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self {
            server: self.server.clone(),
            name: format!("{}_copy", self.name),
        };
        copy.become_like(self);
        copy
    }

    /// Becomes what another is now, and keeps its name.
    pub(crate) fn become_like(&self, other: &Self) {
        psql(
            &self.server,
            &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
        );
        psql(
            &self.server,
            &format!("CREATE DATABASE {} TEMPLATE {}", self.name, other.name),
        );
    }

    /// A command that runs a statement in the background, as somebody of this name.
    pub(crate) fn session(&self, name: &str, sql: &str) -> Command {
        let mut command = command(&self.url(), sql);
        command.env("PGAPPNAME", name);
        command
    }

    /// Runs a statement.
    pub(crate) fn run(&self, sql: &str) {
        psql(&self.url(), sql);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        drop(command(&self.server, &sql).output());
    }
}

fn psql(url: &str, sql: &str) {
    stdout_of(&mut command(url, sql));
}

/// `psql` is a look from outside: a test that asked by the program's own reader would believe the program.
fn command(url: &str, sql: &str) -> Command {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
    command
}
