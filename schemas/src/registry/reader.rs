//! Decoding for commands that read topics: they wait for a registry where they have to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use orderflow_domain::Event;
use thiserror::Error;
use tokio::runtime::Handle;

use super::{Registry, RegistryError};
use crate::{Codec, Unreadable};

/// How long a registry that did not answer is not asked again, so that a thousand records do not wait a thousand times.
const AWAY_FOR: Duration = Duration::from_secs(5);

/// Reads values, and asks the registry for schemas that are not known. Blocks while it asks: not for an asynchronous
/// function. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    codec: Codec,
    asks: Option<Asks>,
}

#[derive(Debug, Clone)]
struct Asks {
    registry: Arc<Registry>,
    runtime: Handle,
    /// The last failure, and when it happened.
    away: Arc<Mutex<Option<(Instant, RegistryError)>>>,
}

/// Why a value was not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// It cannot be.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Nobody knows: the registry did not say with which schema it was written.
    #[error("schema id {id} cannot be looked up: {cause}")]
    Unknown {
        /// The id.
        id: u32,
        /// What the registry did instead.
        cause: RegistryError,
    },
}

impl Reader {
    /// Reads the ids of a registry too; `runtime` makes the requests.
    #[must_use]
    pub fn asking(registry: Arc<Registry>, runtime: Handle) -> Self {
        Self {
            codec: registry.codec().clone(),
            asks: Some(Asks {
                registry,
                runtime,
                away: Arc::default(),
            }),
        }
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// Why it cannot be read, or why that is not known.
    pub fn read(&self, value: &[u8]) -> Result<Event, ReadError> {
        match (self.codec.decode(value), &self.asks) {
            (Err(Unreadable::UnfetchedSchema(id)), Some(asks)) => {
                asks.learn(id).map_err(|cause| ReadError::Unknown { id, cause })?;
                Ok(self.codec.decode(value)?)
            }
            (read, _) => Ok(read?),
        }
    }
}

impl Asks {
    fn learn(&self, id: u32) -> Result<(), RegistryError> {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = away.as_ref().filter(|(since, _)| since.elapsed() < AWAY_FOR) {
            return Err(error.clone());
        }
        let learned = self.runtime.block_on(self.registry.learn(id));
        *away = learned.as_ref().err().map(|error| (Instant::now(), error.clone()));
        learned
    }
}
