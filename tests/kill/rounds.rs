//! One death after another on the same data: a daemon dies at a crash point, comes back, and the audit is clean.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::support::process::Daemon;
use super::support::seed::Dice;
use super::visitor::Visitor;
use super::waves::{Sums, Waves};
use super::world::{Life, SERVICES, World};

/// How long a daemon may take to reach its point once there is something to do.
const REACHED: Duration = Duration::from_secs(20);

/// How long a wave may take to bring a daemon to its point before the next one is sent.
const NEXT_WAVE: Duration = Duration::from_millis(1_500);

/// Waves of a counting run; what is drawn lies within what it counted.
const COUNTED_WAVES: usize = 2;

/// Most waves to bring a daemon to a drawn passing.
const MOST_WAVES: usize = 6 * COUNTED_WAVES;

/// SIGABRT: how `abort` ends a process.
const ABORTED: i32 = 6;

/// Which passing of a point is the last thing a daemon does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Its first, with records waiting when it starts.
    First,
    /// A drawn one, while records come in.
    Drawn,
    /// The first one after everything was sent: nothing comes later that would push along what got stuck.
    AfterInput,
}

/// What makes a daemon pass points that records do not bring it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nudge {
    None,
    Visit,
    Terminate,
}

/// Dies at each of the points, in every service that passes it, at every [`Moment`].
///
/// # Panics
/// When a point is never reached, a daemon does not die there or does not come back, or the audit finds something.
pub(crate) fn die_at_each(world: World, points: &[&'static str], seed: u64) {
    let mut rounds = Rounds {
        world,
        waves: Waves::new(seed),
        dice: Dice::new(!seed),
        counted: BTreeMap::new(),
    };
    rounds.count(points);
    for point in points {
        for moment in [Moment::First, Moment::Drawn, Moment::AfterInput] {
            rounds.round(point, moment);
        }
    }
}

struct Rounds {
    world: World,
    waves: Waves,
    dice: Dice,
    /// How often each service passes each point, at least.
    counted: BTreeMap<(&'static str, String), u64>,
}

impl Rounds {
    /// Nobody dies: which points there are for whom.
    fn count(&mut self, points: &[&str]) {
        let mut daemons = SERVICES.map(|service| self.world.run(service, Life::Counted));
        for _ in 0..COUNTED_WAVES {
            self.send();
            for (service, daemon) in SERVICES.iter().zip(&mut daemons) {
                Visitor::call(self.world.brokers(), service, daemon);
            }
        }
        self.finish("counting", daemons.into());
        for service in SERVICES {
            for (point, count) in self.world.counted(service) {
                let most = self.counted.entry((service, point)).or_default();
                *most = count.max(*most);
            }
        }
        eprintln!("counted: {:?}", self.counted);
        for point in points {
            assert!(
                !self.who_passes(point).is_empty(),
                "{point} is never reached: {:?}",
                self.counted
            );
        }
    }

    fn round(&mut self, point: &'static str, moment: Moment) {
        let what = format!("{point}, {moment:?}");
        let began = Instant::now();
        let dying = self.who_passes(point);
        let daemons = match moment {
            Moment::First => self.die_first(point, &dying),
            Moment::Drawn => self.die_drawn(point, &dying),
            Moment::AfterInput => self.die_after_input(point, &dying),
        };
        let died = began.elapsed();
        let mut lives = Vec::new();
        for (service, mut daemon) in SERVICES.into_iter().zip(daemons) {
            if dying.contains(&service) {
                died_at(point, &mut daemon, &what);
                daemon = self.world.run(service, Life::Unharmed);
            }
            lives.push(daemon);
        }
        self.finish(&what, lives);
        eprintln!(
            "{what}: {dying:?} died after {died:?}, audited after {:?}",
            began.elapsed()
        );
    }

    fn die_first(&mut self, point: &'static str, dying: &[&'static str]) -> Vec<Daemon> {
        self.send();
        let mut daemons = self.start(dying, |_| Life::Doomed(point, 1));
        for (service, daemon) in chosen(&mut daemons, dying) {
            self.nudge(nudge(point, Moment::First), service, daemon);
        }
        daemons
    }

    fn die_drawn(&mut self, point: &'static str, dying: &[&'static str]) -> Vec<Daemon> {
        let drawn: BTreeMap<_, _> = dying
            .iter()
            .map(|service| (*service, self.draw(service, point)))
            .collect();
        eprintln!("{point}: {drawn:?}");
        let mut daemons = self.start(dying, |service| Life::Doomed(point, drawn[service]));
        for _ in 0..MOST_WAVES {
            self.send();
            for (service, daemon) in chosen(&mut daemons, dying) {
                self.nudge(nudge(point, Moment::Drawn), service, daemon);
            }
            if all_dead(&mut daemons, dying, NEXT_WAVE) {
                break;
            }
        }
        daemons
    }

    /// The daemons are stopped while the last wave is sent, so that they find all of it.
    fn die_after_input(&mut self, point: &'static str, dying: &[&'static str]) -> Vec<Daemon> {
        let mut daemons = self.start(dying, |_| Life::DoomedLater(point));
        for daemon in &mut daemons {
            daemon.wait_for_log("assigned", REACHED);
        }
        self.send();
        for (_, daemon) in chosen(&mut daemons, dying) {
            daemon.signal(Signal::STOP);
        }
        self.send();
        self.world.release();
        for (_, daemon) in chosen(&mut daemons, dying) {
            daemon.signal(Signal::CONT);
        }
        for (service, daemon) in chosen(&mut daemons, dying) {
            self.nudge(nudge(point, Moment::AfterInput), service, daemon);
        }
        daemons
    }

    /// Starts all services, those that are to die with the life they are to have.
    fn start(&self, dying: &[&str], life: impl Fn(&str) -> Life) -> Vec<Daemon> {
        let start = |service| {
            let life = if dying.contains(&service) {
                life(service)
            } else {
                Life::Unharmed
            };
            self.world.run(service, life)
        };
        SERVICES.into_iter().map(start).collect()
    }

    fn nudge(&self, nudge: Nudge, service: &str, daemon: &mut Daemon) {
        match nudge {
            Nudge::None => {}
            Nudge::Visit => Visitor::call(self.world.brokers(), service, daemon),
            Nudge::Terminate => {
                daemon.wait_for_log("assigned", REACHED);
                daemon.signal(Signal::TERM);
            }
        }
    }

    /// Audits the living and ends them.
    fn finish(&self, what: &str, daemons: Vec<Daemon>) {
        let report = self.world.audit(what);
        assert_eq!(Sums::of(&report), self.waves.sums(), "{what}");
        World::stop(daemons);
    }

    fn send(&mut self) {
        self.waves.send(self.world.brokers());
    }

    /// The services that pass a point.
    fn who_passes(&self, point: &str) -> Vec<&'static str> {
        let passes = |service: &&str| self.counted.contains_key(&(*service, point.to_owned()));
        SERVICES.into_iter().filter(passes).collect()
    }

    /// Later than the first passing, where there is one.
    fn draw(&mut self, service: &'static str, point: &str) -> u64 {
        let most = self.counted[&(service, point.to_owned())];
        let later = usize::try_from(most.saturating_sub(1)).expect("a small number").max(1);
        let drawn = 2 + u64::try_from(self.dice.below(later)).expect("a small number");
        drawn.min(most)
    }
}

/// What brings a daemon to a point once its records do not. A drain has two causes, and each has its turn.
fn nudge(point: &str, moment: Moment) -> Nudge {
    match (point, moment) {
        ("drain.after", Moment::First | Moment::AfterInput) => Nudge::Terminate,
        ("revoke.before", _)
        | ("drain.after", Moment::Drawn)
        | ("claim.before" | "claim.after" | "assign.after", Moment::Drawn | Moment::AfterInput) => Nudge::Visit,
        _ => Nudge::None,
    }
}

/// The services named in `among`, each with its daemon.
fn chosen<'a>(daemons: &'a mut [Daemon], among: &'a [&str]) -> impl Iterator<Item = (&'static str, &'a mut Daemon)> {
    SERVICES
        .into_iter()
        .zip(daemons)
        .filter(move |(service, _)| among.contains(service))
}

fn all_dead(daemons: &mut [Daemon], dying: &[&str], within: Duration) -> bool {
    let deadline = Instant::now() + within;
    loop {
        let dead = chosen(daemons, dying).all(|(_, daemon)| !daemon.is_running());
        if dead || Instant::now() >= deadline {
            return dead;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn died_at(point: &str, daemon: &mut Daemon, what: &str) {
    let status = daemon.wait(REACHED);
    let log = daemon.log();
    assert_eq!(status.signal(), Some(ABORTED), "{what}: {status}\n{log}");
    assert!(
        log.contains(&format!("crash point {point}\n")),
        "{what}: it died elsewhere\n{log}"
    );
}
