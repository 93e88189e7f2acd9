//! A place in the group: what ends it, how another client takes it, and how it is left.

use std::sync::mpsc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::client::{client, instance};
use super::retention::Sweep;
use super::{Context, Edge};
use crate::error::{Halt, ServiceError};
use crate::handler::Handler;
use crate::store::Store;

/// How long leaving the group may take when the service ends.
const LEAVE: Duration = Duration::from_millis(700);

/// How much longer than lanes a sweep of old rows may take to end.
const SWEPT: Duration = Duration::from_millis(200);

impl<H: Handler, S: Store> Edge<H, S> {
    /// The client can do nothing more. One whose session had ended before was fenced by nobody but itself: positions that
    /// waited in it for the group's coordinator are told in no name, and the broker knows this member by one.
    pub(super) fn fatal(&mut self, code: RDKafkaErrorCode) -> Result<(), ServiceError> {
        if code != RDKafkaErrorCode::FencedInstanceId {
            return Err(ServiceError::Client(code.to_string()));
        }
        // What the client said before it said this.
        self.rebalance()?;
        if self.lost {
            return self.join_anew();
        }
        let instance = instance(&self.with.shared.settings, &self.with.identity).unwrap_or_default();
        let instance = instance.to_owned();
        let why = if self.with.identity.exclusive {
            "a copy of the database is in use"
        } else {
            "two daemons have the same runtime.instance_id"
        };
        Err(Halt::FencedMember { instance, why }.into())
    }

    /// Another client takes the place of this one, which holds nothing any more.
    fn join_anew(&mut self) -> Result<(), ServiceError> {
        let shared = &self.with.shared;
        let group = (&*shared.topology.group_id, &self.with.identity);
        let fresh = client(&self.with.connection, &shared.settings, group)?;
        let said = "the session had ended, and the client was taken for another: joining anew";
        shared.observer.trouble(None, said);
        close(std::mem::replace(&mut self.consumer, fresh));
        self.subscribe()
    }

    /// Leaves the group in order.
    pub(super) fn leave(mut self, orderly: bool) {
        // It ends while lanes drain.
        let swept = self.sweep.take().map(Sweep::end);
        if orderly {
            self.let_go(false);
            // The client waits for it while it closes, which is bounded here.
            self.tell_group(CommitMode::Async);
        } else {
            self.let_go(true);
        }
        if let Some(swept) = swept {
            let ended = async { tokio::time::timeout(SWEPT, swept).await };
            let _ended_or_late = self.with.runtime.block_on(ended);
        }
        self.answer_the_rest();
        close(self.consumer);
    }
}

/// Waits for a client to end, but not long: Kafka may be away.
fn close(consumer: BaseConsumer<Context>) {
    consumer.context().close();
    let (done, wait) = mpsc::channel::<()>();
    let closing = std::thread::Builder::new().name("leaving".to_owned()).spawn(move || {
        drop(consumer);
        drop(done);
    });
    if closing.is_ok() {
        let _closed = wait.recv_timeout(LEAVE);
    }
}
