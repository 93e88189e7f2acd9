//! Why a registry did not say what was asked.

use thiserror::Error;

/// Why a registry did not say what was asked. Everything in it is fit to be printed: no secret, no control character.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// Nobody answered in time. Asking again later may help.
    #[error("the schema registry at {url} does not answer: {why}")]
    Unreachable {
        /// Its address.
        url: String,
        /// What happened instead.
        why: String,
    },
    /// It answered that it cannot, for now.
    #[error("the schema registry at {url} cannot answer now: {status}{}", said(.message))]
    Unavailable {
        /// Its address.
        url: String,
        /// What HTTP calls it, as `503 Service Unavailable`.
        status: String,
        /// Its own words, if it had any.
        message: String,
    },
    /// Its certificate is not one that is trusted, or it does not speak TLS.
    #[error("the schema registry at {url} is not to be trusted: {why}")]
    Untrusted {
        /// Its address.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// It wants to know who asks, or does not let the one who asks.
    #[error("the schema registry at {url} refuses: {status}{}", said(.message))]
    Denied {
        /// Its address.
        url: String,
        /// 401 or 403.
        status: String,
        /// Its own words, if it had any.
        message: String,
    },
    /// There is no such subject, version or schema.
    #[error("the schema registry at {url} has no such thing ({code}){}", said(.message))]
    NotFound {
        /// Its address.
        url: String,
        /// Confluent's number: 40401 no subject, 40402 no version, 40403 no schema.
        code: u64,
        /// Its own words.
        message: String,
    },
    /// A schema does not go with those that are registered.
    #[error("the schema registry at {url} finds the schema incompatible with what is registered{}", said(.message))]
    Incompatible {
        /// Its address.
        url: String,
        /// Its own words.
        message: String,
    },
    /// It does not take what was sent.
    #[error("the schema registry at {url} does not take the request: {status}{}", said(.message))]
    Refused {
        /// Its address.
        url: String,
        /// What HTTP calls it.
        status: String,
        /// Its own words.
        message: String,
    },
    /// What answers is no registry, or one that speaks otherwise.
    #[error("what answers at {url} is not a schema registry: {what}")]
    Unexpected {
        /// The address.
        url: String,
        /// What came instead.
        what: String,
    },
    /// The request could not even be made: a file of certificates that cannot be read.
    #[error("{what}")]
    Unusable {
        /// What is wrong.
        what: String,
    },
}

impl RegistryError {
    /// Whether the same question may be answered later without anybody doing anything here.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unavailable { .. })
    }

    /// Whether the registry says for sure that there is no such subject, version or schema.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

fn said(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

/// Longest message of a registry that is repeated.
const SHOWN_CHARS: usize = 300;

/// The words of somebody else, fit for one line of a log.
pub(super) fn tame(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut tamed: String = line.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
    if tamed.len() < line.len() && line.chars().count() > SHOWN_CHARS {
        tamed.push('…');
    }
    tamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_one_line_without_control_characters() {
        assert_eq!(tame(" a\n\tb\u{1b}[31m c "), "a b[31m c");
        assert_eq!(tame(&"x".repeat(1_000)).chars().count(), SHOWN_CHARS + 1);
    }
}
