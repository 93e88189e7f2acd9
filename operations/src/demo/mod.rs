//! The demonstration: real orders on a broker in this process, the services as children of it, one of them killed in the
//! middle, and an audit of what came of it.
//!
//! Everything here is what a user's own system does: the children are the daemons of the command line, the orders go
//! through the importer, the audit is the audit. Only the broker is not durable.

mod daemons;
mod error;
mod input;
mod summary;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use orderflow_consumers::{inventory, payment};
use orderflow_producers::{Stop, Tally};
use orderflow_runtime::embedded::EmbeddedBroker;
use orderflow_runtime::{dead_letter_topic, redrive_topic};
use orderflow_schemas::{Topic, TopicNames};

use crate::audit::{self, Databases};
use crate::daemon;

pub use self::error::DemoError;
pub use self::summary::{Killed, Latency, Summary};

use self::daemons::Daemon;

/// Partitions of every topic: the broker keeps 5 MiB of each.
const PARTITIONS: i32 = 12;

/// How long anything may take before the demonstration gives up and says what it waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which service is killed, and when: after this share of the orders, in percent.
const KILLED: &str = inventory::GROUP;
const KILLED_AT: u64 = 40;

/// Orders that the shipped data set has: more cannot be placed.
pub const MOST_ORDERS: u64 = 8_067;

/// How the demonstration is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// This program: the daemons are children of it.
    pub executable: PathBuf,
    /// Where databases and logs go; must be empty or absent.
    pub data_dir: PathBuf,
    /// How many orders of the data set are placed, [`MOST_ORDERS`] at most.
    pub orders: u64,
}

impl Options {
    /// Whether the demonstration can be run so: it begins with fresh topics, so that databases of an earlier one would
    /// know positions that these topics have not, and the data set has so many orders and no more.
    fn check(&self) -> Result<(), DemoError> {
        if self.orders > MOST_ORDERS {
            return Err(DemoError::TooManyOrders { asked: self.orders });
        }
        match std::fs::read_dir(&self.data_dir).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(DemoError::NotEmpty {
                folder: self.data_dir.display().to_string(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(DemoError::folder(&self.data_dir, &error)),
        }
    }
}

/// What is happening, for whoever looks on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The broker and the daemons are started.
    Starting,
    /// So many of so many orders are acknowledged, and so many records handled by inventory.
    Placing {
        /// Orders in Kafka.
        placed: u64,
        /// Orders there will be.
        of: u64,
        /// Records that inventory has handled.
        handled: u64,
    },
    /// A daemon was killed with SIGKILL.
    Killed(&'static str),
    /// It was started again.
    Restarted(&'static str),
    /// The last orders are placed.
    Finishing,
    /// The services catch up, and the audit judges.
    Auditing,
}

/// Runs the demonstration and says what happened.
///
/// Blocks the thread. The children end with it, whatever happens.
///
/// # Errors
/// See [`DemoError`]; violations of the audit are in the summary.
pub fn run(options: &Options, stop: &Stop, watch: &mut dyn FnMut(Step)) -> Result<Summary, DemoError> {
    options.check()?;
    let began = Instant::now();
    let names = TopicNames::default();
    watch(Step::Starting);
    let topics = topics(&names);
    let declared: Vec<_> = topics.iter().map(|name| (name.as_str(), PARTITIONS)).collect();
    let broker = EmbeddedBroker::start(&declared)?;
    std::fs::create_dir_all(&options.data_dir).map_err(|error| DemoError::folder(&options.data_dir, &error))?;
    let mut daemons = [inventory::GROUP, payment::GROUP]
        .map(|service| Daemon::start(service, options, &broker))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;

    let scene = Scene {
        options,
        names: &names,
        broker: &broker,
        stop,
    };
    let played = scene.play(&mut daemons, watch);
    unless_stopped(stop)?;
    let (tally, killed) = played?;
    watch(Step::Auditing);
    // It waits for the services to catch up; one that died says why better than the wait does.
    let judged = audit::audit(
        &broker.connection(),
        &names,
        &databases(&options.data_dir),
        &audit::Options {
            stop: stop.clone(),
            ..audit::Options::default()
        },
    );
    unless_stopped(stop)?;
    daemons.iter_mut().try_for_each(Daemon::check)?;
    let report = judged?;
    broker.nothing_evicted()?;
    let ended: Vec<_> = daemons.into_iter().map(Daemon::stop).collect();
    unless_stopped(stop)?;
    ended.into_iter().collect::<Result<(), _>>()?;
    let read = summary::Read::of(&broker.connection(), &names, &databases(&options.data_dir))?;
    Ok(Summary::new(read, report, killed, (tally, began.elapsed())))
}

/// What the middle part of the demonstration needs.
#[derive(Clone, Copy)]
struct Scene<'a> {
    options: &'a Options,
    names: &'a TopicNames,
    broker: &'a EmbeddedBroker,
    stop: &'a Stop,
}

impl Scene<'_> {
    /// Orders go in while the daemons work; one dies on the way and comes back; then everything catches up.
    fn play(self, daemons: &mut [Daemon], watch: &mut dyn FnMut(Step)) -> Result<(Tally, Killed), DemoError> {
        let connection = self.broker.connection();
        input::stock(&connection, self.names, self.options.orders, self.stop)?;
        let (names, orders, stop) = (self.names.clone(), self.options.orders, self.stop.clone());
        let placed = Arc::new(AtomicU64::new(0));
        let at_the_end = Arc::clone(&placed);
        let placing = std::thread::spawn(move || {
            let tally = input::orders(&connection, &names, orders, &stop)?;
            at_the_end.store(tally.sent + input::NONSENSE as u64, Ordering::Relaxed);
            Ok::<_, DemoError>(tally)
        });
        let killed = self.kill_one(daemons, &placed, watch)?;
        watch(Step::Finishing);
        let tally = placing
            .join()
            .map_err(|_| DemoError::Defect("the importer's thread died"))??;
        Ok((tally, killed))
    }

    /// `placed` becomes the number of records once all of them are in: a daemon that had handled them when it was killed
    /// has nothing to go on with.
    fn kill_one(
        self,
        daemons: &mut [Daemon],
        placed: &AtomicU64,
        watch: &mut dyn FnMut(Step),
    ) -> Result<Killed, DemoError> {
        let due = self.options.orders * KILLED_AT / 100;
        self.until(daemons, "the orders to be half way", |demo| {
            let handled = daemon::handled(&demo.options.data_dir, KILLED);
            watch(Step::Placing {
                placed: handled.min(demo.options.orders),
                of: demo.options.orders,
                handled,
            });
            Ok(handled >= due)
        })?;
        let daemon = daemons.iter_mut().find(|daemon| daemon.service() == KILLED);
        let daemon = daemon.ok_or(DemoError::Defect("the daemon to be killed was never started"))?;
        daemon.kill()?;
        let handled_before = daemon::handled(&self.options.data_dir, KILLED);
        watch(Step::Killed(KILLED));
        *daemon = Daemon::start(KILLED, self.options, self.broker)?;
        watch(Step::Restarted(KILLED));
        let died = Instant::now();
        self.until(daemons, "the killed daemon to go on", |demo| {
            let placed = placed.load(Ordering::Relaxed);
            let nothing_left = placed > 0 && handled_before >= placed;
            Ok(nothing_left || daemon::handled(&demo.options.data_dir, KILLED) > handled_before)
        })?;
        Ok(Killed {
            service: KILLED,
            after_records: handled_before,
            back_after_ms: millis(died.elapsed()),
        })
    }

    /// Waits for something, and for none of the daemons to end meanwhile.
    fn until(
        self,
        daemons: &mut [Daemon],
        what: &'static str,
        mut done: impl FnMut(Self) -> Result<bool, DemoError>,
    ) -> Result<(), DemoError> {
        let deadline = Instant::now() + PATIENCE;
        while !done(self)? {
            unless_stopped(self.stop)?;
            for daemon in daemons.iter_mut() {
                daemon.check()?;
            }
            if Instant::now() > deadline {
                return Err(DemoError::Late {
                    what,
                    patience: PATIENCE,
                });
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        Ok(())
    }
}

/// Asked before anything else is found wrong: who ends a program on a terminal ends its children too.
fn unless_stopped(stop: &Stop) -> Result<(), DemoError> {
    if stop.is_requested() {
        return Err(DemoError::Stopped);
    }
    Ok(())
}

/// Every topic that the two services read or write.
fn topics(names: &TopicNames) -> Vec<String> {
    let name = |topic| names.name(topic).to_owned();
    let mut topics = [Topic::Orders, Topic::Stock, Topic::Inventory, Topic::Payments]
        .map(name)
        .to_vec();
    let readings = [
        (inventory::GROUP, Topic::Orders),
        (inventory::GROUP, Topic::Stock),
        (payment::GROUP, Topic::Orders),
    ];
    for (group, topic) in readings {
        topics.push(dead_letter_topic(names.name(topic), group));
        topics.push(redrive_topic(names.name(topic), group));
    }
    topics
}

fn databases(data_dir: &Path) -> Databases {
    Databases {
        inventory: data_dir.join("inventory.db").into(),
        payment: data_dir.join("payment.db").into(),
        ledger: Some(data_dir.join(payment::simulator::ledger::FILE_NAME)),
    }
}

fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_set_has_as_many_orders_as_can_be_asked_for() {
        let stop = Stop::default();
        let read = orderflow_producers::import::dry_run(
            crate::real::input(),
            &orderflow_producers::import::ImportOptions::default(),
            &stop,
            &mut |_| {},
        );
        assert_eq!(read.expect("the shipped file is sound").orders, MOST_ORDERS);
    }
}
