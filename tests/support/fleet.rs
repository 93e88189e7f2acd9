//! Instances of the services on one database of PostgreSQL, as many as a test wants.

use std::time::Duration;

use super::cluster::{produce, records};
use super::postgres::Database;
use super::process::{Daemon, output_of, shown};
use super::records::{Made, order, receipt};
use super::system::System;
use super::wait_until;

/// What everybody orders.
pub(crate) const PRODUCT: &str = "85123A";

/// Sums up what inventory has applied.
const APPLIED: &str = "SELECT coalesce(sum(applied), 0)::bigint FROM inventory.v_progress WHERE topic = 'orders'";

/// A broker, a database, and settings for all daemons.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) system: System,
    pub(crate) database: Database,
    settings: Vec<(&'static str, String)>,
}

impl Fleet {
    /// On a broker of its own, and a database of its own on the shared server.
    pub(crate) fn on(system: System) -> Self {
        Self::with(system, Database::make())
    }

    /// The same on this database.
    pub(crate) fn with(system: System, database: Database) -> Self {
        Self {
            system,
            database,
            settings: Vec::new(),
        }
    }

    /// The same with a setting for all daemons, as an environment variable.
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Starts an instance with a log of its own.
    pub(crate) fn run(&self, service: &str, log: &str) -> Daemon {
        self.run_with(service, log, &[])
    }

    /// The same with settings of its own.
    pub(crate) fn run_with(&self, service: &str, log: &str, settings: &[(&str, &str)]) -> Daemon {
        let mut command = self.system.orderflow();
        command
            .args(["run", service])
            .env("ORDERFLOW_DATABASE", self.database.url())
            .env("ORDERFLOW_LOG_FORMAT", "text")
            .envs(self.settings.iter().map(|(name, value)| (*name, value)))
            .envs(settings.iter().copied());
        Daemon::start(&mut command, &self.system.log_file(log))
    }

    /// Receives more than anybody orders.
    pub(crate) fn stock_up(&self) {
        let made = receipt(PRODUCT, 1_000_000);
        produce(&self.system.brokers(), "stock", [made.sent()]);
    }

    /// Places orders of one piece each.
    pub(crate) fn place(&self, count: usize) {
        let orders: Vec<_> = std::iter::repeat_with(|| order(PRODUCT, 1)).take(count).collect();
        let sent = orders.iter().map(Made::sent);
        produce(&self.system.brokers(), "orders", sent);
    }

    /// How many orders inventory has applied.
    pub(crate) fn applied(&self) -> i64 {
        self.database.number(APPLIED).unwrap_or(0)
    }

    /// Waits until inventory has applied so many orders.
    ///
    /// # Panics
    /// When it has not within `limit`.
    pub(crate) fn wait_applied(&self, orders: i64, limit: Duration) {
        wait_until("the orders", limit, || self.applied() == orders);
    }

    /// The audit finds nothing, and first copies are in order.
    ///
    /// # Panics
    /// When it does find something; what these daemons logged is shown.
    pub(crate) fn assert_clean(&self, daemons: &[&Daemon]) {
        let mut audit = self.system.orderflow();
        audit
            .args(["audit", "--timeout", "60s"])
            .env("ORDERFLOW_DATABASE", self.database.url());
        let output = output_of(&mut audit);
        let told: String = daemons.iter().map(|daemon| daemon.log()).collect();
        assert!(output.status.success(), "{}\n{told}", shown(&output));
    }

    /// Reads inventory's facts and counts the copies that were not the first. The audit looks for the same; this look is
    /// the test's own.
    ///
    /// # Panics
    /// When first copies of a lane's facts do not stand in the order of their sequences.
    pub(crate) fn copies_in_order(&self) -> usize {
        let mut last = std::collections::BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut copies = 0;
        for record in records(&self.system.brokers(), "inventory") {
            let (lane, sequence) = (header(&record, LANE), header(&record, SEQUENCE));
            if !seen.insert((lane, sequence)) {
                copies += 1;
                continue;
            }
            let before = last.insert((rdkafka::Message::partition(&record), lane), sequence);
            assert!(
                before.is_none_or(|before| before < sequence),
                "lane {lane}: {sequence} stands behind {before:?}"
            );
        }
        copies
    }
}

/// Headers of every fact.
const LANE: &str = "orderflow-lane";
const SEQUENCE: &str = "orderflow-seq";

fn header(record: &impl rdkafka::Message, name: &str) -> i64 {
    use rdkafka::message::Headers as _;
    let headers = record.headers().expect("a fact has headers");
    let found = headers
        .iter()
        .find(|header| header.key == name)
        .and_then(|header| header.value);
    let text = std::str::from_utf8(found.unwrap_or_else(|| panic!("no header {name}"))).expect("a number");
    text.parse().expect("a number")
}
