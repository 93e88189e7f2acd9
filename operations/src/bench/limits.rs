//! What the program may take whatever raw rdkafka takes: time to its help, size, memory of an import, time to its end; and
//! how well it keeps to a rate.

use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use orderflow_consumers::inventory;
use orderflow_producers::Stop;
use orderflow_runtime::embedded::{EmbeddedBroker, EmbeddedError};
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::{dead_letter_topic, redrive_topic};
use orderflow_schemas::{Topic, TopicNames};

use super::child::{Child, Job, Production, Said};
use super::ground::{Ground, PARTITIONS};
use super::producing::Clock;
use super::report::Limit;
use super::store::Folder;
use super::watch::float;
use super::workload::Workload;
use super::{Bench, Error, load};
use crate::{daemon, real};

/// How often the help is asked for; the median counts, so that what else the machine does matters little.
const HELPS: usize = 21;

/// Orders a daemon has before it: it is asked to end in the middle of them.
const WAITING: u64 = 20_000;

/// Orders a second that are asked for, and for how long.
const PACE: NonZeroU32 = NonZeroU32::new(5_000).unwrap();
const PACED: Duration = Duration::from_secs(10);

/// How long the demonstration is watched; beyond that it is killed, and the limit missed in any case.
const SHOWN: Duration = Duration::from_mins(3);

/// How long a daemon may take to begin its work.
const AT_WORK: Duration = Duration::from_mins(1);

/// How long it is watched for its end; beyond that it is killed, and the limit missed in any case.
const WATCHED: Duration = Duration::from_secs(30);

impl Bench<'_> {
    pub(super) fn limits(&mut self) -> Result<(), Error> {
        let Some(program) = self.options.program.clone() else {
            return Err(failed("no program is named whose limits are to be looked at"));
        };
        self.tell("limits");
        let bytes = std::fs::metadata(&program)
            .map_err(Error::io("looking at the program"))?
            .len();
        let mut found = vec![
            Limit::new("orderflow --help", "ms", help(&program)?, 20.0),
            Limit::new("the program, stripped", "MiB", float(bytes) / f64::from(1 << 20), 25.0),
            Limit::new(
                "order import resident at most, the whole file",
                "MiB",
                self.import()?,
                64.0,
            ),
            Limit::new("order emit over 10 s, off its rate by", "%", self.pace()?, 2.0),
            Limit::new("orderflow demo", "s", self.demo(&program)?.as_secs_f64(), 20.0),
        ];
        for (away, name) in [
            (false, "SIGTERM to exit, broker up"),
            (true, "SIGTERM to exit, broker away"),
        ] {
            let mut longest = Duration::ZERO;
            for _ in 0..self.options.rounds {
                longest = longest.max(self.ending(&program, away)?);
            }
            found.push(Limit::new(name, "s", longest.as_secs_f64(), 5.0));
        }
        self.limits.extend(found);
        Ok(())
    }

    /// MiB that importing the real file takes, in a process of its own.
    fn import(&mut self) -> Result<f64, Error> {
        let ground = Ground::make(self.connection, "import", PARTITIONS)?;
        let job = Job::Import {
            topic: ground.orders().to_owned(),
        };
        let said = Child::start(self.options, self.connection, job)?.finish()?;
        Ok(float(said.peak_kib) / 1_024.0)
    }

    /// By how much orders come faster or slower than they were asked for, percent.
    fn pace(&mut self) -> Result<f64, Error> {
        let ground = Ground::make(self.connection, "pace", PARTITIONS)?;
        let asked = u64::from(PACE.get());
        let orders = asked * PACED.as_secs();
        let production = Production {
            topic: ground.orders().to_owned(),
            workload: Workload::Hot,
            orders,
            seed: 0,
        };
        let rate = Some(PACE);
        let said = Child::start(self.options, self.connection, Job::Emit { production, rate })?.finish()?;
        let reached = float(orders) / said.elapsed.as_secs_f64();
        Ok((reached / float(asked) - 1.0).abs() * 100.0)
    }

    /// From the command to its end, with everything that it starts.
    fn demo(&self, program: &Path) -> Result<Duration, Error> {
        let folder = Folder::make(&self.options.folder, "demo")?;
        let said = folder.path().join("demo.log");
        let stderr = std::fs::File::create(&said).map_err(Error::io("writing a log"))?;
        let mut command = Command::new(program);
        command
            .args(["demo", "--json", "--data-dir"])
            .arg(folder.path().join("data"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        daemon::without_settings(&mut command);
        let began = Instant::now();
        let mut running = Running(command.spawn().map_err(Error::io("starting the program"))?);
        while !running.has_ended() && began.elapsed() < SHOWN {
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = began.elapsed();
        if !running.has_ended() {
            // It ends its daemons, which killed it could not.
            running.terminate();
        }
        match running.0.try_wait() {
            Ok(Some(status)) if !status.success() => {
                let said = std::fs::read_to_string(said).unwrap_or_default();
                Err(failed(&format!(
                    "the demonstration ended with {status}; it said: {said}"
                )))
            }
            _ => Ok(took),
        }
    }

    /// From SIGTERM to the end of an inventory at work, on a broker of our own, since ours alone may go away.
    fn ending(&self, program: &Path, away: bool) -> Result<Duration, Error> {
        let names = TopicNames::default();
        let broker = broker(&names)?;
        let folder = Folder::make(&self.options.folder, "ending")?;
        let stderr = std::fs::File::create(folder.path().join("inventory.log")).map_err(Error::io("writing a log"))?;
        let mut command = daemon::command(program, inventory::GROUP, folder.path(), &broker);
        let started = command
            .stderr(stderr)
            .spawn()
            .map_err(Error::io("starting the program"));
        let mut running = Running(started?);
        let ended = self
            .at_work(&broker, &names, (&mut running, folder.path()))
            .and_then(|()| {
                if away {
                    broker.down().map_err(|error| embedded(&error))?;
                }
                Ok(running.terminate())
            });
        ended.map_err(|error| {
            let log = std::fs::read_to_string(folder.path().join("inventory.log")).unwrap_or_default();
            failed(&format!(
                "{error}; its last words: {}",
                log.lines().last().unwrap_or("none")
            ))
        })
    }

    fn at_work(
        &self,
        broker: &EmbeddedBroker,
        names: &TopicNames,
        (running, folder): (&mut Running, &Path),
    ) -> Result<(), Error> {
        let topic = names.name(Topic::Orders);
        load::orders(&broker.connection(), topic, &Workload::Hot, (WAITING, self.stop))?;
        let until = Instant::now() + AT_WORK;
        while daemon::handled(folder, inventory::GROUP) == 0 {
            if running.has_ended() || Instant::now() > until {
                return Err(failed("inventory does not begin its work"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Imports the real file, as `order import` does.
pub(super) fn import(connection: &Connection, topic: &str, stop: &Stop) -> Result<Said, Error> {
    let clock = Clock::start();
    let imported = orderflow_producers::import::import(
        connection,
        orderflow_producers::import::sink_options(topic),
        real::input(),
        &orderflow_producers::import::ImportOptions::default(),
        stop,
        &mut |_| {},
    );
    imported.map_err(|error| Error::Load {
        topic: topic.to_owned(),
        cause: error.to_string(),
    })?;
    Ok(clock.stop())
}

/// Milliseconds from asking for the help to having it.
fn help(program: &Path) -> Result<f64, Error> {
    let mut took = Vec::with_capacity(HELPS);
    for _ in 0..HELPS {
        let mut command = Command::new(program);
        command.arg("--help").stdin(Stdio::null()).stdout(Stdio::null());
        daemon::without_settings(&mut command);
        let began = Instant::now();
        let status = command.status().map_err(Error::io("starting the program"))?;
        took.push(began.elapsed());
        if !status.success() {
            return Err(failed(&format!("--help ended with {status}")));
        }
    }
    took.sort_unstable();
    Ok(took[HELPS / 2].as_secs_f64() * 1e3)
}

fn broker(names: &TopicNames) -> Result<EmbeddedBroker, Error> {
    let (orders, stock) = (names.name(Topic::Orders), names.name(Topic::Stock));
    let mut topics = vec![
        orders.to_owned(),
        stock.to_owned(),
        names.name(Topic::Inventory).to_owned(),
    ];
    for read in [orders, stock] {
        topics.extend([
            dead_letter_topic(read, inventory::GROUP),
            redrive_topic(read, inventory::GROUP),
        ]);
    }
    let made: Vec<_> = topics.iter().map(|topic| (topic.as_str(), PARTITIONS)).collect();
    EmbeddedBroker::start(&made).map_err(|error| embedded(&error))
}

fn embedded(error: &EmbeddedError) -> Error {
    failed(&error.to_string())
}

fn failed(cause: &str) -> Error {
    Error::Child {
        job: "limits",
        cause: cause.to_owned(),
    }
}

/// A daemon that is killed when nobody looks after it any more.
struct Running(std::process::Child);

impl Running {
    fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// From SIGTERM to its end, or for how long it was watched.
    fn terminate(&mut self) -> Duration {
        let asked = Instant::now();
        daemon::terminate(&self.0);
        while !self.has_ended() && asked.elapsed() < WATCHED {
            std::thread::sleep(Duration::from_millis(2));
        }
        asked.elapsed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as well.
        let _ended = self.0.kill().and_then(|()| self.0.wait().map(drop));
    }
}
