//! Clients for looking and changing: they remember what librdkafka says by itself, so that an error can name its cause.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use orderflow_runtime::kafka::Connection;
use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use super::error::{Error, Heard};

/// How long a broker may take to answer one request.
pub(super) const REQUEST: Duration = Duration::from_secs(10);

/// Keeps the last error that librdkafka reported outside of any call.
#[derive(Debug, Clone, Default)]
pub(super) struct Listener(Arc<Mutex<Option<String>>>);

impl Listener {
    pub(super) fn heard(&self) -> Heard {
        Heard(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // It only repeats that each of the others was reported.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Listener {}

/// A client that changes topics, and what it heard.
pub(super) fn admin(connection: &Connection) -> Result<(AdminClient<Listener>, Listener), Error> {
    let listener = Listener::default();
    let client = connection
        .client(&[])
        .create_with_context(listener.clone())
        .map_err(|error| configuration(&error))?;
    Ok((client, listener))
}

/// A client that reads without a group, and what it heard.
pub(super) fn reader(
    connection: &Connection,
    defaults: &[(&str, &str)],
) -> Result<(BaseConsumer<Listener>, Listener), Error> {
    let listener = Listener::default();
    let config = connection.client(defaults);
    let client = config
        .create_with_context(listener.clone())
        .map_err(|error| configuration(&error))?;
    Ok((client, listener))
}

/// All topics and brokers, or the sentence for a cluster that is not there.
pub(super) fn metadata<C: ClientContext>(
    client: &rdkafka::client::Client<C>,
    connection: &Connection,
    listener: &Listener,
) -> Result<Metadata, Error> {
    client
        .fetch_metadata(None, REQUEST)
        .map_err(|error| answer(connection, listener, "asking for the topics", &error))
}

/// Tells a cluster that is not there from one that says no.
pub(super) fn answer(connection: &Connection, listener: &Listener, what: &str, error: &KafkaError) -> Error {
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    match code {
        Some(code) if !is_local(code) => Error::Broker {
            what: what.to_owned(),
            code: code.to_string(),
        },
        _ => Error::Unreachable {
            brokers: connection.brokers.clone(),
            seconds: REQUEST.as_secs(),
            cause: match listener.heard() {
                Heard(None) => Heard(Some(error.to_string())),
                heard => heard,
            },
        },
    }
}

/// Whether the client itself gave up, and no broker answered.
fn is_local(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::Authentication
            | Code::SSL
    )
}

fn configuration(error: &KafkaError) -> Error {
    // `ClientConfig` prints the value of the property with the error, which may be a password.
    Error::Configuration(match error {
        KafkaError::ClientConfig(_, description, name, _) => format!("`{name}`: {description}"),
        other => other.to_string(),
    })
}

/// Waits for an answer of the admin API. Needs no runtime, so it may be called from any thread.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
