//! A process that is measured, seen from both sides.
//!
//! The harness writes one line of JSON, what is to be done, and keeps the pipe open; when it closes, also because the
//! harness is gone, the process ends in good order. What it has to say at its end is one line of JSON too.

use std::io::{BufRead, BufReader, Read as _, Write};
use std::num::NonZeroU32;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use orderflow_producers::Stop;
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::TopicNames;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::inventory::{self, Tuning};
use super::process::{self, Usage};
use super::store::Place;
use super::workload::Workload;
use super::{Error, Options, limits, producing, raw};

/// How long a process may take to end after it was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Job {
    /// From one topic to another, with nothing but rdkafka.
    RawRelay {
        source: String,
        target: String,
        group: String,
    },
    /// Our inventory.
    Inventory {
        names: TopicNames,
        group: String,
        place: Place,
        tuning: Tuning,
    },
    /// Orders into a topic, with nothing but rdkafka.
    RawProducer(Production),
    /// Orders into a topic, as `order emit` does; as fast as they go in where no rate is given.
    Emit {
        production: Production,
        rate: Option<NonZeroU32>,
    },
    /// The real file's orders into a topic, as `order import` does.
    Import { topic: String },
}

/// Orders to be put in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Production {
    pub(super) topic: String,
    pub(super) workload: Workload,
    pub(super) orders: u64,
    pub(super) seed: u64,
}

/// What a process says at its end.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Said {
    /// From the first record to the last acknowledgement; zero where the harness looks itself.
    pub(super) elapsed: Duration,
    /// CPU meanwhile.
    pub(super) cpu: Duration,
    /// Most memory it had resident, KiB.
    pub(super) peak_kib: u64,
}

impl Job {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::RawRelay { .. } => "raw relay",
            Self::Inventory { .. } => "inventory",
            Self::RawProducer(_) => "raw producer",
            Self::Emit { .. } => "emit",
            Self::Import { .. } => "import",
        }
    }
}

/// With everything the process needs.
#[derive(Serialize, Deserialize)]
struct Order {
    brokers: String,
    properties: std::collections::BTreeMap<String, String>,
    job: Job,
}

/// The harness' side of a process.
pub(super) struct Child {
    job: &'static str,
    process: std::process::Child,
}

impl Child {
    /// Starts a process.
    pub(super) fn start(options: &Options, connection: &Connection, job: Job) -> Result<Self, Error> {
        let name = job.name();
        let failed = |cause: String| Error::Child { job: name, cause };
        let [program, arguments @ ..] = &*options.child else {
            return Err(failed("no program is named that runs it".to_owned()));
        };
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("{} does not start: {error}", program.display())))?;
        let order = Order {
            brokers: connection.brokers.clone(),
            properties: connection.properties.clone(),
            job,
        };
        let mut line = serde_json::to_vec(&order).map_err(|error| failed(error.to_string()))?;
        line.push(b'\n');
        let stdin = process.stdin.as_mut();
        stdin
            .map_or(Ok(()), |stdin| stdin.write_all(&line))
            .map_err(|error| failed(format!("telling it what to do: {error}")))?;
        Ok(Self { job: name, process })
    }

    pub(super) const fn job(&self) -> &'static str {
        self.job
    }

    /// What it has cost so far.
    pub(super) fn usage(&self) -> Usage {
        process::usage(self.process.id()).unwrap_or_default()
    }

    /// Fails when it has ended.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(format!("ended early, {status}"))),
            Err(error) => Err(self.failed(error.to_string())),
        }
    }

    /// Waits until it has done its job by itself.
    pub(super) fn finish(mut self) -> Result<Said, Error> {
        self.said()
    }

    /// Asks it to end, and does not wait.
    pub(super) fn ask_to_end(&mut self) {
        drop(self.process.stdin.take());
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(mut self) -> Result<Said, Error> {
        self.ask_to_end();
        let until = Instant::now() + ENDS_WITHIN;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > until {
                return Err(self.failed(format!("does not end within {} s", ENDS_WITHIN.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.said()
    }

    fn said(&mut self) -> Result<Said, Error> {
        let mut said = String::new();
        if let Some(stdout) = &mut self.process.stdout {
            let read = stdout.read_to_string(&mut said);
            read.map_err(|error| self.failed(error.to_string()))?;
        }
        let status = self.process.wait().map_err(|error| self.failed(error.to_string()))?;
        if !status.success() {
            return Err(self.failed(format!("ended with {status}")));
        }
        serde_json::from_str(&said).map_err(|error| self.failed(format!("said {said:?}: {error}")))
    }

    fn failed(&self, cause: String) -> Error {
        Error::Child { job: self.job, cause }
    }
}

impl Drop for Child {
    /// One that is still there is of no use to anybody.
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _gone = self.process.kill();
            let _reaped = self.process.wait();
        }
    }
}

/// Does what the line on standard input says, until that is done or the input ends; says on standard output how it went.
///
/// # Errors
///
/// Whatever keeps it from its job.
pub fn serve() -> Result<(), Error> {
    let mut input = BufReader::new(std::io::stdin());
    let mut line = String::new();
    input.read_line(&mut line).map_err(Error::io("reading what to do"))?;
    let order: Order = serde_json::from_str(&line).map_err(|error| Error::Child {
        job: "reading what to do",
        cause: error.to_string(),
    })?;
    let connection = Connection {
        brokers: order.brokers,
        properties: order.properties,
        tokens: None,
    };
    let (stop, ended) = at_end_of(input);
    let said = work(&connection, &order.job, &stop, ended)?;
    let line = serde_json::to_string(&said).unwrap_or_default();
    writeln!(std::io::stdout(), "{line}").map_err(Error::io("saying how it went"))
}

fn work(connection: &Connection, job: &Job, stop: &Stop, ended: oneshot::Receiver<()>) -> Result<Said, Error> {
    match job {
        Job::RawRelay { source, target, group } => {
            raw::relay(connection, (source, target), group, stop).map(|()| Said::default())
        }
        Job::Inventory {
            names,
            group,
            place,
            tuning,
        } => inventory::run(connection, (names, group), (place, *tuning), ended).map(|()| Said::default()),
        Job::RawProducer(production) => raw::produce(connection, production),
        Job::Emit { production, rate } => producing::emit(connection, production, *rate, stop),
        Job::Import { topic } => limits::import(connection, topic, stop),
    }
}

/// What tells that the input has ended, to those who ask and to those who wait.
fn at_end_of(mut input: impl BufRead + Send + 'static) -> (Stop, oneshot::Receiver<()>) {
    let stop = Stop::default();
    let (tell, ended) = oneshot::channel();
    let asked = stop.clone();
    std::thread::spawn(move || {
        let _closed = std::io::copy(&mut input, &mut std::io::sink());
        asked.request();
        let _nobody_waits = tell.send(());
    });
    (stop, ended)
}
