//! The `[registry]` table, typed.

use std::path::Path;
use std::time::Duration;

use orderflow_schemas::registry::{Address, Credentials, InvalidAddress, Options, Secret};

use super::resolved::parse;
use super::said::Said;
use crate::report::Failure;
use crate::slug::Slug;
use crate::units;

/// The file below the data folder in which is kept what the registry said.
const KEPT_IN: &str = "registry.json";

/// The registry and how to speak to it; `None` where none is named.
///
/// # Errors
/// An address that is none, credentials of two kinds or half of a pair.
pub(super) fn options(said: &Said, data_dir: &Path) -> Result<Option<Options>, Failure> {
    let url = said.value("registry.url")?;
    if url.text.is_empty() {
        return Ok(None);
    }
    let address: Address = url.text.parse().map_err(|error| match error {
        // Not even the line is shown: the password stands in it.
        InvalidAddress::Credentials => Failure::new(Slug::ConfigInvalid, format!("registry.url: {error}"))
            .hint("set ORDERFLOW_REGISTRY_USERNAME and ORDERFLOW_REGISTRY_PASSWORD_FILE=PATH"),
        _ => url.invalid("registry.url", &error.to_string()),
    })?;
    let ca_file = &said.value("registry.ca_file")?.text;
    Ok(Some(Options {
        credentials: credentials(said)?,
        ca_file: (!ca_file.is_empty()).then(|| ca_file.into()),
        timeout: parse(said, "registry.timeout", timeout)?,
        kept_in: Some(data_dir.join(KEPT_IN)),
        ..Options::at(address)
    }))
}

/// Where these are wrong, no line of the file is shown: it would be one with a secret.
fn credentials(said: &Said) -> Result<Credentials, Failure> {
    let text = |key: &str| Ok::<_, Failure>(said.value(key)?.text.clone());
    let (username, password) = (text("registry.username")?, text("registry.password")?);
    let token = text("registry.token")?;
    let wrong = |why: &str| Err(Failure::new(Slug::ConfigInvalid, why));
    match (username.is_empty(), password.is_empty(), token.is_empty()) {
        (true, true, true) => Ok(Credentials::None),
        (true, true, false) => Ok(Credentials::Bearer(Secret::new(token))),
        (false, false, true) if username.contains(':') => wrong("registry.username: a user's name has no colon"),
        (false, false, true) => Ok(Credentials::Basic {
            username,
            password: Secret::new(password),
        }),
        (_, _, false) => {
            wrong("registry.token: there is a user or a password too; a registry is shown one or the other")
        }
        (true, false, true) => wrong("registry.password: there is no registry.username that it belongs to"),
        (false, true, true) => wrong("registry.username: its password is missing (registry.password_file)"),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = units::duration(text)?;
    if timeout.is_zero() {
        return Err("no answer comes in no time".to_owned());
    }
    Ok(timeout)
}
