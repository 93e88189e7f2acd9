//! How fast made-up orders are put in.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use orderflow_producers::Stop;
use orderflow_producers::emit::Rate;
use orderflow_runtime::kafka::Connection;

use super::child::{Child, Job, Production, Said};
use super::ground::{Ground, PARTITIONS};
use super::process::Usage;
use super::report::{Beside, Better, Figure, Target};
use super::watch::{Watch, float};
use super::{Bench, Error, Side, load, process};

impl Bench<'_> {
    pub(super) fn producing(&mut self) -> Result<(), Error> {
        let workload = self.made_up();
        self.tell(&format!("producing, {workload}"));
        let ground = Ground::make(self.connection, "producing", PARTITIONS)?;
        let (mut raw, mut ours) = (Vec::new(), Vec::new());
        for round in 0..self.options.rounds {
            for side in Self::order(round) {
                let production = Production {
                    topic: ground.orders().to_owned(),
                    workload: workload.clone(),
                    orders: self.options.orders,
                    seed: round.into(),
                };
                let (job, said) = match side {
                    Side::Raw => (Job::RawProducer(production), &mut raw),
                    Side::Ours => {
                        let rate = None;
                        (Job::Emit { production, rate }, &mut ours)
                    }
                };
                let done = self.produced(&ground, job)?;
                said.push(done);
                self.tell(&format!(
                    "  round {}, {side:?}: {:.0} orders/s",
                    round + 1,
                    self.rate(&done)
                ));
            }
        }
        self.figures.extend(self.figures_of(&raw, &ours));
        Ok(())
    }

    fn produced(&mut self, ground: &Ground, job: Job) -> Result<Said, Error> {
        let name = job.name();
        let watch = Watch::new(self.connection, ground.orders(), ground.partitions)?;
        let said = Child::start(self.options, self.connection, job)?.finish()?;
        let (found, expected) = (watch.count()?, self.options.orders);
        if found == expected {
            return Ok(said);
        }
        Err(Error::Wrong {
            job: name,
            problem: format!("{found} records of {expected} orders"),
        })
    }

    fn rate(&self, said: &Said) -> f64 {
        float(self.options.orders) / said.elapsed.as_secs_f64()
    }

    fn figures_of(&self, raw: &[Said], ours: &[Said]) -> [Figure; 2] {
        let cpu = |said: &Said| said.cpu.as_secs_f64() * 1e6 / float(self.options.orders);
        let figure = |name: &str, unit, better, target, of: &dyn Fn(&Said) -> f64| Figure {
            name: name.to_owned(),
            unit,
            better,
            beside: Beside::Raw,
            theirs: raw.iter().map(of).collect(),
            ours: ours.iter().map(of).collect(),
            target,
        };
        let target = Target { must: 0.85, aim: 0.97 };
        [
            figure(
                "order emit --rate max",
                "orders/s",
                Better::More,
                Some(target),
                &|said| self.rate(said),
            ),
            figure("CPU per order emitted", "µs", Better::Less, None, &cpu),
        ]
    }
}

/// As `order emit` does.
pub(super) fn emit(
    connection: &Connection,
    production: &Production,
    rate: Option<NonZeroU32>,
    stop: &Stop,
) -> Result<Said, Error> {
    let Production {
        topic,
        workload,
        orders,
        seed,
    } = production;
    let mut options = load::emission(topic, workload, *orders, *seed)?;
    options.rate = rate.map_or(Rate::Max, Rate::PerSecond);
    let clock = Clock::start();
    let report = orderflow_producers::emit::emit(connection, &options, stop, &mut |_| {});
    let report = report.map_err(|error| Error::Load {
        topic: topic.clone(),
        cause: error.to_string(),
    })?;
    Ok(Said {
        elapsed: report.elapsed,
        ..clock.stop()
    })
}

/// Time and CPU of this process from here on.
pub(super) struct Clock {
    began: Instant,
    cpu: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: usage().cpu,
        }
    }

    pub(super) fn stop(&self) -> Said {
        let usage = usage();
        Said {
            elapsed: self.began.elapsed(),
            cpu: usage.cpu.saturating_sub(self.cpu),
            peak_kib: usage.peak_kib,
        }
    }
}

fn usage() -> Usage {
    process::usage(std::process::id()).unwrap_or_default()
}
