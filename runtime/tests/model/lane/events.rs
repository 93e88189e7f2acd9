//! What comes in, and what goes wrong meanwhile.

/// A record's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Event {
    /// Below [`IDS`](super::database::IDS).
    pub(crate) id: u8,
    pub(crate) hash: u8,
    /// Its timestamp, on the same scale as the database's clock.
    pub(crate) time: u8,
    /// How often it is refused before the service can take it.
    pub(crate) refusals: u8,
}

/// How much of each may still happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// A process dies and comes back with an empty memory.
    pub(crate) crashes: u8,
    /// The group takes the lane from one and gives it to the other.
    pub(crate) moves: u8,
    /// The answer to COMMIT is lost.
    pub(crate) lost: u8,
    /// The server rolls an open transaction back.
    pub(crate) aborts: u8,
    /// The client starts one record too far on.
    pub(crate) strays: u8,
    /// Somebody produces a dead letter into the redrive topic.
    pub(crate) redrives: u8,
    /// Time passes, and retention deletes.
    pub(crate) retains: u8,
    /// The database is replaced by an earlier copy of itself.
    pub(crate) set_backs: u8,
}

/// Input and faults.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    pub(crate) name: &'static str,
    /// The main topic by offset; `None` is an offset without a record.
    pub(crate) records: Vec<Option<Event>>,
    pub(crate) faults: Faults,
    /// How many records a client holds ready.
    pub(crate) buffer: usize,
    /// Whether [`Been`](super::Been) is noted.
    pub(crate) noted: bool,
    /// States there are, as counted when the model was last changed on purpose.
    pub(crate) states: usize,
}

/// Name, records, faults, states.
///
/// A record is the number of its event; `'` stands for other bytes under the same id, each `!` for a refusal before it is
/// taken, `+` for a timestamp in the future, `-` for an offset without a record. What is marked nightly is too large for a commit.
const WEATHERS: &[(&str, &str, &str, usize)] = &[
    ("calm", "0 1 2", "", 397),
    ("one record", "0", "move move lost abort", 15_022),
    ("crashes", "0 1", "crash move", 30_852),
    ("answers", "0 1", "lost abort move", 68_714),
    ("zombies", "0 1", "move move read-ahead", 39_825),
    ("one zombie", "0 1", "move read-ahead", 12_303),
    ("repeats", "0 0 0'", "move", 31_424),
    ("sparse", "0 - 1", "move read-ahead", 12_303),
    ("refused", "0! 1", "crash redrive", 3_081),
    ("refused twice", "0!! 0!!", "lost redrive redrive", 5_966),
    ("strays", "0 1", "stray move", 29_010),
    ("one stray", "0 1 2", "stray read-ahead", 827),
    ("retention", "0 1+ 0 1+", "retain", 3_699),
    ("set back", "0 1", "set-back", 874),
    ("a long day", "0 0", "move lost lost abort noted", 130_988),
    ("zombies at night", "0 0 1", "move move nightly", 98_634),
    ("crashes at night", "0 1", "crash crash move lost nightly", 120_115),
    ("answers at night", "0 1", "lost lost abort move nightly", 106_891),
    ("repeats at night", "0 0 0'", "crash move lost abort nightly", 461_690),
    ("sparse night", "0 - 1", "move lost crash read-ahead nightly", 73_245),
    ("refused at night", "0! 1", "crash move redrive nightly", 696_780),
    ("stray night", "0 1", "stray stray crash move lost nightly", 282_887),
    ("retention at night", "0 1+ 0 1+", "retain move nightly", 1_738_064),
    ("set back at night", "0 1", "set-back move lost nightly", 255_688),
];

/// Names of all weathers, of the day or of the night.
pub(crate) fn weathers(nightly: bool) -> impl Iterator<Item = &'static str> {
    let some = WEATHERS
        .iter()
        .filter(move |weather| weather.2.contains("nightly") == nightly);
    some.map(|weather| weather.0)
}

/// The weather of that name.
pub(crate) fn weather(wanted: &str) -> Weather {
    let found = WEATHERS.iter().find(|(name, ..)| *name == wanted);
    let (name, records, faults, states) = found.unwrap_or_else(|| panic!("there is no weather {wanted:?}"));
    let many = |fault| u8::try_from(faults.split(' ').filter(|said| *said == fault).count()).expect("a handful");
    Weather {
        name,
        records: records.split(' ').map(record).collect(),
        faults: Faults {
            crashes: many("crash"),
            moves: many("move"),
            lost: many("lost"),
            aborts: many("abort"),
            strays: many("stray"),
            redrives: many("redrive"),
            retains: many("retain"),
            set_backs: many("set-back"),
        },
        buffer: usize::from(1 + many("read-ahead")),
        noted: many("noted") > 0,
        states: *states,
    }
}

fn record(said: &str) -> Option<Event> {
    let many = |mark| u8::try_from(said.matches(mark).count()).expect("a handful");
    let number = said.trim_end_matches(['\'', '!', '+']);
    Some(Event {
        id: number.parse().ok()?,
        hash: many('\''),
        time: 2 * many('+'),
        refusals: many('!'),
    })
}
