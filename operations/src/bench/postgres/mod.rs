//! Inventory on PostgreSQL: how fast it works off orders that wait, by instances, partitions and size of batches, and what
//! an order costs.

mod recovery;
mod schema;
mod server;

use std::time::Duration;

pub(super) use self::schema::Schema;
pub(super) use self::server::Server;
pub use self::server::ServerFacts;
use super::crew::{Crew, Sharing};
use super::ground::{Ground, PARTITIONS};
use super::group::Group;
use super::inventory::Tuning;
use super::report::{Beside, Better, Figure, Limit, Target};
use super::store::{Kind, Store};
use super::watch::{Chase, Watch, float};
use super::workload::Workload;
use super::{Bench, Error, load};

/// Many partitions.
const MANY_PARTITIONS: i32 = 48;

/// Many instances.
const MANY_INSTANCES: usize = 3;

/// Orders with a decision, and facts nobody has acknowledged yet.
pub(super) const APPLIED: &str = "SELECT coalesce(sum(applied), 0) FROM progress WHERE topic LIKE '%orders'";
pub(super) const UNPUBLISHED: &str = "SELECT coalesce(sum(next_out_seq - 1 - published_seq), 0) FROM lanes";

/// How inventory is run.
#[derive(Debug, Clone, Copy)]
struct Setup {
    instances: usize,
    partitions: i32,
    batch: Option<usize>,
    /// Which setup, of [`SETUPS`], it is held against beside the raw relay, and the bounds of that ratio.
    against: Option<(usize, Beside, Option<Target>)>,
}

/// The first is what all others differ from in one thing, or in two.
const SETUPS: [Setup; 6] = [
    setup(1, PARTITIONS, None, None),
    setup(
        MANY_INSTANCES,
        PARTITIONS,
        None,
        Some((0, Beside::OneInstance, Some(target(0.85, 1.0)))),
    ),
    setup(
        1,
        MANY_PARTITIONS,
        None,
        Some((0, Beside::TwelvePartitions, Some(target(0.9, 1.0)))),
    ),
    setup(
        MANY_INSTANCES,
        MANY_PARTITIONS,
        None,
        Some((2, Beside::OneInstance, Some(target(0.85, 1.0)))),
    ),
    setup(1, PARTITIONS, Some(100), Some((0, Beside::UsualBatch, None))),
    setup(1, PARTITIONS, Some(2_000), Some((0, Beside::UsualBatch, None))),
];

const fn setup(
    instances: usize,
    partitions: i32,
    batch: Option<usize>,
    against: Option<(usize, Beside, Option<Target>)>,
) -> Setup {
    Setup {
        instances,
        partitions,
        batch,
        against,
    }
}

const fn target(must: f64, aim: f64) -> Target {
    Target { must, aim }
}

impl Setup {
    fn name(&self) -> String {
        let instances = match self.instances {
            1 => "one instance".to_owned(),
            many => format!("{many} instances"),
        };
        let batch = self
            .batch
            .map_or_else(String::new, |batch| format!(", batches of {batch}"));
        format!("{instances}, {} partitions{batch}", self.partitions)
    }
}

/// What was found in a round.
#[derive(Debug, Clone, Copy)]
struct Found {
    chase: Chase,
    /// Bytes of log for one order; 0 for the relay.
    log: f64,
}

/// What the server is, before anything is measured on it.
pub(super) fn look(url: &str) -> Result<ServerFacts, Error> {
    Server::connect(url)?.facts()
}

/// Topics with their orders, and a database in which the goods are.
struct Field {
    ground: Ground,
    stocked: Store,
}

impl Bench<'_> {
    pub(super) fn postgres(&mut self) -> Result<(), Error> {
        let workloads = self.options.workloads.clone();
        workloads.iter().try_for_each(|workload| self.postgres_on(workload))
    }

    fn postgres_on(&mut self, workload: &Workload) -> Result<(), Error> {
        self.tell(&format!(
            "PostgreSQL, {workload}: taking in stock, then {} orders",
            self.options.orders
        ));
        let server = self.server()?;
        let fields = [PARTITIONS, MANY_PARTITIONS].map(|partitions| self.field(workload, partitions));
        let [few, many] = fields;
        let (few, many) = (few?, many?);
        let mut raw = Vec::new();
        let mut found = vec![Vec::new(); SETUPS.len()];
        for round in 0..self.options.rounds {
            // Who begins changes with the round.
            let first = round as usize % (SETUPS.len() + 1);
            for turn in (first..=SETUPS.len()).chain(0..first) {
                let Some(setup) = SETUPS.get(turn) else {
                    raw.push(self.raw_round(&few.ground, round)?);
                    self.told(round, "raw", &raw);
                    continue;
                };
                let field = if setup.partitions == PARTITIONS { &few } else { &many };
                found[turn].push(self.round_of(setup, field, &server)?);
                let chases: Vec<_> = found[turn].iter().map(|found| found.chase).collect();
                self.told(round, &setup.name(), &chases);
            }
        }
        self.figures.extend(figures(workload, &raw, &found));
        self.limits.extend(limit(workload, &found));
        Ok(())
    }

    fn told(&mut self, round: u32, who: &str, chases: &[Chase]) {
        if let Some(chase) = chases.last() {
            self.tell(&format!("  round {}, {who}: {:.0} orders/s", round + 1, chase.rate));
        }
    }

    fn server(&self) -> Result<Server, Error> {
        Server::connect(self.options.database.as_deref().unwrap_or_default())
    }

    fn field(&mut self, workload: &Workload, partitions: i32) -> Result<Field, Error> {
        let ground = Ground::make(
            self.connection,
            &format!("{}-{partitions}", workload.name()),
            partitions,
        )?;
        let stocked = self.stocked(&ground, workload, Kind::Postgres)?;
        let orders = (self.options.orders, self.stop);
        load::orders(self.connection, ground.orders(), workload, orders)?;
        Ok(Field { ground, stocked })
    }

    fn round_of(&mut self, setup: &Setup, field: &Field, server: &Server) -> Result<Found, Error> {
        let Field { ground, stocked } = field;
        let store = stocked.copy(self.options, &format!("{}-round", ground.group))?;
        let watch = Watch::new(self.connection, ground.inventory(), ground.partitions)?;
        let tuning = Tuning {
            batch: setup.batch,
            ..Tuning::default()
        };
        let logged = server.log_bytes()?;
        let mut crew = self.crew(ground, (&store, tuning), (setup.instances, server))?;
        let chase = watch.chase(&mut crew, self.options.orders, self.stop)?;
        let logged = server.log_bytes()? - logged;
        crew.end()?;
        watch.check_reserved(self.options.orders)?;
        Ok(Found {
            chase,
            log: float(logged) / float(self.options.orders),
        })
    }

    /// So many instances on one schema, all started at once.
    fn crew<'a>(
        &self,
        ground: &'a Ground,
        (store, tuning): (&'a Store, Tuning),
        (instances, server): (usize, &'a Server),
    ) -> Result<Crew<'a>, Error> {
        let place = store.place();
        let members = (0..instances).map(|_| self.start_inventory(ground, &place, tuning));
        let sharing = Sharing {
            group: Group::new(self.connection, &ground.group)?,
            topic: ground.orders(),
            store,
        };
        let sharing = Some(sharing).filter(|_| instances > 1);
        Ok(Crew::of(members.collect::<Result<_, _>>()?, sharing, Some(server)))
    }
}

fn figures(workload: &Workload, raw: &[Chase], found: &[Vec<Found>]) -> Vec<Figure> {
    let targeted = |target| workload.is_made_up().then_some(target);
    let mut figures = vec![relative(
        (workload, 0),
        (Beside::Raw, rates_of(raw)),
        found,
        targeted(target(0.18, 0.25)),
    )];
    for (at, setup) in SETUPS.iter().enumerate() {
        if let Some((other, beside, target)) = setup.against {
            let theirs = found[other].iter().map(|found| found.chase.rate).collect();
            figures.push(relative(
                (workload, at),
                (beside, theirs),
                found,
                target.and_then(targeted),
            ));
        }
    }
    figures.extend(costs(workload, raw, &found[0]));
    figures
}

fn rates_of(chases: &[Chase]) -> Vec<f64> {
    chases.iter().map(|chase| chase.rate).collect()
}

fn relative(
    (workload, at): (&Workload, usize),
    (beside, theirs): (Beside, Vec<f64>),
    found: &[Vec<Found>],
    target: Option<Target>,
) -> Figure {
    Figure {
        name: format!("PostgreSQL catching up, {}, {workload}", SETUPS[at].name()),
        unit: "orders/s",
        better: Better::More,
        beside,
        theirs,
        ours: found[at].iter().map(|found| found.chase.rate).collect(),
        target,
    }
}

/// What an order costs with one instance on 12 partitions.
fn costs(workload: &Workload, raw: &[Chase], ours: &[Found]) -> Vec<Figure> {
    let figure = |name: &str, unit, (beside, theirs), ours: Vec<f64>| Figure {
        name: format!("PostgreSQL, {name}, {workload}"),
        unit,
        better: Better::Less,
        beside,
        theirs,
        ours,
        target: None,
    };
    let alone = || (Beside::Nothing, Vec::new());
    let servers = ours.iter().filter_map(|found| found.chase.server).map(micros);
    let relay = raw.iter().map(|chase| micros(chase.cpu)).collect();
    let inventory = ours.iter().map(|found| micros(found.chase.cpu)).collect();
    let logs = ours.iter().map(|found| found.log).collect();
    vec![
        figure("CPU of inventory per order", "µs", (Beside::Raw, relay), inventory),
        figure("CPU of the server per order", "µs", alone(), servers.collect()),
        figure("log of the server per order", "bytes", alone(), logs),
    ]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Of the rounds and instances the one with the most, batches of the usual size.
fn limit(workload: &Workload, found: &[Vec<Found>]) -> Option<Limit> {
    let usual = SETUPS.iter().zip(found).filter(|(setup, _)| setup.batch.is_none());
    let most = usual
        .flat_map(|(_, found)| found)
        .map(|found| found.chase.peak_kib)
        .max()?;
    let name = format!("inventory on PostgreSQL resident at most, {workload}");
    Some(Limit::new(&name, "MiB", float(most) / 1_024.0, 96.0).aim(64.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rate: f64, peak_kib: u64) -> Vec<Found> {
        let chase = Chase {
            rate,
            cpu: Duration::from_micros(40),
            server: Some(Duration::from_micros(60)),
            peak_kib,
        };
        vec![Found { chase, log: 900.0 }]
    }

    #[test]
    fn each_setup_is_held_against_what_it_differs_from_in_one_thing() {
        let rates = [20.0, 18.0, 16.0, 12.0, 10.0, 30.0];
        let found: Vec<_> = rates.iter().map(|rate| found(*rate, 1)).collect();
        let raw = [Chase {
            rate: 100.0,
            ..found[0][0].chase
        }];
        let figures = figures(&Workload::Wide, &raw, &found);
        let ratios: Vec<_> = figures.iter().filter_map(Figure::ratio).collect();
        assert_eq!(ratios, [0.2, 0.9, 0.8, 0.75, 0.5, 1.5, 1.0]);
        let verdicts: Vec<_> = figures.iter().map(|figure| figure.verdict().unwrap_or("-")).collect();
        assert_eq!(verdicts, ["must", "must", "missed", "missed", "-", "-", "-", "-", "-"]);
        assert_eq!(figures[3].beside, Beside::OneInstance);
        assert!(
            figures[3].name.contains("3 instances, 48 partitions"),
            "{}",
            figures[3].name
        );
    }

    #[test]
    fn targets_speak_of_made_up_orders_only() {
        let found = vec![found(1.0, 1); SETUPS.len()];
        let figures = figures(&Workload::Real, &[found[0][0].chase], &found);
        assert!(figures.iter().all(|figure| figure.target.is_none()));
    }

    #[test]
    fn memory_is_that_of_the_largest_instance_with_usual_batches() {
        let mut each = vec![found(1.0, 70 << 10); SETUPS.len()];
        each[1] = found(1.0, 97 << 10);
        each[5] = found(1.0, 900 << 10);
        let limit = limit(&Workload::Hot, &each).expect("there were rounds");
        assert_eq!((limit.found, limit.verdict()), (97.0, "missed"));
    }
}
