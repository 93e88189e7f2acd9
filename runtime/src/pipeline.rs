//! The way of one batch, top to bottom: one transaction from its lane row to its facts.

use std::sync::Arc;

use crate::batch::Batch;
use crate::crash_point;
use crate::deciding::{Deciding, Need};
use crate::error::Halt;
use crate::handler::Handler;
use crate::lane::Desk;
use crate::made::Made;
use crate::store::{Lane, Move, Sequence, Store, StoreError, Unit};

/// A batch that is not done.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) trouble: Trouble,
    /// What was made, where the commit gave no answer: it may have happened.
    pub(crate) made: Option<Made>,
    /// Whether the trouble may come of rows that were taken not to be there.
    pub(crate) presumed: bool,
}

/// Why a batch is not done.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The database said so.
    Store(StoreError),
    /// What was decided cannot be.
    Halt(Halt),
}

impl Failed {
    /// Whether it may be otherwise when rows are looked for that were taken not to be there. Only after that is a record
    /// refused, or the lane stopped.
    pub(crate) fn may_be_presumption(&self) -> bool {
        let may_rest_on_it = matches!(
            self.trouble,
            Trouble::Halt(_) | Trouble::Store(StoreError::Stale { .. } | StoreError::Refused(_))
        );
        self.presumed && may_rest_on_it
    }
}

impl Trouble {
    /// Whether the lane would stop for it, or the batch's one record become a dead letter.
    pub(crate) fn is_verdict<E>(&self, batch: &Batch<E>) -> bool {
        match self {
            Self::Halt(_) => true,
            Self::Store(error) => matches!(error, StoreError::Refused(_)) && batch.records.len() == 1,
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Takes a batch through one transaction. What it made is durable and ready to publish when this returns.
///
/// A crash on any line leaves either nothing of the batch or all of it.
pub(crate) async fn handle<H: Handler, S: Store>(desk: &Desk<H, S>, batch: &Batch<H::Event>) -> Result<Made, Failed> {
    let mut presumed = false;
    let (mut made, unit) = match make(desk, batch, &mut presumed).await {
        Ok(whole) => whole,
        Err(trouble) => {
            let made = None;
            return Err(Failed {
                trouble,
                made,
                presumed,
            });
        }
    };
    // The largest of what was made, and the commit may take a while.
    made.writes.rows = Vec::new();
    crash_point!("tx.release");
    match unit.commit().await {
        Ok(()) => Ok(made),
        Err(error) => {
            let made = matches!(error, StoreError::Unknown(_)).then_some(made);
            let trouble = Trouble::Store(error);
            Err(Failed {
                trouble,
                made,
                presumed,
            })
        }
    }
}

/// Everything but the commit.
async fn make<H: Handler, S: Store>(
    desk: &Desk<H, S>,
    batch: &Batch<H::Event>,
    presumed: &mut bool,
) -> Result<(Made, S::Unit), Trouble> {
    let published = desk.acknowledged();
    let mut unit = desk.store().begin(desk.at(), published).await?;
    let made = decide(desk, batch, (&mut unit, published), presumed).await?;
    unit.write(&made.writes).await?;
    Ok((made, unit))
}

/// Positions and inbox, then rows, then decisions in order; a row that a decision turns out to need is loaded and the
/// decision asked for again.
async fn decide<H: Handler, S: Store>(
    desk: &Desk<H, S>,
    batch: &Batch<H::Event>,
    (unit, published): (&mut S::Unit, Sequence),
    presumed: &mut bool,
) -> Result<Made, Trouble> {
    let admissions = unit.admit(&moves(desk, batch), &batch.arrivals()).await?;
    let answers: Vec<_> = batch.answers.iter().map(|(_, answer)| answer.clone()).collect();
    let answered = unit.answer(&answers).await?;
    let timers: Vec<_> = batch.timers.iter().map(|timer| timer.id).collect();
    let fired = unit.fire(&timers).await?;

    let mut deciding = Deciding::new(desk, batch, (unit.next_sequence(), published));
    deciding.admitted(&admissions, &answered, &fired);
    loop {
        let need = deciding.advance();
        *presumed = deciding.has_presumed();
        match need.map_err(Trouble::Halt)? {
            Need::Rows(keys) => deciding.loaded(unit.load(&keys).await?)?,
            Need::Nothing => break,
        }
    }
    let made = deciding.finish();
    desk.judge(&made).map_err(Trouble::Halt)?;
    Ok(made)
}

fn moves<H: Handler, S: Store>(desk: &Desk<H, S>, batch: &Batch<H::Event>) -> Vec<Move> {
    let moved = batch.positions.iter().map(|(source, next)| Move {
        topic: Arc::clone(&desk.topology().source(*source).topic),
        expected: desk.position(*source),
        next: *next,
    });
    moved.collect()
}

/// The lane a [`Trouble`] is about, for its sentence.
pub(crate) fn wrong(lane: Lane, why: impl Into<String>) -> Halt {
    Halt::Decision { lane, why: why.into() }
}
