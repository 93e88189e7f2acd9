//! Steps of the model, taken on a real database.
//!
//! Two handles do what the two instances of a trace do, in the same order, and at each step the database must say what the
//! model says: who is fenced, what is new, where the lane stands, which facts are durable. Any [`Ground`] will do.

pub(crate) mod cases;
mod values;

use std::fmt::Debug;

use orderflow_runtime::store::conformance::Ground;
use orderflow_runtime::store::{Claim, Outcome, Owner, Store, StoreError, Turn, Unit, Writes};

use self::values::{LANE, admitted, arrival, moved, outbox, progress, row, starts, writes};
use super::lane::{Action, Instance, LaneModel, Phase, State};
use super::search::{Trace, Tried as _};

/// Where a database and the model part.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The step at which they do, by the name the model gives it.
    pub(crate) step: &'static str,
    pub(crate) model: String,
    pub(crate) store: String,
}

/// One instance's hands on the database.
struct Hands<S: Store> {
    store: S,
    at: Turn,
    claim: Option<Claim>,
    unit: Option<S::Unit>,
}

/// A step as the model takes it.
struct Taken<'a> {
    model: &'a LaneModel,
    before: &'a State,
    after: &'a State,
}

/// Takes every step of a trace on a fresh database.
pub(crate) async fn replay<G: Ground>(model: &LaneModel, trace: Trace<LaneModel>) -> Result<usize, Difference> {
    let ground = G::fresh().await;
    let mut hands = [Hands::new(&ground).await, Hands::new(&ground).await];
    let steps = trace.into_vec();
    for pair in steps.windows(2) {
        let ((before, Some(action)), (after, _)) = (&pair[0], &pair[1]) else {
            break;
        };
        let taken = Taken { model, before, after };
        let step = model.name(before, action);
        let parted = |(model, store)| Difference { step, model, store };
        take(&mut hands, &taken, *action).await.map_err(parted)?;
        durable(&hands[0].store, after).await.map_err(parted)?;
    }
    let last = &steps[steps.len() - 1].0;
    let step = "(the end)";
    let parted = |(model, store)| Difference { step, model, store };
    ends(hands, last).await.map_err(parted)?;
    Ok(steps.len() - 1)
}

/// What the model says, and what the store says.
type Parted = (String, String);

fn same<T: Debug + PartialEq>(model: &T, store: &T) -> Result<(), Parted> {
    if model == store {
        return Ok(());
    }
    Err((format!("{model:?}"), format!("{store:?}")))
}

impl<S: Store> Hands<S> {
    async fn new<G: Ground<Store = S>>(ground: &G) -> Self {
        let owner = Owner { lane: LANE, epoch: 0 };
        Self {
            store: ground.handle().await,
            at: Turn { owner, turn: 0 },
            claim: None,
            unit: None,
        }
    }
}

async fn take<S: Store>(hands: &mut [Hands<S>; 2], taken: &Taken<'_>, action: Action) -> Result<(), Parted> {
    match action {
        Action::ClaimLands(i) => claim(&mut hands[i], taken, i).await,
        Action::ClaimAnswered(i) => {
            hands[i].at = hands[i].claim.take().expect("a claim that was carried out").at;
            same(&i64::from(taken.after.us[i].turn), &hands[i].at.turn)
        }
        Action::Begin(i) => begin(&mut hands[i], taken, i).await,
        Action::Admit(i) => admit(&mut hands[i], taken, i).await,
        Action::Load(i) => {
            let key = row(&[]).key;
            let found = unit(&mut hands[i]).load(&[key]).await.map(|rows| rows[0].clone());
            same(&Ok(row(&taken.before.db[0].applied)), &found)
        }
        Action::Write(i) => {
            let writes = writes(taken.model, taken.before, i);
            same(&Ok(()), &unit(&mut hands[i]).write(&writes).await)
        }
        // A unit without a batch writes nothing but how far publishing has come.
        Action::Send(i) if taken.before.us[i].batch.is_none() => {
            same(&Ok(()), &unit(&mut hands[i]).write(&Writes::default()).await)
        }
        Action::CommitLands(i) => {
            let unit = hands[i].unit.take().expect("a unit under way");
            same(&Ok(()), &unit.commit().await)
        }
        Action::Told(i) => {
            hands[i].at.turn += 1;
            Ok(())
        }
        Action::Resolve(i) => resolve(&mut hands[i], taken, i).await,
        Action::Publish(i) => publish(&hands[i].store, &taken.before.us[i]).await,
        Action::RollBack(i) | Action::Crash(i) | Action::Revoked(i) | Action::Drained(i) => {
            if !taken.after.us[i].locks() {
                hands[i].unit = None;
            }
            Ok(())
        }
        Action::Retain | Action::Backup | Action::SetBack => {
            panic!("{action:?} is not replayed: a clock cannot be set, nor a database put back")
        }
        // Inside a process, at Kafka, or on the way: nothing that a database could say anything of.
        Action::Claim(_)
        | Action::Assign(_)
        | Action::AssignTooFar(_)
        | Action::Poll(..)
        | Action::Decode(_)
        | Action::Send(_)
        | Action::AnswerLost(_)
        | Action::Expire(_)
        | Action::Acknowledge(_)
        | Action::ProduceLetter(_)
        | Action::TellGroup(_)
        | Action::Move
        | Action::Redrive(_) => Ok(()),
    }
}

fn unit<S: Store>(hands: &mut Hands<S>) -> &mut S::Unit {
    hands.unit.as_mut().expect("a unit under way")
}

async fn claim<S: Store>(hands: &mut Hands<S>, taken: &Taken<'_>, i: usize) -> Result<(), Parted> {
    let claim = hands
        .store
        .claim(&[LANE])
        .await
        .expect("a lane can be claimed")
        .remove(0);
    if claim.progress.is_empty() {
        let started = hands.store.start_at(claim.at.owner, &starts()).await;
        started.expect("a new owner says where its partitions start");
    }
    stands(&claim, taken.after)?;
    // Nobody hears the answer to the claim of a process that is no more.
    if taken.before.us[i].phase == Phase::Claiming {
        hands.claim = Some(claim);
    }
    Ok(())
}

/// A claim shows where the lane stands.
fn stands(claim: &Claim, state: &State) -> Result<(), Parted> {
    let db = &state.db[0];
    let model = (
        i64::from(db.turn),
        i64::from(db.next_seq),
        i64::from(db.published),
        db.progress.map(i64::from),
    );
    let store = (claim.at.turn, claim.next_sequence, claim.published, progress(claim));
    same(&model, &store)
}

async fn begin<S: Store>(hands: &mut Hands<S>, taken: &Taken<'_>, i: usize) -> Result<(), Parted> {
    let after = &taken.after.us[i];
    let begun = after.phase == Phase::Begun;
    let published = if begun { after.noting } else { taken.before.us[i].acked };
    let answer = hands.store.begin(hands.at, i64::from(published)).await;
    let model = if begun {
        Ok(())
    } else {
        Err(StoreError::Fenced { lane: LANE })
    };
    same(&model, &answer.as_ref().map(|_| ()).map_err(Clone::clone))?;
    hands.unit = answer.ok();
    Ok(())
}

async fn admit<S: Store>(hands: &mut Hands<S>, taken: &Taken<'_>, i: usize) -> Result<(), Parted> {
    let before = &taken.before.us[i];
    let moves = [moved(before)];
    let arrivals = [arrival(taken.model, taken.before, before)];
    let answer = unit(hands).admit(&moves, &arrivals).await;
    let fenced = taken.after.us[i].phase != Phase::Admitted;
    if fenced {
        hands.unit = None;
        return same(&Err(StoreError::Fenced { lane: LANE }), &answer);
    }
    let admission = taken.after.us[i].admitted.expect("an admission");
    same(&Ok(vec![admitted(admission)]), &answer)
}

async fn resolve<S: Store>(hands: &mut Hands<S>, taken: &Taken<'_>, i: usize) -> Result<(), Parted> {
    let (before, after) = (&taken.before.us[i], &taken.after.us[i]);
    let model = match after.phase {
        Phase::Ready if after.turn == before.turn + 1 => Ok(Outcome::Happened),
        Phase::Ready => Ok(Outcome::DidNot),
        _ => Err(StoreError::Fenced { lane: LANE }),
    };
    same(&model, &hands.store.resolve(hands.at).await)?;
    hands.at.turn = i64::from(after.turn);
    Ok(())
}

/// What a relay gives to Kafka is durable, under that sequence.
async fn publish<S: Store>(store: &S, before: &Instance) -> Result<(), Parted> {
    let first = before.queue[0];
    let rows = store.outbox(LANE, i64::from(first.0) - 1, 1).await;
    same(&Ok(outbox(&[first])), &rows)
}

/// What others see at this moment is what is committed.
async fn durable<S: Store>(store: &S, state: &State) -> Result<(), Parted> {
    same(&Ok(outbox(&state.db[0].outbox)), &store.outbox(LANE, 0, 100).await)
}

/// Whoever claims the lane next finds the positions, the counts and the rows of the model's last state.
async fn ends<S: Store>(hands: [Hands<S>; 2], last: &State) -> Result<(), Parted> {
    let [mut one, other] = hands;
    one.unit = None;
    drop(other);
    let claim = one.store.claim(&[LANE]).await.expect("a lane can be claimed").remove(0);
    stands(&claim, last)?;
    let counts = claim.progress.iter().fold([0; 4], |sum, progress| {
        let counts = progress.counts;
        let these = [counts.applied, counts.duplicate, counts.dead, counts.skipped];
        std::array::from_fn(|at| sum[at] + these[at])
    });
    same(&last.db[0].counts.map(u64::from), &counts)?;
    let mut unit = one.store.begin(claim.at, 0).await.expect("the owner begins");
    let found = unit.load(&[row(&[]).key]).await.expect("rows are loaded").remove(0);
    same(&row(&last.db[0].applied), &found)
}
