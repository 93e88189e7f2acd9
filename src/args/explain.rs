//! `explain`.

use clap::Args;

use crate::exit::Exit;
use crate::help;

/// Explain an error by its name
///
/// Every failure bears a name in brackets, as in `error[kafka-unavailable]`. This prints what it means and what to do.
/// Without a name it lists all of them.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow explain",
    "orderflow explain kafka-unavailable",
    "orderflow explain wrong-database --json",
], &[Exit::Done, Exit::Failed, Exit::Usage]))]
pub(crate) struct ExplainArgs {
    /// The name in brackets behind `error`
    pub(crate) slug: Option<String>,
}
