//! Places the orders of a file: invoice lines as CSV, or events as NDJSON, gzipped or not.
//!
//! One pass, in memory that does not grow with the file. Every line is counted under exactly one [`Reason`], and every
//! byte of an order follows from the file and the options, so that a file imported twice places every order once and an
//! interrupted import is completed by repeating it. The rules are in `docs/importing.md`.

mod awaited;
pub(crate) mod csv;
mod error;
mod input;
mod invoices;
mod lines;
mod ndjson;
mod report;
mod retail;
mod seen;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use orderflow_domain::order::{MAX_ID_BYTES, MAX_PAYMENT_TOKEN_BYTES, check_text};
use orderflow_domain::{OrderPlaced, ProductId};
use orderflow_runtime::kafka::Connection;

use crate::sink::{Sink, SinkError, SinkOptions};
use crate::{Progress, Stop, Watch};

pub use error::{ImportError, ImportFailed};
pub use input::Input;
pub use report::{Count, ImportReport, Problem, Reason};

/// How a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// What the file holds; `None` finds out from its first byte: `{` is NDJSON.
    pub format: Option<Format>,
    /// Whose invoice numbers these are. Together with the number it makes the order's identity, so it must not follow
    /// from the file's name.
    pub source: String,
    /// What the payment gateway is to charge for each order of a CSV.
    pub payment_token: String,
    /// Stop after this many orders.
    pub limit: Option<u64>,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Invoice lines of the online retailer's data set.
    Csv,
    /// One event or record a line, as `topics tail` prints them.
    Ndjson,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            format: None,
            source: "online-retail".to_owned(),
            payment_token: "tok_ok".to_owned(),
            limit: None,
        }
    }
}

/// Takes an order that was read; an error ends the reading.
pub type Each<'a> = &'a mut dyn FnMut(&OrderPlaced) -> Result<(), SinkError>;

/// Reads the orders of a file and gives each to `each`, without any broker.
///
/// # Errors
///
/// A file that cannot be read or is not what it should be, or the first error of `each`; with what was counted before.
pub fn read(input: Input, options: &ImportOptions, stop: &Stop, each: Each<'_>) -> Result<ImportReport, ImportFailed> {
    let mut report = ImportReport {
        file: input.name(),
        ..ImportReport::default()
    };
    let outcome = check(options)
        .and_then(|()| input.open(options.format))
        .and_then(|opened| match opened.format {
            Format::Csv => retail::read(opened, options, stop, each, &mut report),
            Format::Ndjson => ndjson::read(opened, options, stop, each, &mut report),
        });
    match outcome {
        Err(ImportError::Open { cause, .. } | ImportError::Read { cause, .. }) if awaited::is_stop(&cause) => {
            report.stopped = true;
            report.finish(Ok(()))
        }
        outcome => report.finish(outcome),
    }
}

/// Counts what importing would do.
///
/// # Errors
///
/// A file that cannot be read or is not what it should be; with what was counted before.
pub fn dry_run(
    input: Input,
    options: &ImportOptions,
    stop: &Stop,
    watch: Watch<'_>,
) -> Result<ImportReport, ImportFailed> {
    let meter = input.meter();
    let mut clock = Clock::start();
    read(input, options, stop, &mut |_| {
        clock.tell(watch, || Progress {
            done: meter.read(),
            of: meter.size(),
            sent: 0,
            acknowledged: 0,
        });
        Ok(())
    })
}

/// How an import is sent: fewer records in flight than a load, since its orders are longer and its memory is bounded.
#[must_use]
pub fn sink_options(topic: impl Into<String>) -> SinkOptions {
    SinkOptions {
        in_flight: 8_000,
        ..SinkOptions::stream(topic)
    }
}

/// Places the orders of a file and waits until all are acknowledged.
///
/// # Errors
///
/// See [`read`], and whatever happens to the sending; with what was counted before. Placing again what was placed is
/// harmless: it is the same event.
pub fn import(
    connection: &Connection,
    sink: SinkOptions,
    input: Input,
    options: &ImportOptions,
    stop: &Stop,
    watch: Watch<'_>,
) -> Result<ImportReport, ImportFailed> {
    let began = Instant::now();
    let meter = input.meter();
    let mut sink = Sink::open(connection, sink, stop).map_err(ImportFailed::from)?;
    let mut clock = Clock::start();
    let read = read(input, options, stop, &mut |order| {
        clock.tell(watch, || {
            let tally = sink.tally();
            Progress {
                done: meter.read(),
                of: meter.size(),
                sent: tally.sent,
                acknowledged: tally.acknowledged,
            }
        });
        sink.send(order)
    });
    // What was sent before a failure is still worth waiting for.
    let finished = sink.finish();
    let (mut report, cause) = match read {
        Ok(report) => (report, finished.err().map(ImportError::Sink)),
        Err(failed) => (*failed.report, Some(failed.cause)),
    };
    report.tally = sink.tally();
    report.positions = sink.positions();
    report.elapsed = began.elapsed();
    match cause {
        Some(ImportError::Sink(SinkError::Stopped)) => {
            report.stopped = true;
            Ok(report)
        }
        Some(cause) => Err(ImportFailed {
            cause,
            report: Box::new(report),
        }),
        None => Ok(report),
    }
}

/// Units of every product that the orders of a file ask for, in order of product id: the stock that fulfils them all.
///
/// # Errors
///
/// See [`read`].
pub fn demand(input: Input, options: &ImportOptions) -> Result<BTreeMap<ProductId, i64>, ImportFailed> {
    let mut demand = BTreeMap::new();
    read(input, options, &Stop::default(), &mut |order| {
        for item in &order.items {
            let units = demand.entry(item.product_id.clone()).or_insert(0_i64);
            *units = units.saturating_add(item.quantity);
        }
        Ok(())
    })?;
    Ok(demand)
}

/// What every order would break is refused once, before the first.
fn check(options: &ImportOptions) -> Result<(), ImportError> {
    check_text("source", &options.source, MAX_ID_BYTES)
        .and_then(|()| check_text("payment_token", &options.payment_token, MAX_PAYMENT_TOKEN_BYTES))
        .map_err(ImportError::Option)
}

/// Keeps a watch from being told too often.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn tell(&mut self, watch: &mut dyn FnMut(Progress), progress: impl FnOnce() -> Progress) {
        const TELL_EVERY: Duration = Duration::from_millis(200);
        if self.0.elapsed() >= TELL_EVERY {
            self.0 = Instant::now();
            watch(progress());
        }
    }
}
