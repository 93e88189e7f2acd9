//! Clients for looking and changing: they remember what librdkafka says by itself, so that an error can name its cause.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use orderflow_runtime::kafka::{self, Connection, NoAdmin, Refusal, Right, Tokens};
use rdkafka::admin::AdminClient;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use super::error::{Error, Heard};

/// How long a broker may take to answer one request.
pub(crate) const REQUEST: Duration = Duration::from_secs(10);

/// How long one request waits before what the client says is listened to.
const STEP: Duration = Duration::from_secs(1);

/// Keeps the last failure of a connection, which librdkafka reports outside of any call, and a refusal of our credentials.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    failure: Mutex<Option<String>>,
    refusals: kafka::Heard,
    tokens: Tokens,
}

impl Listener {
    fn of(connection: &Connection) -> Self {
        Self {
            tokens: connection.tokens(),
            ..Self::default()
        }
    }

    pub(crate) fn heard(&self) -> Heard {
        Heard(kept(&self.failure).clone())
    }
}

fn kept(said: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientContext for Listener {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
        if facility == "FAIL" {
            let said = message.split_once("]: ").map_or(message, |(_thread, said)| said);
            *kept(&self.failure) = Some(said.to_owned());
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.refusals.note(&error, reason);
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.tokens.fresh()
    }
}

impl ConsumerContext for Listener {}

/// A client that changes topics. It tells nothing of its connections: ask a [`reader`] first whether the cluster is there.
///
/// # Errors
/// [`Error::Configuration`], and [`Error::Credentials`] where there is no token.
pub(super) fn admin(connection: &Connection) -> Result<AdminClient<Listener>, Error> {
    let made = connection.administering(Listener::of(connection));
    made.map_err(|error| match error {
        NoAdmin::Configuration(why) => Error::Configuration(why),
        NoAdmin::Token(why) => Error::Credentials {
            brokers: connection.brokers.clone(),
            cause: Heard(Some(why)),
        },
    })
}

/// A client that reads without a group.
pub(crate) fn reader(connection: &Connection, defaults: &[(&str, &str)]) -> Result<BaseConsumer<Listener>, Error> {
    let made = connection
        .client(defaults)
        .create_with_context(Listener::of(connection));
    let reader: BaseConsumer<Listener> = made.map_err(|error| configuration(&error))?;
    // Fetches the first token where one is needed: nobody connects without.
    let _nothing_yet = reader.poll(Duration::ZERO);
    Ok(reader)
}

/// All topics and brokers, or the sentence for a cluster that is not there. Asks for a little at a time, so that a refusal
/// of our credentials is noticed and told as what it is: the client tries them again for ever.
pub(crate) fn metadata(connection: &Connection, reader: &BaseConsumer<Listener>) -> Result<Metadata, Error> {
    let until = Instant::now() + REQUEST;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let error = match reader.fetch_metadata(None, left.min(STEP)) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        kafka::hear_out(reader, |listener| listener.refusals.refusal().is_some());
        let brokers = connection.brokers.clone();
        match reader.context().refusals.refusal() {
            Some(Refusal::Credentials(said)) => {
                let cause = Heard(Some(said));
                return Err(Error::Credentials { brokers, cause });
            }
            Some(Refusal::Tls(said)) => return Err(Error::Untrusted(connection.distrust(&said))),
            None => {}
        }
        if Instant::now() >= until || !gave_up(&error) {
            return Err(answer(
                connection,
                reader.context().heard(),
                "asking for the topics",
                &error,
            ));
        }
    }
}

/// Whether no answer came, and asking again may bring one.
fn gave_up(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_none_or(is_local)
}

/// Tells a cluster that is not there from one that says no. `heard` is what the client said by itself.
pub(crate) fn answer(connection: &Connection, heard: Heard, what: &str, error: &KafkaError) -> Error {
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
            cause: Heard(heard.0.or_else(|| Some(error.to_string()))),
        },
    }
}

/// The same for a request that one right allows.
pub(crate) fn answer_or(right: Right, connection: &Connection, heard: Heard, what: &str, error: &KafkaError) -> Error {
    if kafka::is_denial(error) {
        return forbidden(connection, right);
    }
    answer(connection, heard, what, error)
}

/// A right that the cluster denies.
pub(crate) fn forbidden(connection: &Connection, right: Right) -> Error {
    let brokers = connection.brokers.clone();
    Error::Forbidden { brokers, right }
}

/// The error of a topic that is not among those listed: it does not exist, or it is hidden from who may not do anything
/// with it.
pub(crate) fn absent(connection: &Connection, reader: &BaseConsumer<Listener>, right: Right, topic: &str) -> Error {
    if kafka::hides(reader, topic) {
        return forbidden(connection, right);
    }
    Error::NoTopic {
        topic: topic.to_owned(),
        brokers: connection.brokers.clone(),
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
