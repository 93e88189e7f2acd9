//! A load of made-up orders at a rate.

mod catalogue;
mod generator;
mod pace;
mod shape;

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use orderflow_domain::Timestamp;
use orderflow_runtime::kafka::Connection;
use thiserror::Error;

use crate::sink::{Latency, Position, Sink, SinkError, SinkOptions, Tally};
use crate::{Progress, Stop, Watch, fresh};

pub use generator::Generator;
pub use pace::{InvalidRate, Rate};
pub use shape::{Basket, InvalidShape, Shape, Skew};

use pace::Pace;

/// What to emit.
#[derive(Debug, Clone)]
pub struct EmitOptions {
    /// How many orders.
    pub count: NonZeroU64,
    /// How fast.
    pub rate: Rate,
    /// Makes the same choices again: ids, customers, products, everything but times. `None` draws one, which the report
    /// names.
    pub seed: Option<u64>,
    /// Placed at this time and then a millisecond after one another, instead of now. With a seed, every byte repeats.
    pub start: Option<Timestamp>,
    /// What the orders look like.
    pub shape: Shape,
    /// What emits them, as `orderflow/emit`.
    pub source: String,
    /// How to send them; the topic is in it.
    pub sink: SinkOptions,
}

/// What was emitted.
#[derive(Debug, Clone, PartialEq)]
pub struct EmitReport {
    /// The seed that makes the same choices again.
    pub seed: u64,
    /// What became of the records.
    pub tally: Tally,
    /// From the first record to the last acknowledgement.
    pub elapsed: Duration,
    /// How long acknowledgements took; `None` when there was none.
    pub latency: Option<Latency>,
    /// The last acknowledged record of every partition.
    pub positions: Vec<Position>,
    /// Whether a [`Stop`] ended it early.
    pub stopped: bool,
}

impl EmitReport {
    /// Acknowledged records per second.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn rate(&self) -> f64 {
        self.tally.acknowledged as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// Whether less than 98 % of the rate asked for was reached. What half of the acknowledgements took is left out: the
    /// last one takes as long, at any rate. A load that is meant to be over within a second misses nothing: connecting
    /// takes its share of that.
    #[must_use]
    pub fn missed(&self, asked: Rate) -> bool {
        const HELD_PERCENT: u32 = 98;
        let Rate::PerSecond(asked) = asked else {
            return false;
        };
        let due = pace::due_after(self.tally.acknowledged, asked);
        let took = self
            .elapsed
            .saturating_sub(self.latency.map(|latency| latency.p50).unwrap_or_default());
        due >= Duration::from_secs(1) && took * HELD_PERCENT > due * 100
    }
}

/// Why a load ended early; the report says how far it got.
#[derive(Debug, Error)]
pub enum EmitError {
    /// Nothing was sent: the orders cannot look like that.
    #[error(transparent)]
    Shape(#[from] InvalidShape),
    /// Nothing was sent: no topic to send to.
    #[error(transparent)]
    NotOpened(SinkError),
    /// Some was sent.
    #[error("after {} of {} records acknowledged: {cause}", .report.tally.acknowledged, .report.tally.sent)]
    Interrupted {
        /// What happened.
        cause: SinkError,
        /// What was emitted before.
        report: Box<EmitReport>,
    },
}

/// How often the watch is told.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Emits a load. Asked to stop, it waits for what is in flight and reports what was acknowledged.
///
/// # Errors
///
/// See [`EmitError`].
pub fn emit(
    connection: &Connection,
    options: &EmitOptions,
    stop: &Stop,
    watch: Watch<'_>,
) -> Result<EmitReport, EmitError> {
    let seed = options.seed.unwrap_or_else(fresh::seed);
    let generator = Generator::new(&options.shape, &options.source, seed)?;
    let sink = Sink::open(connection, options.sink.clone(), stop).map_err(EmitError::NotOpened)?;
    let mut load = Load {
        options,
        generator,
        sink,
        began: Instant::now(),
        told: Instant::now(),
    };
    let outcome = load.run(stop, watch);
    let finished = load.sink.finish();
    let report = load.report(seed, stop.is_requested());
    // What is in flight still may arrive after a request to stop; if it does not, that is worth more than the request.
    match finished.map(drop).and(outcome) {
        Ok(()) | Err(SinkError::Stopped) => Ok(report),
        Err(cause) => Err(EmitError::Interrupted {
            cause,
            report: Box::new(report),
        }),
    }
}

struct Load<'a> {
    options: &'a EmitOptions,
    generator: Generator,
    sink: Sink,
    began: Instant,
    told: Instant,
}

impl Load<'_> {
    fn run(&mut self, stop: &Stop, watch: Watch<'_>) -> Result<(), SinkError> {
        let mut order = self.generator.blank();
        let mut pace = Pace::new(self.options.rate);
        for index in 0..self.options.count.get() {
            if stop.is_requested() {
                return Err(SinkError::Stopped);
            }
            while let Some(wait) = pace.wait(|| self.began.elapsed()) {
                self.idle(wait, stop)?;
            }
            self.generator.fill(&mut order, self.placed_at(index));
            self.sink.send(&order)?;
            if index.is_multiple_of(1_024) || self.options.rate != Rate::Max {
                self.tell(watch);
            }
        }
        Ok(())
    }

    /// Waits for the next record's turn, and takes in acknowledgements meanwhile.
    fn idle(&self, wait: Duration, stop: &Stop) -> Result<(), SinkError> {
        const STEP: Duration = Duration::from_millis(1);
        self.sink.poll()?;
        std::thread::sleep(wait.min(STEP));
        if stop.is_requested() {
            Err(SinkError::Stopped)
        } else {
            Ok(())
        }
    }

    fn placed_at(&self, index: u64) -> Timestamp {
        const APART_MICROS: i64 = 1_000;
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.options.start.map_or_else(fresh::now, |start| {
            Timestamp(start.0.saturating_add(index.saturating_mul(APART_MICROS)))
        })
    }

    fn tell(&mut self, watch: &mut dyn FnMut(Progress)) {
        if self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        let Tally { sent, acknowledged, .. } = self.sink.tally();
        watch(Progress {
            done: acknowledged,
            of: Some(self.options.count.get()),
            sent,
            acknowledged,
        });
    }

    fn report(&self, seed: u64, stopped: bool) -> EmitReport {
        EmitReport {
            seed,
            tally: self.sink.tally(),
            elapsed: self.began.elapsed(),
            latency: self.sink.latency(),
            positions: self.sink.positions(),
            stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A load of which so many were acknowledged in so many milliseconds, half of them after `p50` at most.
    fn load(acknowledged: u64, elapsed: u64, p50: u64) -> EmitReport {
        let p50 = Duration::from_millis(p50);
        EmitReport {
            seed: 0,
            tally: Tally {
                sent: acknowledged,
                acknowledged,
                failed: 0,
            },
            elapsed: Duration::from_millis(elapsed),
            latency: Some(Latency {
                p50,
                p95: p50,
                p99: p50,
                max: p50,
            }),
            positions: Vec::new(),
            stopped: false,
        }
    }

    #[test]
    fn a_rate_is_missed_from_two_percent_on_however_slow_the_last_acknowledgement_is() {
        let asked: Rate = "1000".parse().expect("a rate");
        for (acknowledged, elapsed, p50, missed) in [
            (10_000, 10_200, 0, false),
            (10_000, 10_210, 0, true),
            (10_000, 10_300, 100, false),
            // Sent in time, and taken at half the rate: what waits grows, and so do its acknowledgements.
            (10_000, 20_000, 5_000, true),
            (1_000, 1_020, 0, false),
            (1_000, 1_800, 50, true),
            (999, 1_800, 50, false),
            (0, 60_000, 0, false),
        ] {
            let told = load(acknowledged, elapsed, p50).missed(asked);
            assert_eq!(told, missed, "{acknowledged} in {elapsed} ms, p50 {p50} ms");
        }
        assert!(!load(10_000, 60_000, 0).missed(Rate::Max));
    }
}
