//! Flags that every command takes.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::config::{Origin, Value, is_secret};
use crate::report::Failure;
use crate::slug::Slug;

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Addresses of the cluster [default: localhost:9092]
    #[arg(long, global = true, value_name = "HOST:PORT,…")]
    pub(crate) brokers: Option<String>,

    /// Folder of databases, ledgers and lock files [default: ./orderflow-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,

    /// Database of a service: sqlite:PATH, `{service}` standing for its name, or `postgres://USER@HOST/DATABASE`, where each
    /// service has a schema [default: `sqlite:{data_dir}/{service}.db`]
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    pub(crate) database: Option<String>,

    /// Schema registry that ids come from, such as `http://localhost:8081` [default: none]
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    pub(crate) registry: Option<String>,

    /// Any librdkafka property, as in the `kafka` table of the file; repeatable
    #[arg(
        short = 'X',
        long = "kafka-property",
        global = true,
        value_name = "NAME=VALUE",
        hide_short_help = true
    )]
    pub(crate) kafka_properties: Vec<String>,

    /// Configuration file [default: ./orderflow.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,

    /// Print data as JSON, and a failure as a problem object
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// auto, always or never [default: auto]
    #[arg(long, global = true, value_name = "WHEN", hide_short_help = true)]
    pub(crate) color: Option<String>,

    /// text, json, or auto: text on a terminal, JSON for a daemon elsewhere [default: auto]
    #[arg(long, global = true, value_name = "FORMAT", hide_short_help = true)]
    pub(crate) log_format: Option<String>,

    /// error, warn, info, debug, trace, or a filter such as `info,orderflow_runtime=debug`
    #[arg(long, global = true, value_name = "LEVEL", hide_short_help = true)]
    pub(crate) log_level: Option<String>,

    /// Say less; twice: errors only
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "verbose")]
    pub(crate) quiet: u8,

    /// Say more; twice: even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Flags that set settings.
pub(crate) trait Flags {
    /// For each flag the key it sets, its name, and the text given, if any.
    fn said(&self) -> Vec<(&'static str, &'static str, Option<&String>)>;
}

/// No flags of its own.
impl Flags for () {
    fn said(&self) -> Vec<(&'static str, &'static str, Option<&String>)> {
        Vec::new()
    }
}

impl Flags for GlobalArgs {
    fn said(&self) -> Vec<(&'static str, &'static str, Option<&String>)> {
        vec![
            ("brokers", "--brokers", self.brokers.as_ref()),
            ("data_dir", "--data-dir", self.data_dir.as_ref()),
            ("database", "--database", self.database.as_ref()),
            ("registry.url", "--registry", self.registry.as_ref()),
            ("color", "--color", self.color.as_ref()),
            ("log.format", "--log-format", self.log_format.as_ref()),
            ("log.level", "--log-level", self.log_level.as_ref()),
        ]
    }
}

impl GlobalArgs {
    /// What the flags say, and those of the command, by the keys of the settings.
    ///
    /// # Errors
    /// A property without a value, or a secret: other users can read a command line.
    pub(crate) fn layer(&self, command: &impl Flags) -> Result<Vec<(String, Value)>, Failure> {
        let flags = self.said().into_iter().chain(command.said());
        let said = flags.filter_map(|(key, flag, text)| {
            let text = text?.clone();
            Some(Ok((
                key.to_owned(),
                Value {
                    text,
                    origin: Origin::Flag(flag),
                },
            )))
        });
        said.chain(self.kafka_properties.iter().map(|text| property(text)))
            .collect()
    }

    /// How much more, or less, is to be logged.
    pub(crate) fn steps(&self) -> i8 {
        let steps = i16::from(self.verbose) - i16::from(self.quiet);
        i8::try_from(steps.clamp(-9, 9)).unwrap_or_default()
    }
}

fn property(text: &str) -> Result<(String, Value), Failure> {
    let Some((name, value)) = text.split_once('=') else {
        let shown = if is_secret(text) { "a secret" } else { text };
        return Err(Failure::new(Slug::Usage, format!("-X takes NAME=VALUE, not {shown:?}")));
    };
    if is_secret(name) {
        let variable = name.replace('.', "_").to_uppercase();
        return Err(Failure::new(
            Slug::SecretOnCommandLine,
            format!("{name} is a secret and stands on the command line"),
        )
        .hint(format!(
            "put it into a file and set ORDERFLOW_KAFKA_{variable}_FILE=PATH"
        )));
    }
    Ok((
        format!("kafka.{name}"),
        Value {
            text: value.to_owned(),
            origin: Origin::Flag("-X"),
        },
    ))
}
