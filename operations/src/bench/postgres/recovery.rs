//! How long lanes stand still when the process that holds them is killed.
//!
//! Three instances share the lanes and orders come in steadily. One is killed, without a word to the group. Once what it
//! had on the wire is in, the ends of its lanes are read; the time from the kill until each of them has grown again is the
//! recovery. Then another instance joins, and the next one is killed. At the end every order must have its one fact in the
//! database.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use orderflow_producers::emit::{EmitOptions, Rate, emit};
use orderflow_producers::{SinkOptions, Stop};

use super::{APPLIED, MANY_INSTANCES, Server, UNPUBLISHED};
use crate::bench::crew::Crew;
use crate::bench::ground::{Ground, PARTITIONS};
use crate::bench::group::Group;
use crate::bench::inventory::Tuning;
use crate::bench::report::{Beside, Better, Figure, Limit};
use crate::bench::store::{Kind, Store};
use crate::bench::watch::Watch;
use crate::bench::workload::Workload;
use crate::bench::{Bench, Error, load};

/// What a killed process had on the wire is in after this; far below any session timeout, so nobody else is at work on
/// its lanes yet.
const SETTLED: Duration = Duration::from_millis(500);

/// How much longer than the session timeout a recovery is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a newcomer may take to get lanes, and the end to have all facts.
const JOINED_WITHIN: Duration = Duration::from_mins(1);

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Beyond the session timeout, in seconds.
const MUST: f64 = 5.0;
const AIM: f64 = 2.0;

/// Facts there are.
const WRITTEN: &str = "SELECT count(*) FROM outbox WHERE reason IS NULL";

/// More orders than any run emits.
const ENDLESS: u64 = 1 << 40;

/// Three instances, one of which is killed again and again.
struct Scene<'a> {
    ground: &'a Ground,
    store: &'a Store,
    tuning: Tuning,
    group: Group,
    facts: Watch,
    crew: Crew<'a>,
    /// The ids of the members' clients, in the order of the crew.
    names: Vec<String>,
    started: u32,
}

impl Bench<'_> {
    pub(in crate::bench) fn recovery(&mut self) -> Result<(), Error> {
        let (workload, kills) = (self.made_up(), self.options.kills);
        self.tell(&format!(
            "recovery, {workload}: one of {MANY_INSTANCES} killed, {kills} times"
        ));
        let ground = Ground::make(self.connection, "recovery", PARTITIONS)?;
        let store = self.stocked(&ground, &workload, Kind::Postgres)?;
        let server = self.server()?;
        let mut scene = self.scene(&ground, &store, &server)?;
        let (enough, mut took) = (Stop::default(), Vec::new());
        let sent = std::thread::scope(|scope| {
            let feeding = scope.spawn(|| feed(&ground, &workload, self.options.rate, &enough));
            let played = self.play(&mut scene, &mut took, &|| !feeding.is_finished());
            enough.request();
            let sent = feeding.join();
            // Where both failed, that no orders came is the cause.
            let sent = sent.unwrap_or_else(|_| Err(wrong("the thread that emits orders died")))?;
            played.map(|()| sent)
        })?;
        scene.finish(sent, self.stop)?;
        for took in &took {
            self.tell(&format!("  its lanes move after {:.2} s", took.as_secs_f64()));
        }
        self.figures.extend([median(&took), high(&took)]);
        self.limits.push(worst(&took, self.options.session_timeout));
        Ok(())
    }

    fn scene<'a>(&self, ground: &'a Ground, store: &'a Store, server: &'a Server) -> Result<Scene<'a>, Error> {
        let mut scene = Scene {
            ground,
            store,
            tuning: Tuning {
                session_timeout: Some(self.options.session_timeout),
                ..Tuning::default()
            },
            group: Group::new(self.connection, &ground.group)?,
            facts: Watch::new(self.connection, ground.inventory(), ground.partitions)?,
            crew: Crew::of(Vec::new(), None, Some(server)),
            names: Vec::new(),
            started: 0,
        };
        for _ in 0..MANY_INSTANCES {
            self.join(&mut scene)?;
        }
        Ok(scene)
    }

    /// Another instance, whose client bears a name of its own.
    fn join(&self, scene: &mut Scene<'_>) -> Result<(), Error> {
        scene.started += 1;
        let name = format!("member-{}", scene.started);
        let mut connection = scene.ground.connection.clone();
        connection.properties.insert("client.id".to_owned(), name.clone());
        let place = scene.store.place();
        let child = self.start_inventory_on(&connection, scene.ground, (&place, scene.tuning))?;
        scene.crew.join(child);
        scene.names.push(name);
        Ok(())
    }

    fn play(&self, scene: &mut Scene<'_>, took: &mut Vec<Duration>, is_fed: &dyn Fn() -> bool) -> Result<(), Error> {
        let goes_on = |scene: &mut Scene<'_>| {
            scene.crew.check()?;
            match (self.stop.is_requested(), is_fed()) {
                (true, _) => Err(Error::Stopped),
                (false, true) => Ok(()),
                (false, false) => Err(wrong("no orders come any more")),
            }
        };
        for round in 0..self.options.kills {
            // The oldest, the youngest, and whoever is between them.
            let victim = round as usize % MANY_INSTANCES;
            let lanes = scene.shared(victim, &goes_on)?;
            took.push(scene.kill(victim, (&lanes, self.options.session_timeout), &goes_on)?);
            self.join(scene)?;
        }
        scene.shared(0, &goes_on).map(drop)
    }
}

/// Fails when there is no sense in waiting any longer.
type GoesOn<'a> = &'a dyn Fn(&mut Scene<'_>) -> Result<(), Error>;

impl Scene<'_> {
    /// Waits until each member holds lanes and all lanes move; gives those of one member.
    fn shared(&mut self, member: usize, goes_on: GoesOn<'_>) -> Result<Vec<usize>, Error> {
        let until = Instant::now() + JOINED_WITHIN;
        loop {
            let held = self.group.lanes(self.ground.orders())?;
            let each = self
                .names
                .iter()
                .map(|name| held.iter().find(|(client, lanes)| client == name && !lanes.is_empty()));
            if held.len() == self.names.len()
                && let Some(each) = each.collect::<Option<Vec<_>>>()
            {
                let lanes = each[member]
                    .1
                    .iter()
                    .filter_map(|lane| usize::try_from(*lane).ok())
                    .collect();
                let all: Vec<usize> = (0..self.facts.from().len()).collect();
                self.moves((&all, until), goes_on)?;
                return Ok(lanes);
            }
            if Instant::now() > until {
                return Err(wrong(&format!(
                    "{held:?} is no group of {} that share the lanes",
                    self.names.len()
                )));
            }
            self.wait(goes_on)?;
        }
    }

    /// Kills a member; how long it takes until each of its lanes has moved again.
    fn kill(
        &mut self,
        member: usize,
        (lanes, session): (&[usize], Duration),
        goes_on: GoesOn<'_>,
    ) -> Result<Duration, Error> {
        let killed = Instant::now();
        self.crew.kill(member);
        self.names.remove(member);
        std::thread::sleep(SETTLED);
        self.moves((lanes, killed + session + PATIENCE), goes_on)?;
        Ok(killed.elapsed())
    }

    /// Waits until each of the lanes has more facts than now.
    fn moves(&mut self, (lanes, until): (&[usize], Instant), goes_on: GoesOn<'_>) -> Result<(), Error> {
        let before = self.facts.ends()?;
        loop {
            let now = self.facts.ends()?;
            let still: Vec<_> = lanes.iter().filter(|lane| now[**lane] <= before[**lane]).collect();
            if still.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(wrong(&format!("no facts come from lanes {still:?} any more")));
            }
            self.wait(goes_on)?;
        }
    }

    fn wait(&mut self, goes_on: GoesOn<'_>) -> Result<(), Error> {
        goes_on(self)?;
        std::thread::sleep(LOOK_EVERY);
        Ok(())
    }

    /// Every order must have its one fact. Topics may hold a fact twice after a kill; the database does not.
    fn finish(mut self, sent: u64, stop: &Stop) -> Result<(), Error> {
        self.facts
            .until(&mut self.crew, (sent, stop), |_, _| {
                Ok(self.store.number(APPLIED)? >= sent && self.store.number(UNPUBLISHED)? == 0)
            })
            .map(drop)?;
        self.crew.end()?;
        for (what, sql) in [("orders are applied", APPLIED), ("facts are written", WRITTEN)] {
            let found = self.store.number(sql)?;
            if found != sent {
                return Err(wrong(&format!("{found} {what} of {sent} orders")));
            }
        }
        Ok(())
    }
}

/// Emits orders at a rate until it is enough; says how many.
fn feed(ground: &Ground, workload: &Workload, rate: u32, enough: &Stop) -> Result<u64, Error> {
    let options = EmitOptions {
        rate: NonZeroU32::new(rate).map_or(Rate::Max, Rate::PerSecond),
        sink: SinkOptions::single(ground.orders()),
        ..load::emission(ground.orders(), workload, ENDLESS, 0)?
    };
    let emitted = emit(&ground.connection, &options, enough, &mut |_| {}).map_err(|error| Error::Load {
        topic: ground.orders().to_owned(),
        cause: error.to_string(),
    })?;
    Ok(emitted.tally.acknowledged)
}

fn wrong(problem: &str) -> Error {
    Error::Wrong {
        job: "recovery",
        problem: problem.to_owned(),
    }
}

fn median(took: &[Duration]) -> Figure {
    figure("p50", took)
}

/// The 99th percentile, and in its name whether so few were killed that it is the worst.
fn high(took: &[Duration]) -> Figure {
    let mut took = took.to_vec();
    took.sort_unstable();
    let last = took.len().saturating_sub(1);
    let at = (took.len() * 99 / 100).min(last);
    let name = if at == last { "p99, which is the worst" } else { "p99" };
    figure(name, took.get(at).map_or(&[], std::slice::from_ref))
}

fn figure(name: &str, took: &[Duration]) -> Figure {
    Figure {
        name: format!("PostgreSQL, one of {MANY_INSTANCES} killed until its lanes move, {name}"),
        unit: "s",
        better: Better::Less,
        beside: Beside::Nothing,
        theirs: Vec::new(),
        ours: took.iter().map(Duration::as_secs_f64).collect(),
        target: None,
    }
}

fn worst(took: &[Duration], session: Duration) -> Limit {
    let worst = took.iter().max().copied().unwrap_or_default();
    let name = format!(
        "PostgreSQL, one of {MANY_INSTANCES} killed until its lanes move, worst of {}",
        took.len()
    );
    let session = session.as_secs_f64();
    Limit::new(&name, "s", worst.as_secs_f64(), session + MUST).aim(session + AIM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts_and_is_held_against_the_session() {
        let took = [10, 16, 11].map(Duration::from_secs);
        assert_eq!(worst(&took, Duration::from_secs(10)).verdict(), "missed");
        assert_eq!(worst(&took, Duration::from_secs(11)).verdict(), "pass");
        assert_eq!(worst(&took, Duration::from_secs(14)).verdict(), "aim");
        assert!(median(&took).to_string().contains("| 11.00 |"), "{}", median(&took));
    }

    #[test]
    fn of_few_kills_p99_is_the_worst_and_says_so() {
        let few = high(&[10, 16, 11].map(Duration::from_secs));
        assert!(few.name.ends_with("its lanes move, p99, which is the worst"), "{few}");
        assert_eq!(few.ours, [16.0]);
        let many: Vec<_> = (1..=200).rev().map(Duration::from_secs).collect();
        let many = high(&many);
        assert!(many.name.ends_with("its lanes move, p99"), "{many}");
        assert_eq!(many.ours, [199.0]);
        assert!(high(&[]).ours.is_empty());
    }
}
