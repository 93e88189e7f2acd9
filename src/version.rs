//! What this program is made of.

use serde::Serialize;

/// Versions of the program and of the libraries its guarantees rest on.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    orderflow: &'static str,
    /// None when built outside a git checkout.
    commit: Option<&'static str>,
    librdkafka: String,
    sqlite: &'static str,
}

impl Version {
    /// The running program's.
    pub(crate) fn current() -> Self {
        let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
        Self {
            orderflow: env!("CARGO_PKG_VERSION"),
            commit: option_env!("BUILD_COMMIT"),
            librdkafka,
            sqlite: rusqlite::version(),
        }
    }

    /// One line each, the program's first.
    pub(crate) fn text(&self) -> String {
        let Self {
            orderflow,
            commit,
            librdkafka,
            sqlite,
        } = self;
        let commit = commit.unwrap_or("-");
        format!("orderflow {orderflow}\ncommit {commit}\nlibrdkafka {librdkafka}\nSQLite {sqlite}\n")
    }
}
