//! What the librdkafka in this binary can do, and what a connection asks of it.

use rdkafka::config::ClientConfig;
use thiserror::Error;

use super::Connection;

/// Something the connection needs that this binary was built without.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("this binary was built without {feature}, which {property} = {value} needs")]
pub struct Unbuilt {
    /// The property that asks for it.
    pub property: &'static str,
    /// Its value.
    pub value: String,
    feature: &'static str,
}

impl Unbuilt {
    /// Whether the feature `tls` brings it.
    #[must_use]
    pub fn comes_with_tls(&self) -> bool {
        self.feature != KERBEROS
    }
}

const TLS: &str = "TLS";
const SCRAM: &str = "SCRAM";
const OAUTHBEARER: &str = "OAUTHBEARER";
const KERBEROS: &str = "Kerberos (GSSAPI)";

/// The name of the mechanism has two spellings.
const MECHANISMS: [&str; 2] = ["sasl.mechanism", "sasl.mechanisms"];

/// What librdkafka falls back to when nobody names a mechanism.
const DEFAULT_MECHANISM: &str = "GSSAPI";

impl Connection {
    /// The first thing that the properties ask for and that librdkafka was built without.
    #[must_use]
    pub fn unbuilt(&self) -> Option<Unbuilt> {
        self.lacking(&built_in())
    }

    fn lacking(&self, built_in: &str) -> Option<Unbuilt> {
        let has = |feature: &str| built_in.split(',').any(|built| built.trim() == feature);
        let protocol = self.protocol();
        if protocol.ends_with("ssl") && !has("ssl") {
            let property = "security.protocol";
            return Some(Unbuilt {
                property,
                value: protocol,
                feature: TLS,
            });
        }
        if !protocol.starts_with("sasl") {
            return None;
        }
        let (property, mechanism) = self.mechanism();
        let (feature, needed) = match &*mechanism {
            "SCRAM-SHA-256" | "SCRAM-SHA-512" => (SCRAM, "sasl_scram"),
            "OAUTHBEARER" => (OAUTHBEARER, "sasl_oauthbearer"),
            "GSSAPI" => (KERBEROS, "sasl_gssapi"),
            _ => return None,
        };
        (!has(needed)).then_some(Unbuilt {
            property,
            value: mechanism,
            feature,
        })
    }

    /// `security.protocol` in lower case.
    fn protocol(&self) -> String {
        let protocol = self.properties.get("security.protocol");
        protocol.map_or("plaintext".to_owned(), |protocol| protocol.to_lowercase())
    }

    /// Whether clients say who they are by this SASL mechanism.
    #[must_use]
    pub fn speaks(&self, mechanism: &str) -> bool {
        self.protocol().starts_with("sasl") && self.mechanism().1 == mechanism
    }

    /// The SASL mechanism, in upper case, with the property that names it.
    fn mechanism(&self) -> (&'static str, String) {
        let named = MECHANISMS
            .iter()
            .find_map(|name| Some((*name, self.properties.get(*name)?.to_uppercase())));
        named.unwrap_or((MECHANISMS[0], DEFAULT_MECHANISM.to_owned()))
    }
}

/// The features that librdkafka lists of itself, with commas between.
fn built_in() -> String {
    let native = ClientConfig::new().create_native_config();
    native
        .and_then(|native| native.get("builtin.features"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "gzip,snappy,sasl,regex,lz4,sasl_plain,plugins";
    const ALL: &str = "gzip,snappy,ssl,sasl,regex,lz4,sasl_plain,sasl_scram,plugins,sasl_oauthbearer";

    fn lacking(built_in: &str, properties: &[(&str, &str)]) -> Option<String> {
        let mut connection = Connection::to("b:1");
        for (name, value) in properties {
            connection.properties.insert((*name).to_owned(), (*value).to_owned());
        }
        connection.lacking(built_in).map(|unbuilt| unbuilt.to_string())
    }

    #[test]
    fn what_is_asked_for_and_not_there_is_named() {
        let sentence = lacking(PLAIN, &[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN")]);
        assert_eq!(
            sentence.as_deref(),
            Some("this binary was built without TLS, which security.protocol = sasl_ssl needs")
        );
        for (mechanism, feature) in [
            ("SCRAM-SHA-256", "SCRAM"),
            ("scram-sha-512", "SCRAM"),
            ("OAUTHBEARER", "OAUTHBEARER"),
        ] {
            let sentence = lacking(
                PLAIN,
                &[("security.protocol", "sasl_plaintext"), ("sasl.mechanisms", mechanism)],
            );
            assert!(sentence.is_some_and(|sentence| sentence.contains(&format!("without {feature}"))));
        }
    }

    #[test]
    fn what_is_there_is_let_pass() {
        for properties in [
            &[][..],
            &[("security.protocol", "ssl")],
            &[("security.protocol", "sasl_ssl"), ("sasl.mechanism", "SCRAM-SHA-512")],
            &[("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN")],
        ] {
            assert_eq!(lacking(ALL, properties), None, "{properties:?}");
        }
        assert_eq!(
            lacking(PLAIN, &[("sasl.mechanism", "SCRAM-SHA-256")]),
            None,
            "no SASL is spoken"
        );
    }

    #[test]
    fn nobody_gets_kerberos_by_not_naming_a_mechanism() {
        let sentence = lacking(ALL, &[("security.protocol", "sasl_ssl")]).expect("refused");
        assert!(
            sentence.contains("Kerberos") && sentence.contains("sasl.mechanism = GSSAPI"),
            "{sentence}"
        );
    }
}
