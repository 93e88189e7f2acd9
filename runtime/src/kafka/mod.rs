//! How a client of the cluster is configured: one place for the connection that consumers, producers and tools share.

mod admin;
mod built;
mod reach;
mod right;
mod token;
mod trust;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

pub use admin::NoAdmin;
pub use built::Unbuilt;
pub use reach::listening;
pub use right::{Operation, Resource, Right, hides, is_denial, is_denied, is_topic_denial};
pub use token::{TokenSource, Tokens};
pub use trust::Distrust;

/// The cluster and how to speak to it.
///
/// `properties` are librdkafka's own, as a user wrote them under `[kafka]`; they win over every default set here and by
/// the caller; the few that a guarantee rests on are refused, see [`Connection::forbidden_property`].
#[derive(Clone, Default)]
pub struct Connection {
    /// Comma-separated `host:port` list.
    pub brokers: String,
    /// librdkafka properties passed through.
    pub properties: BTreeMap<String, String>,
    /// Where tokens for OAUTHBEARER come from, where it is used.
    pub tokens: Option<TokenSource>,
}

/// Properties whose value a guarantee rests on: passing them through would break it silently.
const OURS: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.protocol",
    "group.instance.id",
    "group.remote.assignor",
    "isolation.level",
    "message.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "session.timeout.ms",
    "delivery.timeout.ms",
    "transactional.id",
];

/// Longest pause between attempts to connect, milliseconds: a broker that is back is noticed this soon. The default of 10 s
/// would be most of an outage.
const RECONNECT_MILLIS: &str = "500";

impl Connection {
    /// A connection to `brokers` with nothing else set.
    #[must_use]
    pub fn to(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            ..Self::default()
        }
    }

    /// A client configuration: `defaults` first, the user's properties over them.
    #[must_use]
    pub fn client(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", concat!("orderflow/", env!("CARGO_PKG_VERSION")));
        if !self.properties.contains_key("reconnect.backoff.ms") {
            // Else it might be below the shortest, and refused.
            config.set("reconnect.backoff.max.ms", RECONNECT_MILLIS);
        }
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        if self.properties.contains_key("debug") {
            // Whoever asks librdkafka to explain itself wants to hear it; as a log it is filtered once more.
            config.set_log_level(RDKafkaLogLevel::Debug);
        }
        config
    }

    /// A client that only asks, in no group.
    ///
    /// # Errors
    /// What librdkafka does not take.
    pub fn asking(&self) -> Result<BaseConsumer<Asking>, KafkaError> {
        let client: BaseConsumer<Asking> = self.client(&[]).create_with_context(Asking::of(self))?;
        // Fetches the first token where one is needed: nobody connects without.
        let _nothing_yet = client.poll(Duration::ZERO);
        Ok(client)
    }

    /// What the context of a client of this connection asks for tokens.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        Tokens::from(self.tokens.clone())
    }

    /// What of the configuration makes the connection less safe than it looks, one sentence each.
    #[must_use]
    pub fn risks(&self) -> Vec<String> {
        let is = |name: &str, values: &[&str]| {
            let value = self.properties.get(name).map(|value| value.to_lowercase());
            value.is_some_and(|value| values.contains(&&*value))
        };
        let mut risks = Vec::new();
        if is("enable.ssl.certificate.verification", &["false", "0", "f"]) {
            risks.push(
                "enable.ssl.certificate.verification is off: whoever is in between can read and change everything, the \
                 password included"
                    .to_owned(),
            );
        } else if is("ssl.endpoint.identification.algorithm", &["none"]) {
            risks.push(
                "ssl.endpoint.identification.algorithm is none: any host with a certificate of a trusted authority can \
                 stand in for the brokers"
                    .to_owned(),
            );
        }
        risks
    }

    /// The first of the user's properties that is not theirs to set, if there is one.
    #[must_use]
    pub fn forbidden_property(&self) -> Option<&str> {
        self.properties
            .keys()
            .map(String::as_str)
            .find(|name| OURS.contains(name))
    }
}

impl fmt::Debug for Connection {
    /// Names the properties and hides their values: passwords are among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.properties.keys().collect();
        f.debug_struct("Connection")
            .field("brokers", &self.brokers)
            .field("properties", &names)
            .field("tokens", &self.tokens)
            .finish()
    }
}

/// The context of a client that only asks.
#[derive(Debug, Default)]
pub struct Asking(Tokens);

impl Asking {
    /// For a client of this connection.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        Self(connection.tokens())
    }
}

impl ClientContext for Asking {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.0.fresh()
    }
}

impl ConsumerContext for Asking {}

/// Why the brokers and this client do not come together, though both are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// They refuse its credentials, with what they say.
    Credentials(String),
    /// TLS does not come about, with what librdkafka says.
    Tls(String),
}

/// What a client said by itself that tells why it does not connect. Contexts keep one.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    refusal: Option<Refusal>,
    failure: Option<String>,
    /// Whichever came last.
    newest: Lately,
    /// Nobody has asked since it came.
    is_news: bool,
}

/// The reason that was said last.
#[derive(Debug, Default)]
pub(crate) struct Lately(Option<(String, Instant)>);

/// How long a reason may still be why no broker is there: while it lasts it is said again every 30 s.
const HOLDS: Duration = Duration::from_mins(1);

impl Lately {
    /// Takes note of a reason.
    pub(crate) fn hear(&mut self, reason: &str) {
        self.0 = Some((reason.to_owned(), Instant::now()));
    }

    /// The last, unless it is too long ago to be today's.
    pub(crate) fn reason(&self) -> Option<&str> {
        let (reason, when) = self.0.as_ref()?;
        (when.elapsed() < HOLDS).then_some(&**reason)
    }
}

impl Heard {
    /// Takes note of an error of the client.
    pub fn note(&self, error: &KafkaError, reason: &str) {
        let refusal = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication) => Some(Refusal::Credentials(reason.to_owned())),
            Some(RDKafkaErrorCode::SSL) => Some(Refusal::Tls(reason.to_owned())),
            // What a broker objects to after the handshake counts as a lost connection.
            Some(RDKafkaErrorCode::BrokerTransportFailure) if reason.contains("SSL alert number") => {
                Some(Refusal::Tls(reason.to_owned()))
            }
            // The former follows every other failure and says less, the latter is none.
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::PartitionEOF) => return,
            _ => None,
        };
        let mut said = self.said();
        match refusal {
            Some(refusal) => said.refusal = Some(refusal),
            None => said.failure = Some(reason.to_owned()),
        }
        said.newest.hear(reason);
        said.is_news = true;
    }

    /// The refusal, if there was one.
    pub fn refusal(&self) -> Option<Refusal> {
        self.said().refusal.clone()
    }

    /// A refusal in its words, else the last other failure.
    pub fn last(&self) -> Option<String> {
        let refusal = self.refusal().map(|refusal| match refusal {
            Refusal::Credentials(said) | Refusal::Tls(said) => said,
        });
        refusal.or_else(|| self.failure())
    }

    /// The last other failure.
    pub fn failure(&self) -> Option<String> {
        self.said().failure.clone()
    }

    /// The newest of what was said since this was asked last; or before it, where the error is only that no broker is
    /// there: that follows each failure to reach one, while a failure that is the same as before is told twice a minute.
    pub fn why(&self, error: &KafkaError) -> Option<String> {
        let is_echo = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let mut said = self.said();
        let is_news = std::mem::take(&mut said.is_news);
        let newest = said.newest.reason().filter(|_| is_news || is_echo);
        newest.map(str::to_owned)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong with a configuration, without the value, which may be a password.
pub(crate) fn plain(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, why, name, _) => format!("{name}: {why}"),
        other => other.to_string(),
    }
}

/// How long a client may take to say what it has to say.
const SAID: Duration = Duration::from_millis(200);

/// Lets a client say what it has to say, which it says only to who polls it, until it has `told` what is waited for. Why it
/// was refused comes among the last, and under `debug` behind thousands of lines.
pub fn hear_out<C: ConsumerContext>(client: &BaseConsumer<C>, told: impl Fn(&C) -> bool) {
    let until = Instant::now() + SAID;
    while Instant::now() < until && !told(client.context()) {
        let _kept_by_its_context = client.poll(Duration::from_millis(1));
    }
}

/// librdkafka's own log lines, at the level they deserve here: most of its errors are retried by itself.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{line}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::debug!(target: "librdkafka", facility, "{line}"),
        _ => tracing::trace!(target: "librdkafka", facility, "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_counts_until_another_is_said() {
        let error = |code| KafkaError::Global(code);
        let (down, refused) = (RDKafkaErrorCode::AllBrokersDown, RDKafkaErrorCode::Authentication);
        let heard = Heard::default();
        assert_eq!(heard.why(&error(down)), None);
        heard.note(&error(refused), "wrong password");
        heard.note(&error(down), "1/1 brokers are down");
        for _ in 0..2 {
            assert_eq!(heard.why(&error(down)).as_deref(), Some("wrong password"));
        }
        let other = RDKafkaErrorCode::PollExceeded;
        assert_eq!(heard.why(&error(other)), None, "it is about something else");
        heard.note(&error(RDKafkaErrorCode::BrokerTransportFailure), "nobody listens");
        assert_eq!(heard.why(&error(down)).as_deref(), Some("nobody listens"));
    }

    #[test]
    fn a_reason_of_long_ago_is_not_todays() {
        let mut lately = Lately::default();
        assert_eq!(lately.reason(), None);
        lately.hear("wrong password");
        assert_eq!(lately.reason(), Some("wrong password"));
        let (_, when) = lately.0.as_mut().expect("it was heard");
        *when = when.checked_sub(HOLDS).expect("the machine has run for longer");
        assert_eq!(lately.reason(), None);
    }

    #[test]
    fn who_asks_for_an_explanation_hears_it() {
        let mut connection = Connection::to("localhost:9092");
        let hears = |of: &Connection| matches!(of.client(&[]).log_level, RDKafkaLogLevel::Debug);
        assert!(!hears(&connection));
        connection.properties.insert("debug".to_owned(), "cgrp".to_owned());
        assert!(hears(&connection));
    }
}
