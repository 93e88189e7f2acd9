//! Deciding on a batch: each input in order, each decision seen by the next, everything written at the end.
//!
//! Synchronous from one `advance` to the next: nothing in here waits (rule 3).

use std::sync::Arc;

use crate::batch::{Arrived, Batch, Meaning, guarded, view};
use crate::decision::Decision;
use crate::error::Halt;
use crate::handler::{Answered, Cause, Fired, Handler, Reason, Refusal, derive_id};
use crate::lane::Desk;
use crate::letters;
use crate::made::{Absent, Made, Place};
use crate::pipeline::wrong;
use crate::record::Record;
use crate::rows::{Change, RowKey, Rows, StoredRow};
use crate::store::{Admission, Counts, DeadRow, Lane, Sequence, Store, StoreError};
use crate::topology::Topology;
use crate::wanted::{Needed, Wanted};

/// What deciding waits for.
#[derive(Debug)]
pub(crate) enum Need {
    /// These rows, in the order of locks.
    Rows(Vec<RowKey>),
    /// Nothing: every input is decided on.
    Nothing,
}

/// One input of a batch, by its index.
#[derive(Debug, Clone, Copy)]
enum Step {
    Answer(usize),
    Timer(usize),
    Record(usize, Option<Admission>),
}

/// A batch in the middle of being decided on.
pub(crate) struct Deciding<'a, H: Handler> {
    handler: &'a H,
    topology: &'a Topology,
    /// Largest fact that is published, bytes.
    limit: usize,
    /// Records over which the share of dead letters is judged.
    window: u64,
    lane: Lane,
    batch: &'a Batch<H::Event>,
    rows: Rows,
    steps: Vec<Step>,
    next: usize,
    hinted: bool,
    /// Whether rows that are hardly ever there are taken not to be.
    presuming: bool,
    /// Whether some were.
    presumed: bool,
    /// Where none are: those rows, in the order of locks.
    absent: Vec<RowKey>,
    counts: Vec<Counts>,
    made: Made,
}

impl<'a, H: Handler> Deciding<'a, H> {
    pub(crate) fn new<S: Store>(
        desk: &'a Desk<H, S>,
        batch: &'a Batch<H::Event>,
        sequences: (Sequence, Sequence),
    ) -> Self {
        Self {
            handler: desk.handler(),
            topology: desk.topology(),
            limit: desk.settings().record_bytes,
            window: desk.settings().flood_window,
            lane: desk.lane(),
            batch,
            rows: Rows::new(),
            steps: Vec::with_capacity(batch.records.len()),
            next: 0,
            hinted: false,
            presuming: desk.presumes(),
            presumed: false,
            absent: Vec::new(),
            counts: vec![Counts::default(); desk.topology().sources.len()],
            made: Made::new(desk.flood(), batch.attempts.clone(), sequences),
        }
    }

    /// What the transaction lets in: answers given for the first time, timers still armed, and each record with what the
    /// inbox says of it.
    pub(crate) fn admitted(&mut self, admissions: &[Admission], answered: &[bool], fired: &[bool]) {
        let taken = |taken: &[bool]| (0..taken.len()).filter(|at| taken[*at]).collect::<Vec<_>>();
        self.steps.extend(taken(answered).into_iter().map(Step::Answer));
        self.steps.extend(taken(fired).into_iter().map(Step::Timer));
        let mut admissions = admissions.iter().copied();
        for (at, arrived) in self.batch.records.iter().enumerate() {
            let admission = arrived.meaning.arrival().and_then(|_| admissions.next());
            self.steps.push(Step::Record(at, admission));
        }
    }

    /// Whether a decision may rest on rows that nobody looked for.
    pub(crate) fn has_presumed(&self) -> bool {
        self.presumed
    }

    /// Takes rows that were asked for.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: one of them was taken not to be there, and decided on.
    pub(crate) fn loaded(&mut self, rows: Vec<StoredRow>) -> Result<(), StoreError> {
        let surprising = |row: &StoredRow| row.version > 0 && self.absent.binary_search(&row.key).is_ok();
        if !self.absent.is_empty() && rows.iter().any(surprising) {
            self.made.absent = Absent::Found;
        }
        self.rows.load(rows).map_err(|entity| StoreError::Stale {
            entity: entity.to_owned(),
        })
    }

    /// Decides as far as the loaded rows reach.
    pub(crate) fn advance(&mut self) -> Result<Need, Halt> {
        if !std::mem::replace(&mut self.hinted, true) {
            let load = self.foresee();
            if !load.is_empty() {
                return Ok(Need::Rows(load));
            }
        }
        while let Some(step) = self.steps.get(self.next).copied() {
            if let Some(missed) = self.take(step)? {
                return Ok(Need::Rows(missed));
            }
            self.next += 1;
        }
        let unproved = self.rows.unproved();
        Ok(if unproved.is_empty() {
            Need::Nothing
        } else {
            Need::Rows(unproved)
        })
    }

    /// Everything that was decided, as one write.
    pub(crate) fn finish(mut self) -> Made {
        self.made.writes.rows = self.rows.changed();
        if !self.batch.records.is_empty() {
            self.made.writes.flood = Some(self.made.flood);
        }
        let sources = self.topology.sources.iter().zip(&self.counts);
        let counted = sources.filter(|(_, counts)| counts.total() > 0);
        self.made.writes.counts = counted
            .map(|(source, counts)| (Arc::clone(&source.topic), *counts))
            .collect();
        self.made
    }

    /// The rows to load before anything is decided. Those that are hardly ever there are among them only where nothing is
    /// taken for granted.
    fn foresee(&mut self) -> Vec<RowKey> {
        let Needed { mut load, absent } = self.hints();
        if absent.is_empty() {
            return load;
        }
        if self.presuming {
            self.presumed = true;
            self.rows.presume_absent(absent);
        } else {
            self.made.absent = Absent::AsExpected;
            load.extend_from_slice(&absent);
            load.sort();
            self.absent = absent;
        }
        load
    }

    /// The rows that the events of this batch are known to need.
    fn hints(&self) -> Needed {
        let mut wanted = Wanted::new(&self.rows);
        for step in &self.steps {
            // Only a hint: who panics here is asked again when it counts.
            let _hinted = guarded(|| {
                self.hint(*step, &mut wanted);
                Ok(())
            });
        }
        wanted.needed()
    }

    fn hint(&self, step: Step, wanted: &mut Wanted<'_>) {
        match step {
            Step::Answer(at) => self.handler.answer_rows(&self.answered(at), wanted),
            Step::Timer(at) => self.handler.timer_rows(&self.fired(at), wanted),
            Step::Record(at, Some(Admission::New | Admission::Redriven)) => {
                if let Meaning::Event(.., event) = &self.batch.records[at].meaning {
                    self.handler.rows(event, wanted);
                }
            }
            Step::Record(..) => {}
        }
    }

    /// Takes one input; `Some` names rows that must be loaded before it can be decided on.
    fn take(&mut self, step: Step) -> Result<Option<Vec<RowKey>>, Halt> {
        match step {
            Step::Answer(at) => self.take_answer(at),
            Step::Timer(at) => self.take_timer(at),
            Step::Record(at, admission) => self.take_record(at, admission),
        }
    }

    fn take_answer(&mut self, at: usize) -> Result<Option<Vec<RowKey>>, Halt> {
        let effect = &self.batch.answers[at].0;
        let id = derive_id(effect.caused_at, &[b"answer", effect.id.as_bytes()]);
        let mut cause = Cause::bare(id, effect.caused_at, &self.topology.group);
        cause.traceparent.clone_from(&effect.traceparent);
        let decided = guarded(|| self.handler.answer(&cause, &self.answered(at), &self.rows));
        self.settle(&cause, decided, &format!("the answer to effect {}", effect.id))
    }

    fn take_timer(&mut self, at: usize) -> Result<Option<Vec<RowKey>>, Halt> {
        let timer = &self.batch.timers[at];
        let cause = Cause::bare(timer.id, timer.due, &self.topology.group);
        let decided = guarded(|| self.handler.timer(&cause, &self.fired(at), &self.rows));
        self.settle(&cause, decided, &format!("timer {}", timer.id))
    }

    /// An answer or a timer has no dead-letter topic: what is refused of them stops the lane.
    fn settle(
        &mut self,
        cause: &Cause,
        decided: Result<Decision, Refusal>,
        what: &str,
    ) -> Result<Option<Vec<RowKey>>, Halt> {
        if let Some(missed) = self.missed(decided.as_ref().ok())? {
            return Ok(Some(missed));
        }
        let decision = decided.map_err(|refusal| wrong(self.lane, format!("{what} is refused: {}", refusal.detail)))?;
        self.apply(cause, decision)?;
        Ok(None)
    }

    fn take_record(&mut self, at: usize, admission: Option<Admission>) -> Result<Option<Vec<RowKey>>, Halt> {
        let arrived = &self.batch.records[at];
        match (&arrived.meaning, admission) {
            (Meaning::Skip, _) | (_, None | Some(Admission::NotDead)) => self.count(at, |counts| &mut counts.skipped),
            (_, Some(Admission::Duplicate)) => self.count(at, |counts| &mut counts.duplicate),
            (_, Some(Admission::Conflict)) => {
                self.refuse(
                    at,
                    &Refusal::new(Reason::Conflict, "this event id was seen with other bytes"),
                );
            }
            (Meaning::Refused(_, refusal), Some(_)) => {
                self.refuse(at, refusal);
                self.bury(arrived);
            }
            (_, Some(Admission::TooOld)) => {
                self.refuse(
                    at,
                    &Refusal::new(
                        Reason::TooOld,
                        "from before the inbox horizon: it may have been handled",
                    ),
                );
                self.bury(arrived);
            }
            (Meaning::Event(_, cause, event), Some(Admission::New | Admission::Redriven)) => {
                let decided = guarded(|| self.handler.decide(cause, event, &self.rows));
                if let Some(missed) = self.missed(decided.as_ref().ok())? {
                    return Ok(Some(missed));
                }
                self.conclude(at, cause, decided)?;
            }
        }
        Ok(None)
    }

    fn conclude(&mut self, at: usize, cause: &Cause, decided: Result<Decision, Refusal>) -> Result<(), Halt> {
        match decided {
            Ok(decision) if decision.repeated => self.count(at, |counts| &mut counts.duplicate),
            Ok(decision) => {
                self.apply(cause, decision)?;
                self.count(at, |counts| &mut counts.applied);
            }
            Err(refusal) => {
                self.refuse(at, &refusal);
                self.bury(&self.batch.records[at]);
            }
        }
        Ok(())
    }

    /// Rows that the last decision read or wrote without their being loaded.
    fn missed(&self, decision: Option<&Decision>) -> Result<Option<Vec<RowKey>>, Halt> {
        if let Some(damage) = self.rows.damage() {
            return Err(Halt::Database(damage));
        }
        let mut missed = self.rows.take_missed();
        if let Some(decision) = decision {
            missed.extend(
                decision
                    .changes
                    .iter()
                    .filter(|change| !self.rows.holds(change))
                    .map(Change::row_key),
            );
        }
        missed.sort();
        missed.dedup();
        Ok((!missed.is_empty()).then_some(missed))
    }

    fn apply(&mut self, cause: &Cause, decision: Decision) -> Result<(), Halt> {
        self.rows.apply(decision.changes);
        let (topology, lane, limit) = (self.topology, self.lane, self.limit);
        let said = (decision.facts, decision.effects, decision.timers);
        self.made.add(Place { topology, lane, limit }, cause, said)
    }

    fn refuse(&mut self, at: usize, refusal: &Refusal) {
        let record = self.view(at);
        let source = self.topology.source(self.batch.records[at].record.source);
        let to = (&source.dead_letters, &*self.topology.group, self.made.writes.now);
        self.made.publish(letters::letter(&record, refusal, to));
        self.made.refused.push((at, refusal.reason, refusal.detail.clone()));
        self.count(at, |counts| &mut counts.dead);
    }

    /// The record's inbox row says `dead`, so that only the redrive topic brings it in.
    fn bury(&mut self, arrived: &Arrived<H::Event>) {
        if let Some(arrival) = arrived.meaning.arrival() {
            let (id, hash, event_time) = (arrival.id, arrival.hash, arrival.event_time);
            self.made.writes.dead.push(DeadRow { id, hash, event_time });
        }
    }

    fn count(&mut self, at: usize, what: fn(&mut Counts) -> &mut u64) {
        let counts = &mut self.counts[usize::from(self.batch.records[at].record.source)];
        let dead = counts.dead;
        *what(counts) += 1;
        let died = counts.dead > dead;
        self.made.flood.count(died, self.window);
    }

    fn answered(&self, at: usize) -> Answered<'a> {
        let (effect, answer) = &self.batch.answers[at];
        Answered {
            effect: effect.id,
            kind: &effect.kind,
            subject: &effect.subject,
            request: &effect.request,
            answer: &answer.answer,
        }
    }

    fn fired(&self, at: usize) -> Fired<'a> {
        let timer = &self.batch.timers[at];
        Fired {
            timer: timer.id,
            kind: &timer.kind,
            subject: &timer.subject,
        }
    }

    fn view(&self, at: usize) -> Record<'a> {
        view(&self.batch.records[at].record, self.topology, self.lane)
    }
}
