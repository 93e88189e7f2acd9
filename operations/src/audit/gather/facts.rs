//! The records that groups wrote, each held against the outbox row whose sequence it bears.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use orderflow_runtime::store::{Lane, Sequence};
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use rusqlite::{OptionalExtension as _, params};
use uuid::Uuid;

use super::super::cluster::Ends;
use super::super::digest::Hash;
use super::super::report::{Invariant, Violation};
use super::super::system::{AuditedTopic, Group, Role, System, TopicIndex};
use super::super::work::Work;
use super::super::{AuditError, Options};
use super::copy::{Copy, Differs, Row, Sent, headers};
use super::{Gathered, letters};

/// Reads what groups wrote.
pub(super) struct Copies<'a> {
    gathered: &'a mut Gathered,
    system: &'a System,
    due: &'a Ends,
    /// Outbox rows from before, milliseconds, may have been deleted.
    kept_from: i64,
    /// How many sequences are in a topic, and their outbox rows were deleted for their age.
    forgotten: u64,
    /// Sequence of the last first copy, by topic, partition, group and lane.
    last: HashMap<(TopicIndex, i32, Group, Lane), Sequence>,
}

impl<'a> Copies<'a> {
    pub(super) fn new(gathered: &'a mut Gathered, system: &'a System, (due, options): (&'a Ends, &Options)) -> Self {
        let kept = i64::try_from(options.outbox_retention.as_millis()).unwrap_or(i64::MAX);
        Self {
            gathered,
            system,
            due,
            kept_from: now().saturating_sub(kept),
            forgotten: 0,
            last: HashMap::new(),
        }
    }

    pub(super) fn record(
        &mut self,
        topic: (TopicIndex, &AuditedTopic),
        message: &BorrowedMessage<'_>,
    ) -> Result<(), AuditError> {
        self.gathered.totals.records += 1;
        let copy = Copy::of(topic, message);
        match copy.row(&self.gathered.work)? {
            Some((Row::Same { event_id, copies: 1 }, sent)) => self.first(&copy, sent, event_id),
            Some((Row::Same { event_id, .. }, sent)) => {
                self.gathered.totals.republished += 1;
                self.check_letter(&copy, sent, event_id).map(drop)
            }
            Some((Row::Differs(row), sent)) => self.differing(&copy, sent, &row),
            None => self.unknown(&copy),
        }
    }

    /// Fails when outbox rows were deleted for their age.
    pub(super) fn finish(self) -> Result<(), AuditError> {
        match self.forgotten {
            0 => Ok(()),
            rows => Err(AuditError::Missing(format!(
                "{rows} outbox rows have been deleted, as they are when they are older than `outbox_retention`; \
                 without them nothing can be proved. Audit within that time, or raise it"
            ))),
        }
    }

    fn first(&mut self, copy: &Copy<'_>, sent: Sent, event_id: Option<Uuid>) -> Result<(), AuditError> {
        let Sent { group, lane, sequence } = sent;
        let place = (copy.topic, copy.message.partition(), group, lane);
        let last = self.last.entry(place).or_insert(0);
        let overtaken = *last > sequence;
        *last = sequence.max(*last);
        if overtaken {
            let sentence = format!("the first copy of sequence {sequence} of lane {lane} stands behind a later one");
            self.violation(Invariant::PublishOrder, copy, (group, event_id, sentence));
        }
        match copy.role {
            Role::Letters => self.check_letter(copy, sent, event_id).map(drop),
            _ => self.announced(copy, event_id),
        }
    }

    /// What a fact says of its order.
    fn announced(&mut self, copy: &Copy<'_>, event_id: Option<Uuid>) -> Result<(), AuditError> {
        let Some(outcome) = self.gathered.values.outcome(copy.message.payload())? else {
            return Ok(());
        };
        if Some(outcome.event_id) != event_id {
            let row = event_id.unwrap_or_default();
            let sentence = format!("the event is {}, and its outbox row says {row}", outcome.event_id);
            self.violation(Invariant::Outbox, copy, (copy.group, event_id, sentence));
        }
        let gathered = &mut *self.gathered;
        gathered.held.add(&gathered.work, &outcome.reservations)?;
        outcome.insert(&gathered.work, copy.group, true, copy.place())
    }

    /// It bears the sequence of a row that is another record.
    fn differing(&mut self, copy: &Copy<'_>, sent: Sent, row: &Differs) -> Result<(), AuditError> {
        if self.check_letter(copy, sent, row.event_id)? {
            return Ok(());
        }
        let what = match (row.body, row.headers) {
            (true, _) => "another key or value",
            (_, true) => "other headers",
            _ => "another topic or partition",
        };
        let Sent { group, lane, sequence } = sent;
        let sentence = format!("it bears sequence {sequence} of lane {lane}, whose outbox row has {what}");
        let event_id = self.said_id(copy)?.or(row.event_id);
        self.violation(Invariant::Outbox, copy, (group, event_id, sentence));
        match copy.role {
            Role::Letters => Ok(()),
            _ => self.claimed(copy, row.first && !row.body),
        }
    }

    /// The id that a record's value tells.
    fn said_id(&self, copy: &Copy<'_>) -> Result<Option<Uuid>, AuditError> {
        let event = self.gathered.values.event(copy.message.payload())?;
        Ok(event.map(|event| event.meta().event_id.0))
    }

    /// No outbox has it: written after the database was read, or a row is missing, or it never came from there.
    fn unknown(&mut self, copy: &Copy<'_>) -> Result<(), AuditError> {
        let Some(sent) = copy.sent else {
            let sentence = "no outbox row: it does not say which group, lane and sequence it comes from".to_owned();
            self.violation(Invariant::Outbox, copy, (copy.group, self.said_id(copy)?, sentence));
            return self.claimed(copy, false);
        };
        let Sent { group, lane, sequence } = sent;
        let next = self.gathered.next.get(&(group, lane)).copied().unwrap_or(1);
        let was_written = sequence < next;
        if !was_written && copy.message.offset() >= self.due.at(copy.topic, copy.message.partition()) {
            return Ok(());
        }
        let first = was_written && self.found(copy, sent)?;
        let name = group.name();
        let sentence = format!("no outbox row: {name} has none for sequence {sequence} of lane {lane}");
        self.violation(Invariant::Outbox, copy, (group, self.said_id(copy)?, sentence));
        self.claimed(copy, first)
    }

    /// Notes that a topic has a sequence that the outbox lacks; says whether for the first time.
    fn found(&mut self, copy: &Copy<'_>, sent: Sent) -> Result<bool, AuditError> {
        const SQL: &str = "INSERT OR IGNORE INTO found VALUES (?1, ?2, ?3)";
        let values = params![sent.group as i64, sent.lane, sent.sequence];
        let first = self.gathered.work.run(SQL, values)? > 0;
        let written = copy.message.timestamp().to_millis().unwrap_or(i64::MAX);
        self.forgotten += u64::from(first && written < self.kept_from);
        Ok(first)
    }

    /// Takes note of what a record says that no outbox row says as well, so that the lack of a row is reported once, and
    /// not everything that follows from it. `counts`: it stands for a fact of the lane that nothing else stands for.
    fn claimed(&mut self, copy: &Copy<'_>, counts: bool) -> Result<(), AuditError> {
        let gathered = &mut *self.gathered;
        if copy.role == Role::Letters {
            let origin = letters::Origin::of(headers(copy.message), self.system);
            let fact = copy.sent.map(|sent| (sent.lane, sent.sequence));
            return letters::insert(&gathered.work, (copy.group, fact), None, origin.as_ref());
        }
        let Some(outcome) = gathered.values.outcome(copy.message.payload())? else {
            return Ok(());
        };
        if counts {
            gathered.held.add(&gathered.work, &outcome.reservations)?;
        }
        outcome.insert(&gathered.work, copy.group, false, copy.place())
    }

    /// Whether it is a dead letter whose bytes are not those of the record it was made of, which is reported.
    fn check_letter(&mut self, copy: &Copy<'_>, sent: Sent, event_id: Option<Uuid>) -> Result<bool, AuditError> {
        if copy.role != Role::Letters {
            return Ok(false);
        }
        let Some((topic, partition, offset, body)) = origin(&self.gathered.work, sent)? else {
            return Ok(false);
        };
        let differs = body != copy.body;
        if differs {
            let origin = self.system.name(topic);
            let sentence = format!("the dead letter's key or value is not that of {origin}/{partition}@{offset}");
            self.violation(Invariant::DeadLetters, copy, (sent.group, event_id, sentence));
        }
        Ok(differs)
    }

    fn violation(
        &mut self,
        invariant: Invariant,
        copy: &Copy<'_>,
        (group, event_id, sentence): (Group, Option<Uuid>, String),
    ) {
        let violation = Violation {
            group: Some(group.name()),
            topic: Some(copy.message.topic().to_owned()),
            partition: Some(copy.message.partition()),
            offset: Some(copy.message.offset()),
            event_id,
            sentence,
        };
        self.gathered.findings.violation(invariant, violation);
    }
}

impl Gathered {
    /// Facts of the databases that are not published yet say something of orders too.
    pub(super) fn unpublished(&mut self) -> Result<(), AuditError> {
        const SQL: &str = "SELECT grp, topic, partition, value FROM facts \
            WHERE value IS NOT NULL AND copies = 0 AND NOT letter";
        let Self { work, held, values, .. } = self;
        work.each(SQL, |row| {
            let value: Vec<u8> = row.get(3)?;
            let (Some(outcome), Some(group)) = (values.outcome(Some(&value))?, Group::numbered(row.get(0)?)) else {
                return Ok(());
            };
            held.add(work, &outcome.reservations)?;
            outcome.insert(work, group, true, (row.get(1)?, row.get(2)?, None))
        })
    }
}

/// Where the record stood that a letter was made of, and its key and value.
type OriginOf = (TopicIndex, i32, i64, Hash);

fn origin(work: &Work, sent: Sent) -> Result<Option<OriginOf>, AuditError> {
    const SQL: &str = "SELECT topic, partition, offset, origin_body FROM letters \
        WHERE grp = ?1 AND lane = ?2 AND sequence = ?3 AND topic IS NOT NULL";
    let values = params![sent.group as i64, sent.lane, sent.sequence];
    let found = work
        .db
        .prepare_cached(SQL)?
        .query_row(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    Ok(found.optional()?)
}

/// Milliseconds of wall clock since 1970-01-01 UTC.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
