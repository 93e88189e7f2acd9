//! Secrets: known by their name, read from files, never printed.

use std::fs;
use std::path::Path;

use super::said::{Origin, Value};
use crate::report::Failure;
use crate::slug::Slug;

/// What the name of a secret has in it.
const MARKS: &[&str] = &[
    "password",
    "passphrase",
    "secret",
    "token",
    "jaas",
    "key",
    "oauthbearer.config",
];

/// What the name of something that only points to a secret, or is none, ends with.
const POINTERS: &[&str] = &[".location", ".url", ".file", "_file", ".type", ".id"];

/// Whether a key, ours or librdkafka's, holds what must not be printed.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    MARKS.iter().any(|mark| key.contains(mark)) && !POINTERS.iter().any(|end| key.ends_with(end))
}

/// The value that stands in a file.
///
/// # Errors
/// The file cannot be read or is not text.
pub(super) fn of_file(path: &str, origin: Origin) -> Result<Value, Failure> {
    let text = read(Path::new(path), &origin.to_string())?;
    Ok(Value { text, origin })
}

/// Reads a secret from a file, without the line end that editors add.
///
/// # Errors
/// The file cannot be read or is not text.
fn read(path: &Path, asked_by: &str) -> Result<String, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read the secret that {asked_by} names, {}", path.display());
        Failure::new(Slug::ConfigUnreadable, message).caused_by(&error)
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_name() {
        for key in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "sasl.oauthbearer.client.secret",
            "sasl.jaas.config",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.token",
            "sasl.oauthbearer.token.command",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in [
            "sasl.username",
            "ssl.key.location",
            "security.protocol",
            "brokers",
            "sasl.oauthbearer.client.id",
            "sasl.oauthbearer.token_file",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
