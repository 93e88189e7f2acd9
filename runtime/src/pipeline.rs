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

/// Why a batch is not done.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The database said so.
    Store(StoreError),
    /// What was decided cannot be.
    Halt(Halt),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Takes a batch through one transaction. What it made is durable and ready to publish when this returns.
///
/// A crash on any line leaves either nothing of the batch or all of it. `Err` with what was made means that the commit
/// gave no answer: it may have happened.
pub(crate) async fn handle<H: Handler, S: Store>(
    desk: &Desk<H, S>,
    batch: &Batch<H::Event>,
) -> Result<Made, (Option<Made>, Trouble)> {
    let nothing = |trouble: StoreError| (None, Trouble::Store(trouble));
    let published = desk.acknowledged();
    let mut unit = desk.store().begin(desk.at(), published).await.map_err(nothing)?;
    let made = decide(desk, batch, &mut unit, published)
        .await
        .map_err(|trouble| (None, trouble))?;
    unit.write(&made.writes).await.map_err(nothing)?;
    crash_point!("tx.release");
    match unit.commit().await {
        Ok(()) => Ok(made),
        Err(error @ StoreError::Unknown(_)) => Err((Some(made), error.into())),
        Err(error) => Err(nothing(error)),
    }
}

/// Positions and inbox, then rows, then decisions in order; a row that a decision turns out to need is loaded and the
/// decision asked for again.
async fn decide<H: Handler, S: Store>(
    desk: &Desk<H, S>,
    batch: &Batch<H::Event>,
    unit: &mut S::Unit,
    published: Sequence,
) -> Result<Made, Trouble> {
    let admissions = unit.admit(&moves(desk, batch), &batch.arrivals()).await?;
    let answers: Vec<_> = batch.answers.iter().map(|(_, answer)| answer.clone()).collect();
    let answered = unit.answer(&answers).await?;
    let timers: Vec<_> = batch.timers.iter().map(|timer| timer.id).collect();
    let fired = unit.fire(&timers).await?;

    let mut deciding = Deciding::new(desk, batch, (unit.next_sequence(), published));
    deciding.admitted(&admissions, &answered, &fired);
    while let Need::Rows(keys) = deciding.advance().map_err(Trouble::Halt)? {
        deciding.loaded(unit.load(&keys).await?);
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
