//! Rights that brokers deny while the consumer is at work.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;

use super::Edge;
use crate::access::{self, Reading};
use crate::error::ServiceError;
use crate::handler::Handler;
use crate::store::Store;

/// How long after it was asked about the rights it is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// What came of asking about the rights.
pub(super) struct Asked {
    at: Instant,
    /// Somebody did not answer, or denied something since: it is asked once more.
    is_open: bool,
}

impl<H: Handler, S: Store> Edge<H, S> {
    /// A broker has refused a fetch, which it tells once for each partition.
    pub(super) fn refused_a_topic(&mut self, error: &KafkaError) -> Result<(), ServiceError> {
        self.complain(error);
        match &mut self.asked_about_rights {
            Some(asked) if asked.at.elapsed() < AGAIN => {
                asked.is_open = true;
                Ok(())
            }
            _ => self.ask_about_rights(),
        }
    }

    /// Asks again where that is due.
    pub(super) fn settle_rights(&mut self) -> Result<(), ServiceError> {
        let due = |asked: &Asked| asked.is_open && asked.at.elapsed() >= AGAIN;
        if self.asked_about_rights.as_ref().is_some_and(due) {
            self.ask_about_rights()?;
        }
        Ok(())
    }

    /// A broker that refuses a fetch which every broker grants when it is asked has not heard of the right yet: the client
    /// tries again by itself.
    fn ask_about_rights(&mut self) -> Result<(), ServiceError> {
        let topology = &self.with.shared.topology;
        let topics = (&*topology.sources, topology.lanes());
        let connection = &self.with.connection;
        let is_open = match access::reading(connection, topics, &|| self.tell_observer()) {
            Reading::Denied(right) => return Err(access::forbidden(&connection.brokers, right)),
            Reading::Granted => false,
            Reading::Unknown => true,
        };
        self.asked_about_rights = Some(Asked {
            at: Instant::now(),
            is_open,
        });
        Ok(())
    }
}
