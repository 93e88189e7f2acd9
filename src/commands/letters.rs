//! Which of the events sent have become dead letters: what a group has handled it may have refused.

use std::collections::HashMap;
use std::time::Duration;

use orderflow_domain::EventId;
use orderflow_operations::topics::tail::{Next, Options, Start, Tail, TailRecord};
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::{DETAIL_HEADER, REASON_HEADER};
use orderflow_schemas::registry::Reader;
use serde::Serialize;

use super::failures::of_topics;
use crate::report::{Failure, Stop};
use crate::signals::Signals;
use crate::slug::Slug;
use crate::waiting::Deadline;

/// How long to wait for a record before signals are looked at.
const WAIT: Duration = Duration::from_millis(100);

/// Most events that a failure names; all of them are in the data.
const NAMED: usize = 20;

/// An event that a group refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Refused {
    event_id: String,
    reason: String,
    detail: String,
}

/// Those of `sent` that stand in the dead-letter topic `topic`, in the order of sending. To be asked when the group has
/// handled them all: it says so only when their dead letters are in the topic.
///
/// The topic is read from its beginning: an event that was refused and is sent again is recognised as a duplicate, and no
/// second letter is written. One that was redriven meanwhile is still told as refused.
///
/// # Errors
/// What keeps the topic from being read; brokers that do not answer are asked again until the deadline. A signal ends it
/// early, with its exit code.
pub(super) fn among(
    sent: &[EventId],
    topic: &str,
    connection: &Connection,
    (deadline, signals): (Deadline, &Signals),
) -> Result<Vec<Refused>, Stop> {
    loop {
        match read(sent, topic, connection, (deadline, signals)) {
            Err(Stop::Failed(failure)) if failure.is(Slug::KafkaUnavailable) => {
                if let Some(exit) = signals.exit() {
                    return Err(Stop::Signal(exit));
                }
                if deadline.has_passed() {
                    return Err(too_late(deadline, &failure).into());
                }
                std::thread::sleep(WAIT);
            }
            read => return read,
        }
    }
}

/// Nobody knows what became of the events, and why nobody does.
fn too_late(deadline: Deadline, unanswered: &Failure) -> Failure {
    deadline.failure("the dead letters could not be read").after(unanswered)
}

fn read(
    sent: &[EventId],
    topic: &str,
    connection: &Connection,
    (deadline, signals): (Deadline, &Signals),
) -> Result<Vec<Refused>, Stop> {
    let mut letters: HashMap<_, Option<Refused>> = sent.iter().map(|id| (id.to_string(), None)).collect();
    let options = Options {
        topics: vec![topic.to_owned()],
        start: Start::Beginning,
        // Headers say all that is asked here: no registry is waited for because of a value.
        reader: Reader::default(),
        ..Options::default()
    };
    let mut tail = Tail::open(connection, options).map_err(|error| of_topics(&error))?;
    loop {
        if let Some(exit) = signals.exit() {
            return Err(Stop::Signal(exit));
        }
        if deadline.has_passed() {
            return Err(deadline.failure("not all dead letters had been read").into());
        }
        match tail.next(WAIT).map_err(|error| of_topics(&error))? {
            Next::Record(letter) => {
                let refused = Refused::of(&letter);
                if let Some(known) = letters.get_mut(&refused.event_id) {
                    *known = Some(refused);
                }
            }
            Next::Idle => {}
            Next::End => break,
        }
    }
    Ok(sent.iter().filter_map(|id| letters.remove(&id.to_string())?).collect())
}

/// What the command comes to when `group` refused some of what it `sent`.
pub(super) fn failure(refused: &[Refused], sent: usize, (group, topic): (&str, &str)) -> Failure {
    let message = format!(
        "{group} refused {} of {sent} events, and applied nothing of them",
        refused.len()
    );
    let named = refused.iter().take(NAMED).map(Refused::to_string);
    let failure = named.fold(Failure::new(Slug::EventRefused, message), Failure::because);
    let failure = match refused.len().saturating_sub(NAMED) {
        0 => failure,
        more => failure.because(format!("and {more} more")),
    };
    failure.hint(format!("orderflow topics tail {topic}"))
}

impl Refused {
    fn of(letter: &TailRecord) -> Self {
        let header = |name| String::from_utf8_lossy(letter.header(name).unwrap_or_default()).into_owned();
        Self {
            event_id: header("ce_id"),
            reason: header(REASON_HEADER),
            detail: header(DETAIL_HEADER),
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            event_id,
            reason,
            detail,
        } = self;
        write!(f, "event {event_id}: {reason}: {detail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_first_and_counts_the_rest() {
        let refused = |n: usize| Refused {
            event_id: n.to_string(),
            reason: "invalid_order".to_owned(),
            detail: "count: is 1".to_owned(),
        };
        let told = |count: usize| {
            let all: Vec<_> = (0..count).map(refused).collect();
            failure(&all, 30, ("inventory", "stock.inventory.dlq")).plain()
        };
        insta::assert_snapshot!(told(1), @r"
        error[event-refused]: inventory refused 1 of 30 events, and applied nothing of them
        caused by: event 0: invalid_order: count: is 1
        hint: orderflow topics tail stock.inventory.dlq
        ");
        assert!(told(25).contains("caused by: event 19: ") && told(25).contains("caused by: and 5 more\n"));
        assert!(!told(25).contains("caused by: event 20: "));
    }

    #[test]
    fn who_got_no_answer_until_the_deadline_says_why() {
        let unanswered = Failure::new(Slug::KafkaUnavailable, "no broker of kafka:9092 answered within 10 s")
            .because("kafka:9092/bootstrap: Connection refused")
            .hint("orderflow config show --origin");
        insta::assert_snapshot!(too_late(Deadline::after(Duration::ZERO), &unanswered).plain(), @r"
        error[deadline-passed]: the dead letters could not be read after 0 s; what was written stays written
        caused by: no broker of kafka:9092 answered within 10 s
        caused by: kafka:9092/bootstrap: Connection refused
        ");
    }
}
