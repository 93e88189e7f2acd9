//! `completions` and `man`: what a package installs beside the program.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::help;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow completions bash > /usr/share/bash-completion/completions/orderflow",
    "orderflow completions zsh > /usr/local/share/zsh/site-functions/_orderflow",
    "orderflow completions fish > ~/.config/fish/completions/orderflow.fish",
], &[Exit::Done, Exit::Failed, Exit::Usage]))]
pub(crate) struct CompletionsArgs {
    /// Whose completions
    pub(crate) shell: Shell,
}

/// Print the manual page, or write all pages into a folder
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow man | man -l -",
    "orderflow man order place | man -l -",
    "orderflow man --dir /usr/share/man/man1",
], &[Exit::Done, Exit::Failed, Exit::Usage]))]
pub(crate) struct ManArgs {
    /// The command whose page to print; none: the program's own
    #[arg(conflicts_with = "dir")]
    pub(crate) command: Vec<String>,

    /// Write one page per command into this folder, which is made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
