//! Why a broker's certificate is not trusted. librdkafka says only that it is not, so the question is asked once more.

use std::fmt;
use std::io::{self, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, StreamOwned,
};

use super::{Connection, reach};

/// How long one broker has to show its certificate.
const ANSWER: Duration = Duration::from_secs(3);

/// How long a broker may take to object after the handshake.
const SILENCE: Duration = Duration::from_millis(500);

/// TLS with the brokers does not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrust {
    /// The broker, or all of them as configured where it is not known which.
    pub address: String,
    cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    UnknownIssuer,
    /// How long ago, where that is known.
    Expired(Option<Duration>),
    NotYetValid,
    OtherName(Vec<String>),
    WantsCertificate,
    NoTls,
    Said(String),
}

impl Distrust {
    /// What to do about it, in one sentence.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match &self.cause {
            Cause::UnknownIssuer => {
                "set ssl.ca.location under [kafka] to a PEM file with the certificate of the authority that signed it"
            }
            Cause::Expired(_) => {
                "have the brokers' certificate renewed, and see that the clock of this machine is right"
            }
            Cause::NotYetValid => "see that the clock of this machine is right",
            Cause::OtherName(_) => {
                "set brokers to a name that the certificate is for, or have the brokers' certificate cover it"
            }
            Cause::WantsCertificate => {
                "set ssl.certificate.location and ssl.key.location under [kafka] to a certificate that the brokers accept"
            }
            Cause::NoTls => {
                "set security.protocol under [kafka] to what that listener speaks, or brokers to one with TLS"
            }
            Cause::Said(_) => "check ssl.ca.location, ssl.certificate.location and ssl.key.location under [kafka]",
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.cause {
            Cause::UnknownIssuer => write!(
                f,
                "the certificate of Kafka at {address} is signed by an authority that is not trusted here"
            ),
            Cause::Expired(None) => write!(f, "the certificate of Kafka at {address} has expired"),
            Cause::Expired(Some(ago)) => {
                write!(f, "the certificate of Kafka at {address} expired {} ago", rough(*ago))
            }
            Cause::NotYetValid => write!(f, "the certificate of Kafka at {address} is not valid yet"),
            Cause::OtherName(names) if names.is_empty() => {
                write!(f, "the certificate of Kafka at {address} is for another host")
            }
            Cause::OtherName(names) => write!(
                f,
                "the certificate of Kafka at {address} is for another host: {}",
                names.join(", ")
            ),
            Cause::WantsCertificate => write!(f, "Kafka at {address} wants a certificate of this client"),
            Cause::NoTls => write!(f, "Kafka at {address} does not speak TLS"),
            Cause::Said(said) => write!(f, "no TLS with Kafka at {address}: {said}"),
        }
    }
}

impl std::error::Error for Distrust {}

impl Connection {
    /// Asks the brokers for their certificates and says what is wrong with them; `said` is librdkafka's word for it, which
    /// stands where they look good from here. Blocks for a few seconds at most.
    #[must_use]
    pub fn distrust(&self, said: &str) -> Distrust {
        let unknown = || Distrust {
            address: self.brokers.clone(),
            cause: Cause::Said(said.to_owned()),
        };
        let Ok(config) = self.judge() else {
            return unknown();
        };
        let config = Arc::new(config);
        let mut found = reach::addresses(&self.brokers).filter_map(|address| {
            let cause = handshake(address, Arc::clone(&config)).err()?;
            Some(Distrust {
                address: address.to_owned(),
                cause: self.cause(&cause)?,
            })
        });
        found.next().unwrap_or_else(unknown)
    }

    /// Who is trusted: what librdkafka was told to trust.
    fn judge(&self) -> Result<ClientConfig, Error> {
        let mut roots = RootCertStore::empty();
        let said = |name: &str| self.properties.get(name).map(String::as_str);
        match (said("ssl.ca.location"), said("ssl.ca.pem")) {
            (Some(path), _) if path != "probe" => trust_all(&mut roots, Path::new(path)),
            (None, Some(pem)) => {
                roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
            }
            _ => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth())
    }

    /// What an error means, unless it is nothing to this connection.
    fn cause(&self, error: &Error) -> Option<Cause> {
        let names_count = self
            .properties
            .get("ssl.endpoint.identification.algorithm")
            .is_none_or(|algorithm| algorithm != "none");
        match error {
            Error::InvalidCertificate(certificate) => match certificate {
                // The latter is an authority of the name of a trusted one, with another key.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Some(Cause::UnknownIssuer),
                CertificateError::Expired => Some(Cause::Expired(None)),
                CertificateError::ExpiredContext { time, not_after } => {
                    let ago = time.as_secs().saturating_sub(not_after.as_secs());
                    Some(Cause::Expired(Some(Duration::from_secs(ago))))
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Some(Cause::NotYetValid),
                CertificateError::NotValidForName if names_count => Some(Cause::OtherName(Vec::new())),
                CertificateError::NotValidForNameContext { presented, .. } if names_count => {
                    Some(Cause::OtherName(presented.clone()))
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => None,
                other => Some(Cause::Said(other.to_string())),
            },
            // Java's brokers object to an empty certificate as to a bad one.
            Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::HandshakeFailure,
            ) => self.is_anonymous().then_some(Cause::WantsCertificate),
            Error::InvalidMessage(_) => Some(Cause::NoTls),
            _ => None,
        }
    }

    /// Whether this client has no certificate to show.
    fn is_anonymous(&self) -> bool {
        let shows = [
            "ssl.certificate.location",
            "ssl.certificate.pem",
            "ssl.keystore.location",
        ];
        shows.iter().all(|name| !self.properties.contains_key(*name))
    }
}

/// Of a file, or of all files of a folder. What cannot be read is left out: librdkafka has complained about it before.
fn trust_all(roots: &mut RootCertStore, path: &Path) {
    let files = match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![path.to_owned()],
    };
    for file in files {
        if let Ok(certificates) = CertificateDer::pem_file_iter(file) {
            roots.add_parsable_certificates(certificates.flatten());
        }
    }
}

/// Whether TLS comes about. What only the network refuses is no answer.
fn handshake(address: &str, config: Arc<ClientConfig>) -> Result<(), Error> {
    let Some((name, socket)) = connect(address) else {
        return Ok(());
    };
    let mut stream = StreamOwned::new(ClientConnection::new(config, name)?, socket);
    while stream.conn.is_handshaking() {
        if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
            return told(&error);
        }
    }
    // Whether a client's certificate is missing is told with the first thing that the broker says after the handshake.
    // A broker that has nothing against it says nothing.
    let _as_it_was = stream.sock.set_read_timeout(Some(SILENCE));
    match stream.read_exact(&mut [0]) {
        Err(error) => told(&error),
        Ok(()) => Ok(()),
    }
}

fn connect(address: &str) -> Option<(ServerName<'static>, TcpStream)> {
    let (host, socket) = reach::connect(address, ANSWER)?;
    let name = ServerName::try_from(host).ok()?;
    socket.set_read_timeout(Some(ANSWER)).ok()?;
    socket.set_write_timeout(Some(ANSWER)).ok()?;
    Some((name, socket))
}

/// An error of TLS inside one of the socket.
fn told(error: &io::Error) -> Result<(), Error> {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => Err(error.clone()),
        None => Ok(()),
    }
}

/// In the largest unit of which there is at least one.
fn rough(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        86_400.. => (seconds / 86_400, "day"),
        3_600.. => (seconds / 3_600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(properties: &[(&str, &str)]) -> Connection {
        let mut connection = Connection::to("kafka.example:9093");
        for (name, value) in properties {
            connection.properties.insert((*name).to_owned(), (*value).to_owned());
        }
        connection
    }

    #[test]
    fn each_cause_has_a_sentence_and_a_way_out() {
        for (cause, sentence) in [
            (
                Cause::UnknownIssuer,
                "is signed by an authority that is not trusted here",
            ),
            (Cause::Expired(Some(Duration::from_hours(25))), "expired 1 day ago"),
            (
                Cause::OtherName(vec!["a".into(), "b".into()]),
                "is for another host: a, b",
            ),
            (Cause::NoTls, "does not speak TLS"),
        ] {
            let distrust = Distrust {
                address: "k:1".into(),
                cause,
            };
            assert!(distrust.to_string().ends_with(sentence), "{distrust}");
            assert!(!distrust.remedy().is_empty());
        }
    }

    #[test]
    fn a_name_that_is_not_looked_at_is_no_cause() {
        let error = Error::InvalidCertificate(CertificateError::NotValidForName);
        assert!(connection(&[]).cause(&error).is_some());
        let lax = connection(&[("ssl.endpoint.identification.algorithm", "none")]);
        assert_eq!(lax.cause(&error), None);
    }

    #[test]
    fn a_broker_that_is_not_there_leaves_librdkafkas_word() {
        let away = Connection::to("127.0.0.1:1");
        let distrust = away.distrust("certificate verify failed");
        assert_eq!(
            distrust.to_string(),
            "no TLS with Kafka at 127.0.0.1:1: certificate verify failed"
        );
    }

    #[test]
    fn times_are_told_roughly() {
        for (seconds, text) in [
            (1, "1 second"),
            (119, "1 minute"),
            (7_200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(rough(Duration::from_secs(seconds)), text);
        }
    }
}
