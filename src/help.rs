//! The last sections of `--help`: examples that tests run, and exit codes.

use std::fmt::Write as _;

use anstyle::Style;

use crate::exit::{self, Exit};

/// EXAMPLES and EXIT CODES of a command.
pub(crate) fn sections(examples: &[&str], exits: &[Exit]) -> String {
    let heading = Style::new().bold().underline();
    let mut text = format!("{heading}Examples:{heading:#}\n");
    for example in examples {
        let _infallible = writeln!(text, "  $ {example}");
    }
    let _infallible = write!(text, "\n{heading}Exit codes:{heading:#}\n{}", exit::lines(exits));
    text.trim_end().to_owned()
}

/// The sections of the program itself: where to begin, and every code there is.
pub(crate) fn root() -> String {
    sections(
        &[
            "orderflow demo",
            "orderflow config show --origin",
            "orderflow explain kafka-unavailable",
        ],
        Exit::ALL,
    )
}
