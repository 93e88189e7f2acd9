//! A connection and the server it leads to: an answer is waited for as long as that server lives.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::connect::{self, Purpose};
use super::failure::Failure;
use super::{OpenError, PostgresAddress};

/// How long an answer may be waited for before the server is asked whether it lives: longer than a service lets any
/// statement run, so that it is the server that ends one.
pub(super) const SILENCE: Duration = Duration::from_secs(40);

/// How long it then has to let somebody in, or to refuse it.
const LETS_IN: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) client: Client,
    /// With the one host that let us in.
    server: Box<PostgresAddress>,
}

/// A server that says nothing, neither on a connection nor to who asks for another one.
#[derive(Debug)]
pub(super) struct Silent {
    location: String,
    time: Duration,
}

impl Connected {
    pub(super) fn new(client: Client, server: PostgresAddress) -> Self {
        Self {
            client,
            server: Box::new(server),
        }
    }

    /// What `answer` gives, however long that takes: a scan or a migration may take hours, of which the connection shows
    /// nothing.
    ///
    /// # Errors
    /// Those of `answer`; and [`Silent`] where nothing came for `silence` and the server lets nobody else in either. A
    /// server that refuses somebody lives.
    pub(super) async fn hear<T, E: From<Silent>>(
        &self,
        silence: Duration,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut answer = pin!(answer);
        loop {
            if let Ok(answered) = timeout(silence, &mut answer).await {
                return answered;
            }
            if self.says_something().await {
                continue;
            }
            if let Some(answered) = answer.as_mut().now_or_never() {
                return answered;
            }
            return Err(E::from(Silent {
                location: self.server.location(),
                time: silence,
            }));
        }
    }

    async fn says_something(&self) -> bool {
        let began = Instant::now();
        let asking = Box::pin(connect::connect(&self.server, Purpose::Read));
        match timeout(LETS_IN, asking).await {
            Err(_) => false,
            // One that does not take a connection in time has said nothing either.
            Ok(Err(OpenError::Unavailable(_))) => began.elapsed() < connect::CONNECT,
            Ok(_) => true,
        }
    }
}

impl From<Silent> for Failure {
    fn from(silent: Silent) -> Self {
        Self::Silence(silent.time)
    }
}

impl From<Silent> for OpenError {
    fn from(silent: Silent) -> Self {
        Self::Unavailable(Failure::Silence(silent.time).sentence(&silent.location))
    }
}
