//! What the environment says: `ORDERFLOW_*`, each of which must be known.

use std::path::PathBuf;

use super::kafka;
use super::keys::{self, SETTINGS};
use super::said::{Layer, Origin, Value};
use super::secret::{self, is_secret};
use crate::report::Failure;
use crate::slug::Slug;

/// Variables that are not settings: the file to read, and what tests say to the program.
const CONFIG_FILE: &str = "ORDERFLOW_CONFIG";
const FOR_TESTS: &str = "ORDERFLOW_TEST_";

/// Variables passed through to librdkafka: `ORDERFLOW_KAFKA_SASL_USERNAME` is `sasl.username`.
const KAFKA: &str = "ORDERFLOW_KAFKA_";

/// The short name of the level, as other programs have it.
const LOG: &str = "ORDERFLOW_LOG";

/// The short name of the registry's address.
const REGISTRY: &str = "ORDERFLOW_REGISTRY";

/// What the name of a variable ends with that names the file of a secret.
const IN_A_FILE: &str = "_FILE";

/// The configuration file that the environment names.
pub(super) fn config_file(variables: &[(String, String)]) -> Option<PathBuf> {
    variables
        .iter()
        .find(|(name, value)| name == CONFIG_FILE && !value.is_empty())
        .map(|(_, path)| path.into())
}

/// Every setting the environment holds. An empty variable counts as absent.
///
/// # Errors
/// A variable that is none of ours, or a file it names that cannot be read.
pub(super) fn layer(variables: &[(String, String)]) -> Result<Layer, Failure> {
    variables
        .iter()
        .filter(|(name, value)| name != CONFIG_FILE && !name.starts_with(FOR_TESTS) && !value.is_empty())
        .map(|(name, value)| entry(name, value.clone()))
        .collect()
}

fn entry(name: &str, text: String) -> Result<(String, Value), Failure> {
    let origin = Origin::Environment(name.to_owned());
    if let Some(property) = name.strip_prefix(KAFKA) {
        return kafka::property(&property_name(property), text, origin);
    }
    let key = match name {
        LOG => Some("log.level"),
        REGISTRY => Some("registry.url"),
        _ => key_of(name),
    };
    if let Some(key) = key {
        return Ok((key.to_owned(), Value { text, origin }));
    }
    // An address of a database may have a password in it.
    let in_a_file = |key: &&str| is_secret(key) || *key == "database";
    let secret = name.strip_suffix(IN_A_FILE).and_then(key_of).filter(in_a_file);
    let key = secret.ok_or_else(|| unknown(name))?;
    Ok((key.to_owned(), secret::of_file(&text, origin)?))
}

/// `SASL_PASSWORD` is `sasl.password`, and `SASL_PASSWORD_FILE` the file it stands in.
fn property_name(variable: &str) -> String {
    let name = variable.to_lowercase().replace('_', ".");
    match name.strip_suffix(".file") {
        Some(base) if is_secret(base) => format!("{base}_file"),
        _ => name,
    }
}

fn key_of(name: &str) -> Option<&'static str> {
    SETTINGS
        .iter()
        .map(|setting| setting.key)
        .find(|key| keys::variable(key) == name)
}

fn unknown(name: &str) -> Failure {
    let failure = Failure::new(
        Slug::ConfigUnknownKey,
        format!("the environment variable {name} is not known"),
    );
    match keys::nearest_variable(name) {
        Some(nearest) => failure.hint(format!("did you mean {nearest}?")),
        None => failure.hint("orderflow config show lists every setting"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_named_as_librdkafka_names_it() {
        assert_eq!(property_name("SECURITY_PROTOCOL"), "security.protocol");
        assert_eq!(property_name("SASL_PASSWORD_FILE"), "sasl.password_file");
        assert_eq!(property_name("SSL_CA_LOCATION"), "ssl.ca.location");
    }

    #[test]
    fn what_is_for_tests_or_empty_is_left_alone() {
        let variables = [
            ("ORDERFLOW_TEST_X", "1"),
            ("ORDERFLOW_BROKERS", ""),
            ("ORDERFLOW_CONFIG", "x.toml"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(layer(&variables), Ok(vec![]));
        assert_eq!(config_file(&variables), Some(PathBuf::from("x.toml")));
    }
}
