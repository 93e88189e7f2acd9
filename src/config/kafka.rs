//! Properties passed through to librdkafka: which are refused, and where their secrets come from.

use std::collections::BTreeMap;

use orderflow_runtime::kafka::{Connection, TokenSource, Unbuilt};
use rdkafka::error::KafkaError;

use super::said::{Origin, Said, Value};
use super::secret;
use crate::report::Failure;
use crate::slug::Slug;

/// Where tokens for OAUTHBEARER come from: keys of ours, of which librdkafka knows nothing.
const TOKEN: &str = "sasl.oauthbearer.token";
const TOKEN_FILE: &str = "sasl.oauthbearer.token_file";
const TOKEN_COMMAND: &str = "sasl.oauthbearer.token.command";

/// A property as it was named, its secret read if the name ends with `_file`.
///
/// # Errors
/// The file of a secret cannot be read.
pub(super) fn property(name: &str, text: String, origin: Origin) -> Result<(String, Value), Failure> {
    // A token's file is read again for each token, by who asks for one.
    let is_read_now = |base: &&str| secret::is_secret(base) && *base != TOKEN;
    match name.strip_suffix("_file").filter(is_read_now) {
        Some(base) => Ok((format!("kafka.{base}"), secret::of_file(&text, origin)?)),
        None => Ok((format!("kafka.{name}"), Value { text, origin })),
    }
}

/// The connection that was described, each property looked at by librdkafka itself.
///
/// # Errors
/// A property that a guarantee rests on, one that librdkafka does not know, or a value it does not take.
pub(super) fn connection(said: &Said) -> Result<Connection, Failure> {
    let mut properties: BTreeMap<_, _> = said
        .kafka()
        .map(|(name, value)| (name.to_owned(), value.text.clone()))
        .collect();
    let tokens = tokens(&mut properties)?;
    let connection = Connection {
        brokers: brokers(said)?,
        properties,
        tokens,
    };
    if let Some(name) = connection.forbidden_property() {
        return Err(refused(name, said));
    }
    if let Some(unbuilt) = connection.unbuilt() {
        let failure = Failure::from_error(Slug::BuiltWithout, &unbuilt);
        return Err(said
            .located(failure, &format!("kafka.{}", unbuilt.property))
            .hint(way_out(&unbuilt)));
    }
    check_tokens(&connection)?;
    if !connection.properties.is_empty() {
        connection
            .client(&[])
            .create_native_config()
            .map_err(|error| unusable(&error, said))?;
    }
    Ok(connection)
}

/// Takes out what is not librdkafka's.
fn tokens(properties: &mut BTreeMap<String, String>) -> Result<Option<TokenSource>, Failure> {
    let sources = [
        properties.remove(TOKEN).map(TokenSource::Fixed),
        properties.remove(TOKEN_FILE).map(|path| TokenSource::File(path.into())),
        properties.remove(TOKEN_COMMAND).map(TokenSource::Command),
    ];
    let mut sources = sources.into_iter().flatten();
    match (sources.next(), sources.next()) {
        (source, None) => Ok(source),
        (_, Some(second)) => {
            let message = format!("{second} is the second source of tokens; give one");
            Err(Failure::new(Slug::ConfigInvalid, message))
        }
    }
}

/// OAUTHBEARER and a source of tokens go together.
fn check_tokens(connection: &Connection) -> Result<(), Failure> {
    let wanted = connection.speaks("OAUTHBEARER");
    let failure = |message: String| Err(Failure::new(Slug::ConfigInvalid, message));
    match (&connection.tokens, wanted) {
        (None, true) => failure(format!(
            "OAUTHBEARER needs tokens: set {TOKEN_FILE} or {TOKEN_COMMAND} under [kafka]"
        )),
        (Some(source), false) => failure(format!(
            "kafka.{source} is for OAUTHBEARER: set sasl.mechanism and security.protocol to use it"
        )),
        _ => Ok(()),
    }
}

fn way_out(unbuilt: &Unbuilt) -> &'static str {
    if unbuilt.comes_with_tls() {
        "use the image (docker/Dockerfile), or build with it: cargo build --release --features tls"
    } else {
        "set sasl.mechanism to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
    }
}

/// The addresses, each checked for its form.
fn brokers(said: &Said) -> Result<String, Failure> {
    let value = said.value("brokers")?;
    let malformed = value
        .text
        .split(',')
        .map(str::trim)
        .find(|address| !is_address(address));
    match malformed {
        None => Ok(value.text.clone()),
        Some(address) => Err(value.invalid("brokers", &format!("{address:?} is not host:port"))),
    }
}

/// Whether it is `host:port`; librdkafka takes a host alone and a protocol in front as well.
fn is_address(text: &str) -> bool {
    let address = text.split_once("://").map_or(text, |(_, address)| address);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "9092"));
    !host.is_empty() && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn refused(name: &str, said: &Said) -> Failure {
    let instead = match name {
        "bootstrap.servers" | "metadata.broker.list" => "set `brokers` instead",
        _ => "orderflow explain property-refused",
    };
    let failure = Failure::new(
        Slug::PropertyRefused,
        format!("{name} is not to be set: a guarantee rests on it"),
    );
    said.located(failure, &format!("kafka.{name}")).hint(instead)
}

/// librdkafka's own words, unless they would repeat a secret.
fn unusable(error: &KafkaError, said: &Said) -> Failure {
    let KafkaError::ClientConfig(_, description, name, _) = error else {
        return Failure::from_error(Slug::ConfigInvalid, error);
    };
    let why = if secret::is_secret(name) {
        "librdkafka does not take its value"
    } else {
        description
    };
    said.located(
        Failure::new(Slug::ConfigInvalid, format!("kafka.{name}: {why}")),
        &format!("kafka.{name}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for text in [
            "localhost:9092",
            "kafka",
            "[::1]:9092",
            "SASL_SSL://b-1.example.com:9096",
        ] {
            assert!(is_address(text), "{text}");
        }
        for text in [
            "",
            ":9092",
            "localhost:",
            "localhost:0",
            "localhost:99999",
            "local host:9092",
        ] {
            assert!(!is_address(text), "{text}");
        }
    }
}
