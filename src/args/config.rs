//! `config`.

use clap::{Args, Subcommand};

use crate::exit::Exit;
use crate::help;

/// Show the settings in force
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What can be done with the settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    Show(ConfigShowArgs),
}

/// Show every setting in force, and where it comes from
///
/// Prints each setting with its value. Secrets are masked. The settings are checked first, so this command is also the
/// way to try a configuration file.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow config show",
    "orderflow config show --origin",
    "orderflow config show --json",
], &[Exit::Done, Exit::Failed, Exit::Usage]))]
pub(crate) struct ConfigShowArgs {
    /// Also say who set it: a flag, a variable, a line of the file, or nobody
    #[arg(long)]
    pub(crate) origin: bool,
}
