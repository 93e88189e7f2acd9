//! Exit codes: part of the interface, so a number never changes its meaning.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// What was asked for is done; a daemon has drained.
    Done = 0,
    /// It failed, wholly or in one row.
    Failed = 1,
    /// The command line or the configuration cannot be used.
    Usage = 2,
    /// Refused: a confirmation or a right is missing.
    Refused = 3,
    /// A dependency cannot be reached now; trying again later may help.
    Unreachable = 4,
    /// Stopped for safety: a person has to decide, a restart does not help.
    Halted = 5,
    /// Alive and not well.
    Unhealthy = 10,
    /// The audit found an invariant violated.
    Violated = 11,
    /// The selector of an act matched nothing.
    NothingMatched = 12,
    /// The deadline of `--wait` or `--timeout` passed.
    DeadlinePassed = 13,
    /// Ended by SIGINT before the end.
    Interrupted = 130,
    /// Ended by SIGTERM before the end.
    Terminated = 143,
}

impl Exit {
    /// Every code there is, in the order of its number.
    pub(crate) const ALL: &[Self] = &[
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Refused,
        Self::Unreachable,
        Self::Halted,
        Self::Unhealthy,
        Self::Violated,
        Self::NothingMatched,
        Self::DeadlinePassed,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number a shell sees.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// What the number says, in half a line.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; a daemon has drained",
            Self::Failed => "failed, wholly or in one row",
            Self::Usage => "the command line or the configuration cannot be used",
            Self::Refused => "refused: a confirmation or a right is missing",
            Self::Unreachable => "a dependency cannot be reached; try again",
            Self::Halted => "halted for safety: a person decides, do not restart",
            Self::Unhealthy => "not healthy",
            Self::Violated => "the audit found a violated invariant",
            Self::NothingMatched => "the selector matched nothing",
            Self::DeadlinePassed => "the deadline passed",
            Self::Interrupted => "ended by SIGINT before the end",
            Self::Terminated => "ended by SIGTERM before the end",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The lines of an EXIT CODES section.
pub(crate) fn lines(exits: &[Exit]) -> String {
    exits.iter().fold(String::new(), |mut text, exit| {
        let _infallible = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once_and_in_order() {
        let codes: Vec<_> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 130, 143]);
    }
}
