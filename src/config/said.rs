//! What was said, by whom: flags over environment over file over defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::{environment, file, keys, runtime};
use crate::args::{Flags, GlobalArgs};
use crate::report::Failure;
use crate::slug::Slug;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the configuration file.
    File(Place),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => write!(f, "file {place}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A place in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file as it was named.
    pub(crate) path: PathBuf,
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Its column in characters, from 1.
    pub(crate) column: usize,
    /// The line drawn with carets below what is meant.
    pub(crate) excerpt: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// One value as text, and who said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    /// The text.
    pub(crate) text: String,
    /// Who said it.
    pub(crate) origin: Origin,
}

impl Value {
    /// The failure of a value that `key` cannot have, with where it was said.
    pub(crate) fn invalid(&self, key: &str, why: &str) -> Failure {
        self.locate(Failure::new(Slug::ConfigInvalid, format!("{key}: {why}")))
    }

    /// Adds where the value was said.
    fn locate(&self, failure: Failure) -> Failure {
        match &self.origin {
            Origin::File(place) => failure.excerpt(&place.excerpt),
            Origin::Environment(name) => failure.hint(format!("it was said by the environment variable {name}")),
            Origin::Flag(_) | Origin::Default => failure,
        }
    }
}

/// What one source says: keys with their values.
pub(crate) type Layer = Vec<(String, Value)>;

/// Everything that was said: each known setting, and every property under `kafka.`.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    values: BTreeMap<String, Value>,
}

impl Said {
    /// Gathers what flags, environment, file and defaults say.
    ///
    /// # Errors
    /// An unknown key or variable, a file that cannot be read, a secret among the flags.
    pub(crate) fn gather(global: &GlobalArgs, command: &impl Flags) -> Result<Self, Failure> {
        let variables = &variables()?;
        let path = global.config.clone().or_else(|| environment::config_file(variables));
        let layers = [
            defaults(),
            file::layer(path.as_deref())?,
            environment::layer(variables)?,
            global.layer(command)?,
        ];
        Ok(Self {
            values: layers.into_iter().flatten().collect(),
        })
    }

    /// What holds when nobody says anything.
    #[cfg(test)]
    pub(crate) fn nothing() -> Self {
        Self {
            values: defaults().into_iter().collect(),
        }
    }

    /// What holds when one value is said by a flag.
    #[cfg(test)]
    pub(crate) fn only(key: &str, text: &str) -> Self {
        let mut said = Self::nothing();
        let (text, origin) = (text.to_owned(), Origin::Flag("--a-test"));
        said.values.insert(key.to_owned(), Value { text, origin });
        said
    }

    /// The value of a known setting.
    ///
    /// # Errors
    /// `internal`, if there is no such setting.
    pub(crate) fn value(&self, key: &str) -> Result<&Value, Failure> {
        self.values
            .get(key)
            .ok_or_else(|| Failure::new(Slug::Internal, format!("no setting is called {key}")))
    }

    /// The properties passed through to librdkafka, without the `kafka.` in front.
    pub(crate) fn kafka(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("kafka.")?, value)))
    }

    /// A failure about `key`, with where its value was said.
    pub(crate) fn located(&self, failure: Failure, key: &str) -> Failure {
        match self.values.get(key) {
            Some(value) => value.locate(failure),
            None => failure,
        }
    }

    /// All of it, in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }
}

/// The variables of ours; one that is not UTF-8 is an error.
fn variables() -> Result<Vec<(String, String)>, Failure> {
    std::env::vars_os()
        .filter(|(name, _)| name.as_encoded_bytes().starts_with(b"ORDERFLOW_"))
        .map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            let not_text = |_| Failure::new(Slug::ConfigInvalid, format!("the value of {name} is not UTF-8"));
            value.into_string().map_err(not_text).map(|value| (name.clone(), value))
        })
        .collect()
}

fn defaults() -> Layer {
    let ours = keys::SETTINGS
        .iter()
        .map(|setting| (setting.key.to_owned(), setting.default.to_owned()));
    let values = ours.chain(runtime::defaults());
    values
        .map(|(key, text)| {
            (
                key,
                Value {
                    text,
                    origin: Origin::Default,
                },
            )
        })
        .collect()
}
