//! The thread that owns the client: takes commands, gives rows, collects acknowledgements, replaces the client.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use crate::observer::Observer;

use super::ledger::{Ledger, Room};
use super::refusal::Refusal;
use super::session::{NotTaken, QUEUED_KIBIBYTES, QUEUED_RECORDS, Recipe, Returned, Session};
use super::{Command, Failure};

/// How the thread paces itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// Nothing acknowledged for so long, with something to acknowledge, and the client is replaced. Well above the 10 s
    /// that a client needs at least to find its brokers and get its producer id; replacing it repeats what it had, so it
    /// is not done for a broker that restarts.
    pub(super) stall: Duration,
    /// Pause before a client is replaced for the first time in a row, doubled each time.
    pub(super) shortest_pause: Duration,
    /// The pause no longer grows from here.
    pub(super) longest_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            stall: Duration::from_mins(1),
            shortest_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
        }
    }
}

/// How often acknowledgements are looked for while there are any to come. New rows do not wait for it.
const TICK: Duration = Duration::from_millis(1);

/// How often a client with nothing to do is asked for errors and for tokens to be renewed.
const IDLE: Duration = Duration::from_millis(100);

/// Least time between two complaints of the same client: librdkafka has one per attempt to connect.
const TROUBLE: Duration = Duration::from_secs(10);

pub(super) struct Worker {
    recipe: Recipe,
    commands: Receiver<Command>,
    observer: Arc<dyn Observer>,
    failure: Failure,
    timing: Timing,
    ledger: Ledger,
    client: Client,
    /// Clients in a row that had nothing acknowledged before they failed.
    futile: u32,
    /// When something was acknowledged last, or could have been for the first time.
    progress: Instant,
    trouble: Option<Instant>,
    stop: Option<Stop>,
}

enum Client {
    Open(Session),
    /// Replaced when there is something to publish, not before this time.
    Closed(Instant),
}

struct Stop {
    until: Instant,
    /// Dropped at the end, which is what the stopping threads wait for.
    waiting: Vec<SyncSender<()>>,
}

/// Why the client is replaced.
enum Fault {
    /// It is of no more use, or made no progress.
    Client(String),
    /// It refused a fact.
    Refusal(Refusal),
}

impl Worker {
    pub(super) fn new(
        recipe: Recipe,
        session: Session,
        commands: Receiver<Command>,
        (observer, failure): (Arc<dyn Observer>, Failure),
        timing: Timing,
    ) -> Self {
        Self {
            recipe,
            commands,
            observer,
            failure,
            timing,
            ledger: Ledger::new(Room {
                rows: QUEUED_RECORDS,
                bytes: QUEUED_KIBIBYTES << 10,
            }),
            client: Client::Open(session),
            futile: 0,
            progress: Instant::now(),
            trouble: None,
            stop: None,
        }
    }

    /// Runs until it is stopped, or until nobody is left to publish for.
    pub(super) fn run(mut self) {
        let alarm = Alarm(self.failure.clone());
        while self.commands() && !self.is_done() {
            if let Err(fault) = self.publish() {
                self.replace(&fault);
            }
        }
        if let Client::Open(session) = self.client.take(Instant::now()) {
            let returned = session.close();
            self.note(returned).unwrap_or_default();
        }
        drop(alarm);
    }

    /// One round: open a client if one is needed, give it what waits, collect what came back.
    fn publish(&mut self) -> Result<(), Fault> {
        self.reopen();
        if self.give()? {
            // Not a poll with a wait: that one spins for its last millisecond.
            std::thread::sleep(TICK);
        }
        let Client::Open(session) = &self.client else {
            return Ok(());
        };
        let returned = session.collect();
        self.note(returned)?;
        self.check_stall()
    }

    /// Takes every command there is; waits for one if there is nothing better to do. `false` when all lanes and handles
    /// of the relay are gone.
    fn commands(&mut self) -> bool {
        match self.commands.recv_timeout(self.pause()) {
            Ok(command) => self.command(command),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        while let Ok(command) = self.commands.try_recv() {
            self.command(command);
        }
        true
    }

    fn pause(&self) -> Duration {
        match &self.client {
            Client::Open(_) if self.ledger.is_waiting() && !self.failure.is_set() => Duration::ZERO,
            Client::Open(session) if session.is_busy() => TICK,
            Client::Closed(until) if self.ledger.is_waiting() && !self.failure.is_set() => {
                until.saturating_duration_since(Instant::now()).min(IDLE)
            }
            _ => IDLE,
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Open {
                lane,
                ownership,
                first,
                progress,
            } => self.ledger.open(lane, ownership, first, progress),
            Command::Submit { lane, ownership, rows } => {
                if self.ledger.is_empty() {
                    self.progress = Instant::now();
                }
                self.ledger.submit(lane, ownership, rows);
            }
            Command::Close { lane, ownership } => {
                self.ledger.close(lane, ownership);
            }
            Command::Fenced { lane, ownership } => {
                if self.ledger.close(lane, ownership) {
                    self.discard(&format!("lane {lane} is another owner's"), Duration::ZERO);
                }
            }
            Command::Stop { until, ended } => {
                let stop = self.stop.get_or_insert(Stop {
                    until,
                    waiting: Vec::new(),
                });
                stop.until = stop.until.min(until);
                stop.waiting.push(ended);
            }
        }
    }

    fn is_done(&self) -> bool {
        let over = |stop: &Stop| self.ledger.is_empty() || self.failure.is_set() || stop.until <= Instant::now();
        self.stop.as_ref().is_some_and(over)
    }

    fn reopen(&mut self) {
        let due = matches!(self.client, Client::Closed(from) if from <= Instant::now());
        if !due || !self.ledger.is_waiting() || self.failure.is_set() {
            return;
        }
        match Session::open(&self.recipe) {
            Ok(session) => {
                self.client = Client::Open(session);
                self.progress = Instant::now();
            }
            // The same configuration made a client before: threads or memory are short.
            Err(error) => {
                self.client = Client::Closed(Instant::now() + self.next_pause());
                self.observer.trouble(None, &error.to_string());
            }
        }
    }

    /// Gives the client what waits. `true` if it could not take all.
    fn give(&mut self) -> Result<bool, Fault> {
        let Client::Open(session) = &mut self.client else {
            return Ok(false);
        };
        if self.failure.is_set() {
            return Ok(false);
        }
        match self.ledger.offer(|lane, row| session.take(lane, row)) {
            Ok(()) => Ok(false),
            Err(NotTaken::Full) => Ok(true),
            Err(NotTaken::Broken) => Err(self.fatal()),
            Err(NotTaken::Refused(refusal)) => Err(Fault::Refusal(refusal)),
        }
    }

    /// Takes note of what a client reported.
    fn note(&mut self, returned: Returned) -> Result<(), Fault> {
        self.acknowledge(&returned);
        if let Some(trouble) = returned.trouble {
            self.complain(&trouble);
        }
        match returned.refusal {
            Some(refusal) if refusal.permanent().is_some() || !returned.fatal => Err(Fault::Refusal(refusal)),
            _ if returned.fatal => Err(self.fatal()),
            _ => Ok(()),
        }
    }

    fn acknowledge(&mut self, returned: &Returned) {
        if returned.acknowledged().next().is_some() {
            self.futile = 0;
            self.progress = Instant::now();
        }
        for (nth, (lane, sequence)) in returned.acknowledged().enumerate() {
            if nth == 1 {
                crate::crash_point!("acks.partly");
            }
            self.ledger.acknowledge(lane, sequence);
        }
        let observer = &self.observer;
        self.ledger.settle(|lane, sequence| observer.published(lane, sequence));
    }

    fn complain(&mut self, trouble: &str) {
        if self.trouble.is_none_or(|last| last.elapsed() >= TROUBLE) {
            self.trouble = Some(Instant::now());
            self.observer.trouble(None, trouble);
        }
    }

    fn fatal(&self) -> Fault {
        let Client::Open(session) = &self.client else {
            return Fault::Client("the client is closed".to_owned());
        };
        let (why, remedy) = session.fatal();
        if let Some(remedy) = remedy {
            self.failure.set(&format!("publishing is refused: {why}; {remedy}"));
        }
        Fault::Client(why)
    }

    fn check_stall(&self) -> Result<(), Fault> {
        let stalled = !self.ledger.is_empty() && !self.failure.is_set() && self.progress.elapsed() >= self.timing.stall;
        if stalled {
            let seconds = self.timing.stall.as_secs();
            return Err(Fault::Client(format!("no acknowledgement for {seconds} s")));
        }
        Ok(())
    }

    /// Ends publishing if no client can do better; else throws this one away, and the next starts every lane again.
    fn replace(&mut self, fault: &Fault) {
        let why = match fault {
            Fault::Client(why) => why.clone(),
            Fault::Refusal(refusal) => {
                self.fail_if_permanent(refusal);
                refusal.to_string()
            }
        };
        let pause = self.next_pause();
        self.discard(&why, pause);
    }

    fn fail_if_permanent(&self, refusal: &Refusal) {
        if let Some(sentence) = refusal.permanent() {
            self.failure.set(&sentence);
        }
    }

    fn discard(&mut self, why: &str, pause: Duration) {
        if let Client::Open(session) = self.client.take(Instant::now() + pause) {
            // A fatal error may overtake the refusal it stems from.
            if let Err(Fault::Refusal(refusal)) = self.note(session.close()) {
                self.fail_if_permanent(&refusal);
            }
        }
        self.ledger.restart();
        if !self.failure.is_set() {
            self.observer.republishing(why);
        }
    }

    /// Exponential, a random half of it: relays that lost the same broker do not come back at once.
    fn next_pause(&mut self) -> Duration {
        let doubled = self.timing.shortest_pause * 2_u32.saturating_pow(self.futile.min(16));
        let pause = doubled.min(self.timing.longest_pause);
        self.futile = self.futile.saturating_add(1);
        let random = RandomState::new().hash_one(self.futile) % 1_000;
        pause / 2 + pause / 2 * u32::try_from(random).unwrap_or(0) / 1_000
    }
}

impl Client {
    /// Leaves a client closed until `reopen`.
    fn take(&mut self, reopen: Instant) -> Self {
        std::mem::replace(self, Self::Closed(reopen))
    }
}

/// A relay whose thread panicked publishes nothing more, and says so.
struct Alarm(Failure);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set("the relay's thread panicked; this is a defect");
        }
    }
}
