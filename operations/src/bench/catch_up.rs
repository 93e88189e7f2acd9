//! How fast inventory works off orders that wait, and what that costs.

use std::time::{Duration, Instant};

use orderflow_runtime::kafka::Connection;
use orderflow_runtime::store::{Database, Reader};
use orderflow_schemas::Topic;

use super::child::{Child, Job};
use super::crew::Crew;
use super::ground::{Ground, PARTITIONS};
use super::inventory::Tuning;
use super::report::{Beside, Better, Figure, Limit, Target};
use super::store::{Kind, Place, Store};
use super::watch::{Chase, Watch};
use super::workload::Workload;
use super::{Bench, Error, Side, load};

/// How long inventory may take to take in the stock.
const STOCKED_WITHIN: Duration = Duration::from_mins(1);

impl Bench<'_> {
    pub(super) fn catch_up(&mut self) -> Result<(), Error> {
        let workloads = self.options.workloads.clone();
        workloads.iter().try_for_each(|workload| self.catch_up_on(workload))
    }

    fn catch_up_on(&mut self, workload: &Workload) -> Result<(), Error> {
        self.tell(&format!(
            "catch-up, {workload}: taking in stock, then {} orders",
            self.options.orders
        ));
        let ground = Ground::make(self.connection, workload.name(), PARTITIONS)?;
        let stocked = self.stocked(&ground, workload, Kind::Sqlite)?;
        let orders = self.options.orders;
        load::orders(self.connection, ground.orders(), workload, (orders, self.stop))?;
        let (mut raw, mut ours) = (Vec::new(), Vec::new());
        for round in 0..self.options.rounds {
            for side in Self::order(round) {
                let chase = match side {
                    Side::Raw => self.raw_round(&ground, round)?,
                    Side::Ours => self.our_round(&ground, &stocked)?,
                };
                self.tell(&format!("  round {}, {side:?}: {:.0} orders/s", round + 1, chase.rate));
                match side {
                    Side::Raw => raw.push(chase),
                    Side::Ours => ours.push(chase),
                }
            }
        }
        self.figures.extend(figures(workload, &raw, &ours));
        self.limits.extend(limit(workload, &ours));
        Ok(())
    }

    /// A database in which everything is in stock and no order was seen.
    pub(super) fn stocked(&mut self, ground: &Ground, workload: &Workload, kind: Kind) -> Result<Store, Error> {
        let store = Store::make(self.options, kind, &format!("{}-stocked", ground.group))?;
        let (topic, database) = (ground.names.name(Topic::Stock), store.place().database()?);
        let products = load::stock(ground, workload, self.stop)?;
        let mut child = self.start_inventory(ground, &store.place(), Tuning::default())?;
        let until = Instant::now() + STOCKED_WITHIN;
        while applied(&database, topic) < products {
            child.check()?;
            if Instant::now() > until {
                return Err(Error::Stalled {
                    job: "taking in stock",
                    found: applied(&database, topic),
                    expected: products,
                    waited: STOCKED_WITHIN,
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.end()?;
        Ok(store)
    }

    pub(super) fn start_inventory(&self, ground: &Ground, place: &Place, tuning: Tuning) -> Result<Child, Error> {
        self.start_inventory_on(&ground.connection, ground, (place, tuning))
    }

    pub(super) fn start_inventory_on(
        &self,
        connection: &Connection,
        ground: &Ground,
        (place, tuning): (&Place, Tuning),
    ) -> Result<Child, Error> {
        let job = Job::Inventory {
            names: ground.names.clone(),
            group: ground.group.clone(),
            place: place.clone(),
            tuning,
        };
        Child::start(self.options, connection, job)
    }

    /// The raw relay as a group that has read nothing yet.
    pub(super) fn start_relay(&self, ground: &Ground, group: &str) -> Result<Child, Error> {
        let job = Job::RawRelay {
            source: ground.orders().to_owned(),
            target: ground.relayed.clone(),
            group: format!("{}-{group}", ground.group),
        };
        Child::start(self.options, self.connection, job)
    }

    pub(super) fn raw_round(&mut self, ground: &Ground, round: u32) -> Result<Chase, Error> {
        let watch = Watch::new(self.connection, &ground.relayed, ground.partitions)?;
        let mut relay = Crew::one(self.start_relay(ground, &format!("relay-{round}"))?);
        let chase = watch.chase(&mut relay, self.options.orders, self.stop)?;
        relay.end()?;
        Ok(chase)
    }

    fn our_round(&mut self, ground: &Ground, stocked: &Store) -> Result<Chase, Error> {
        let store = stocked.copy(self.options, &format!("{}-round", ground.group))?;
        let watch = Watch::new(self.connection, ground.inventory(), ground.partitions)?;
        let mut inventory = Crew::one(self.start_inventory(ground, &store.place(), Tuning::default())?);
        let chase = watch.chase(&mut inventory, self.options.orders, self.stop)?;
        inventory.end()?;
        watch.check_reserved(self.options.orders)?;
        Ok(chase)
    }
}

fn figures(workload: &Workload, raw: &[Chase], ours: &[Chase]) -> Vec<Figure> {
    let figure = |name: &str, unit, better, target, of: fn(&Chase) -> f64| Figure {
        name: format!("{name}, {workload}"),
        unit,
        better,
        beside: Beside::Raw,
        theirs: raw.iter().map(of).collect(),
        ours: ours.iter().map(of).collect(),
        target,
    };
    let target = |must, aim| workload.is_made_up().then_some(Target { must, aim });
    vec![
        figure("catch-up", "orders/s", Better::More, target(0.25, 0.40), |chase| {
            chase.rate
        }),
        figure("CPU per order", "µs", Better::Less, target(3.0, 2.0), |chase| {
            chase.cpu.as_secs_f64() * 1e6
        }),
        figure("resident at most", "MiB", Better::Less, None, |chase| {
            super::watch::float(chase.peak_kib) / 1_024.0
        }),
    ]
}

/// Of the rounds the one with the most: a limit is one in every round.
fn limit(workload: &Workload, ours: &[Chase]) -> Option<Limit> {
    let most = ours.iter().map(|chase| chase.peak_kib).max()?;
    let name = format!("inventory under full load resident at most, {workload}");
    Some(Limit::new(&name, "MiB", super::watch::float(most) / 1_024.0, 96.0).aim(64.0))
}

/// Stock movements applied, as far as the database can be read by now.
fn applied(database: &Database, topic: &str) -> u64 {
    let progress = Reader::open(database).map(|reader| reader.progress());
    let Ok(Ok(progress)) = progress else {
        return 0;
    };
    let of_topic = progress.iter().filter(|partition| &*partition.topic == topic);
    of_topic.map(|partition| partition.counts.applied).sum()
}
