//! One request at a time for each id, however many lanes want it; who comes meanwhile gets the same answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::RegistryError;

type Landed = Result<(), RegistryError>;

/// What is being asked for.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<u32, watch::Receiver<Option<Landed>>>>);

/// How somebody gets an answer.
enum Seat {
    /// He asks, and tells the others.
    Pilot(watch::Sender<Option<Landed>>),
    /// Somebody else is asking.
    Passenger(watch::Receiver<Option<Landed>>),
}

impl Flights {
    /// The outcome of `ask` for this id, or that of the same question under way.
    pub(super) async fn share(&self, id: u32, ask: impl Future<Output = Landed>) -> Landed {
        loop {
            match self.board(id) {
                Seat::Pilot(others) => {
                    let landed = ask.await;
                    self.lock().remove(&id);
                    others.send_replace(Some(landed.clone()));
                    return landed;
                }
                Seat::Passenger(mut flight) => {
                    // Who asked may have been dropped without an answer: then it is asked again.
                    if let Ok(landed) = flight.wait_for(Option::is_some).await {
                        return landed.clone().unwrap_or(Ok(()));
                    }
                }
            }
        }
    }

    fn board(&self, id: u32) -> Seat {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&id).filter(|flight| flight.has_changed().is_ok()) {
            return Seat::Passenger(flight.clone());
        }
        let (others, flight) = watch::channel(None);
        flights.insert(id, flight);
        Seat::Pilot(others)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, watch::Receiver<Option<Landed>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_ask_once() {
        let (flights, asked) = (Arc::new(Flights::default()), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (flights, asked, gate) = (Arc::clone(&flights), Arc::clone(&asked), Arc::clone(&gate));
            all.spawn(async move {
                let ask = async {
                    asked.fetch_add(1, Ordering::Relaxed);
                    let _opened = gate.acquire().await;
                    Err(RegistryError::Unusable { what: "no".to_owned() })
                };
                flights.share(7, ask).await
            });
        }
        // Everybody has had his turn, and all but the first wait.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
        let outcomes = all.join_all().await;
        assert!(outcomes.iter().all(Result::is_err));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(
            flights.share(7, async { Ok(()) }).await,
            Ok(()),
            "an answer is not kept"
        );
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_question_to_the_next() {
        let flights = Arc::new(Flights::default());
        let first = tokio::spawn({
            let flights = Arc::clone(&flights);
            async move { flights.share(7, std::future::pending()).await }
        });
        tokio::task::yield_now().await;
        let second = tokio::spawn({
            let flights = Arc::clone(&flights);
            async move { flights.share(7, async { Ok(()) }).await }
        });
        tokio::task::yield_now().await;
        first.abort();
        assert_eq!(second.await.expect("no panic"), Ok(()));
    }
}
