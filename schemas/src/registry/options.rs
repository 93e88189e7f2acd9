//! How to reach a registry, and what to show it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Address;

/// What must not be printed. It is shown as asterisks, whoever asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
    None,
    /// A user with a password, or an API key with its secret.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// Whoever has the token.
    Bearer(Secret),
}

/// A registry and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it is.
    pub address: Address,
    /// What is shown to it.
    pub credentials: Credentials,
    /// A file of certificates (PEM) that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long a request may take, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// The file in which is kept what the registry said, so that it need not be there when a process starts.
    pub kept_in: Option<PathBuf>,
}

impl Options {
    /// How long a request may take unless said otherwise. A registry answers within milliseconds; a loaded one within a
    /// second or two.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// A registry that asks nobody who he is, of which nothing is kept.
    #[must_use]
    pub const fn at(address: Address) -> Self {
        Self {
            address,
            credentials: Credentials::None,
            ca_file: None,
            timeout: Self::TIMEOUT,
            kept_in: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let mut options = Options::at("http://registry".parse().expect("an address"));
        for credentials in [
            Credentials::Bearer(Secret::new("hunter2")),
            Credentials::Basic {
                username: "ada".to_owned(),
                password: Secret::new("hunter2"),
            },
        ] {
            options.credentials = credentials;
            let shown = format!("{options:?} {options:#?}");
            assert!(shown.contains("********") && !shown.contains("hunter2"), "{shown}");
        }
    }
}
