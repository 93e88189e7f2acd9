//! As many sessions as units may be under way at once, and one for each.
//!
//! A pool of our own, because what matters is when a session comes back: a unit that was dropped is rolled back first,
//! and one whose connection was lost never comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;
use super::session::Session;
use super::{OpenError, PostgresAddress, PostgresOptions};
use crate::store::StoreError;

/// Sessions of one store.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) address: PostgresAddress,
    location: String,
    options: PostgresOptions,
    /// The latest come back is the first to go out: what is not needed rests at the bottom.
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
    runtime: Handle,
}

impl Pool {
    /// A pool whose first session is open: who cannot connect is told so at once.
    pub(super) async fn open(address: PostgresAddress, options: PostgresOptions) -> Result<Arc<Self>, OpenError> {
        let first = Session::open(&address, options.migrate).await?;
        Ok(Arc::new(Self {
            location: address.location(),
            address,
            idle: Mutex::new(vec![first]),
            permits: Arc::new(Semaphore::new(options.connections.get())),
            options,
            runtime: Handle::current(),
        }))
    }

    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// Where tasks of the store run.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A session to oneself, once there is one; those who wait are served in their order.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::Halt("the pool of connections was closed".to_owned()))?;
        let session = match self.resting() {
            Some(session) => session,
            None => Session::open(&self.address, self.options.migrate).await?,
        };
        Ok(Lease {
            session: Some(session),
            pool: Arc::clone(self),
            permit: Some(permit),
            in_transaction: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        })
    }

    fn resting(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|session| !session.is_closed());
        idle.pop()
    }

    fn take_back(&self, session: Session) {
        if !session.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }

    /// Whoever is refused writes by this server is refused by it on every session.
    fn forget_all(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A session in use. Dropped, it goes back, after a ROLLBACK where it is in a transaction.
#[derive(Debug)]
pub(super) struct Lease {
    session: Option<Session>,
    pool: Arc<Pool>,
    permit: Option<OwnedSemaphorePermit>,
    in_transaction: AtomicBool,
    lost: AtomicBool,
}

impl Lease {
    pub(super) fn session(&self) -> Result<&Session, StoreError> {
        let lost = || StoreError::Unavailable(format!("{}: the connection was lost", self.pool.location));
        let session = self.session.as_ref().filter(|_| !self.lost.load(Ordering::Relaxed));
        session.ok_or_else(lost)
    }

    pub(super) fn location(&self) -> &str {
        &self.pool.location
    }

    /// From here on what is dropped is rolled back.
    pub(super) fn enter_transaction(&self) {
        self.in_transaction.store(true, Ordering::Relaxed);
    }

    /// The server has answered COMMIT.
    pub(super) fn leave_transaction(&self) {
        self.in_transaction.store(false, Ordering::Relaxed);
    }

    /// The session is of no further use. The server rolls back what it holds once this is dropped.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// It is of use after all.
    pub(super) fn keep(&self) {
        self.lost.store(false, Ordering::Relaxed);
    }

    /// The error in the words of the store; the session is given up where the error says so.
    pub(super) fn judge(&self, failure: Failure) -> StoreError {
        if failure.is_loss() {
            self.lose();
            self.pool.forget_all();
        }
        failure.of(&self.pool.location)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if *self.lost.get_mut() {
            return;
        }
        if !*self.in_transaction.get_mut() {
            return self.pool.take_back(session);
        }
        let (pool, permit) = (Arc::clone(&self.pool), self.permit.take());
        self.pool.runtime.spawn(async move {
            if session.control("ROLLBACK").await.is_ok() {
                pool.take_back(session);
            }
            // Only now may another connection take its place.
            drop(permit);
        });
    }
}
