//! Somebody else in the group: a member that comes, is given partitions, and goes.

use std::time::{Duration, Instant};

use orderflow_runtime::kafka::Connection;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::support::process::Daemon;

/// How long the group may take to give the visitor something: its members are asked first.
const WELCOMED: Duration = Duration::from_secs(30);

/// A member of a service's group that has partitions of `orders`. It leaves the group when it is dropped.
pub(crate) struct Visitor(BaseConsumer);

impl Visitor {
    /// Joins the group and waits until it has `partitions` partitions, or more.
    ///
    /// # Panics
    /// When it is not given them.
    pub(crate) fn join(brokers: &str, service: &str, partitions: usize) -> Self {
        let visitor = Self::ask(brokers, service);
        let deadline = Instant::now() + WELCOMED;
        while !visitor.has(partitions) {
            assert!(
                Instant::now() < deadline,
                "{service} gave the visitor nothing in {WELCOMED:?}"
            );
        }
        visitor
    }

    /// Joins the group, takes what it is given and leaves; or leaves at once when `daemon` dies of the visit.
    ///
    /// # Panics
    /// When neither happens.
    pub(crate) fn call(brokers: &str, service: &str, daemon: &mut Daemon) {
        let visitor = Self::ask(brokers, service);
        let deadline = Instant::now() + WELCOMED;
        while daemon.is_running() && !visitor.has(1) {
            assert!(
                Instant::now() < deadline,
                "{service} gave the visitor nothing\n{}",
                daemon.log()
            );
        }
    }

    fn ask(brokers: &str, service: &str) -> Self {
        let consumer: BaseConsumer = Connection::to(brokers)
            .client(&[
                ("group.id", service),
                ("enable.auto.commit", "false"),
                ("partition.assignment.strategy", "range"),
                ("session.timeout.ms", "6000"),
                ("heartbeat.interval.ms", "300"),
            ])
            .create()
            .expect("a consumer is configured");
        consumer.subscribe(&["orders"]).expect("a topic to subscribe to");
        Self(consumer)
    }

    /// Asks the group meanwhile; what records come, the visitor does not care for.
    fn has(&self, partitions: usize) -> bool {
        drop(self.0.poll(Duration::from_millis(20)));
        self.0.assignment().is_ok_and(|given| given.count() >= partitions)
    }
}
