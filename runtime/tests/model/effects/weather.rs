//! What the event asks for, and what goes wrong meanwhile.

/// What the event asks for, and what may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Weather {
    pub(crate) name: &'static str,
    pub(crate) pays: bool,
    /// How often its deadline is set in all.
    pub(crate) armings: u8,
    pub(crate) claims: u8,
    pub(crate) crashes: u8,
    pub(crate) lost: u8,
    /// Answers of the provider that never come.
    pub(crate) timeouts: u8,
    /// Whether the provider forgets.
    pub(crate) forgets: bool,
    pub(crate) nightly: bool,
    pub(crate) states: usize,
}

pub(crate) const WEATHERS: [Weather; 3] = [
    Weather {
        name: "payment",
        pays: true,
        armings: 0,
        claims: 3,
        crashes: 1,
        lost: 1,
        timeouts: 2,
        forgets: true,
        nightly: false,
        states: 28_878,
    },
    Weather {
        name: "deadline",
        pays: false,
        armings: 2,
        claims: 3,
        crashes: 1,
        lost: 2,
        timeouts: 0,
        forgets: false,
        nightly: false,
        states: 2_137,
    },
    Weather {
        name: "payment and deadline",
        pays: true,
        armings: 1,
        claims: 3,
        crashes: 1,
        lost: 1,
        timeouts: 1,
        forgets: true,
        nightly: true,
        states: 81_876,
    },
];
