//! The records that groups wrote, each held against the outbox row whose sequence it bears.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use orderflow_runtime::store::{Lane, Sequence};
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rusqlite::{OptionalExtension as _, params};
use uuid::Uuid;

use super::super::cluster::Ends;
use super::super::digest::{self, GROUP_HEADER, Hash, LANE_HEADER, SEQUENCE_HEADER};
use super::super::report::{Invariant, Violation};
use super::super::system::{AuditedTopic, Group, Role, System, TopicIndex};
use super::super::work::{Work, id};
use super::super::{AuditError, Options};
use super::outcome::Outcome;
use super::{Gathered, letters};

/// Reads what groups wrote.
pub(super) struct Copies<'a> {
    gathered: &'a mut Gathered,
    system: &'a System,
    due: &'a Ends,
    /// Outbox rows from before, milliseconds, may have been deleted.
    kept_from: i64,
    /// Records whose outbox rows were deleted.
    forgotten: u64,
    /// Sequence of the last first copy, by topic, partition, group and lane.
    last: HashMap<(TopicIndex, i32, Group, Lane), Sequence>,
}

/// A record with what identifies it.
struct Copy<'m> {
    message: &'m BorrowedMessage<'m>,
    topic: TopicIndex,
    role: Role,
    /// The group whose topic it stands in.
    group: Group,
    /// What it says of where it comes from.
    sent: Option<Sent>,
    body: Hash,
    headers: Hash,
}

/// The place in an outbox that a record says it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    group: Group,
    lane: Lane,
    sequence: Sequence,
}

/// The outbox row of a record.
enum Row {
    /// It has the same bytes, and had so many copies so far.
    Same { event_id: Option<Uuid>, copies: i64 },
    /// It is another record.
    Differs {
        event_id: Option<Uuid>,
        body: bool,
        headers: bool,
    },
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
        (topic, audited): (TopicIndex, &AuditedTopic),
        message: &BorrowedMessage<'_>,
    ) -> Result<(), AuditError> {
        self.gathered.totals.records += 1;
        let copy = Copy {
            message,
            topic,
            role: audited.role,
            group: audited.groups[0],
            sent: Sent::of(message),
            body: digest::of_body(message.key(), message.payload()),
            headers: digest::of_headers(headers(message)),
        };
        let row = match copy.sent {
            Some(sent) => copy.find_row(&self.gathered.work, sent)?.map(|row| (row, sent)),
            None => None,
        };
        match row {
            Some((Row::Same { event_id, copies: 1 }, sent)) => self.first(&copy, sent, event_id),
            Some((Row::Same { event_id, .. }, sent)) => {
                self.gathered.totals.republished += 1;
                self.check_letter(&copy, sent, event_id).map(drop)
            }
            Some((
                Row::Differs {
                    event_id,
                    body,
                    headers,
                },
                sent,
            )) => self.differing(&copy, sent, (event_id, body, headers)),
            None => self.unknown(&copy),
        }
    }

    /// Fails when outbox rows were deleted for their age.
    pub(super) fn finish(self) -> Result<(), AuditError> {
        match self.forgotten {
            0 => Ok(()),
            rows => Err(AuditError::Missing(format!(
                "the outbox rows of {rows} records have been deleted, as they are when they are older than \
                 `outbox_retention`; without them nothing can be proved. Audit within that time, or raise it"
            ))),
        }
    }

    fn first(&mut self, copy: &Copy<'_>, sent: Sent, event_id: Option<Uuid>) -> Result<(), AuditError> {
        let lane = (copy.topic, copy.message.partition(), sent.group, sent.lane);
        let last = self.last.entry(lane).or_insert(0);
        let overtaken = std::mem::replace(last, sent.sequence.max(*last)) > sent.sequence;
        if overtaken {
            let sentence = format!(
                "the first copy of sequence {} of lane {} stands behind a later one",
                sent.sequence, sent.lane
            );
            self.violation(Invariant::PublishOrder, copy, (Some(sent.group), event_id, sentence));
        }
        if copy.role == Role::Letters {
            return self.check_letter(copy, sent, event_id).map(drop);
        }
        self.announced(copy, event_id)
    }

    /// What a fact says of its order.
    fn announced(&mut self, copy: &Copy<'_>, event_id: Option<Uuid>) -> Result<(), AuditError> {
        let Some(outcome) = Outcome::read(copy.message.payload()) else {
            return Ok(());
        };
        if Some(outcome.event_id) != event_id {
            let row = event_id.unwrap_or_default();
            let sentence = format!("the event is {}, and its outbox row says {row}", outcome.event_id);
            self.violation(Invariant::Outbox, copy, (Some(copy.group), event_id, sentence));
        }
        let gathered = &mut *self.gathered;
        gathered.held.add(&gathered.work, &outcome.reservations)?;
        outcome.insert(&gathered.work, copy.group, true, copy.place())
    }

    /// It bears the sequence of a row that is another record.
    fn differing(
        &mut self,
        copy: &Copy<'_>,
        sent: Sent,
        (event_id, body, headers): (Option<Uuid>, bool, bool),
    ) -> Result<(), AuditError> {
        if copy.role == Role::Letters && self.check_letter(copy, sent, event_id)? {
            return Ok(());
        }
        let what = match (body, headers) {
            (true, _) => "key or value",
            (_, true) => "headers",
            _ => "topic or partition",
        };
        let sentence = format!(
            "it bears sequence {} of lane {}, whose outbox row has another {what}",
            sent.sequence, sent.lane
        );
        self.violation(
            Invariant::Outbox,
            copy,
            (Some(sent.group), copy.event_id().or(event_id), sentence),
        );
        if copy.role == Role::Letters {
            Ok(())
        } else {
            self.claimed(copy)
        }
    }

    /// No outbox has it: written after the database was read, or a row is missing, or it never came from there.
    fn unknown(&mut self, copy: &Copy<'_>) -> Result<(), AuditError> {
        let next = copy
            .sent
            .map(|sent| self.gathered.next.get(&(sent.group, sent.lane)).copied().unwrap_or(1));
        let is_next = copy.sent.zip(next).is_some_and(|(sent, next)| sent.sequence >= next);
        if is_next && copy.message.offset() >= self.due.at(copy.topic, copy.message.partition()) {
            return Ok(());
        }
        if let Some(sent) = copy.sent.filter(|_| !is_next) {
            let values = params![sent.group as i64, sent.lane, sent.sequence];
            self.gathered
                .work
                .run("INSERT OR IGNORE INTO found VALUES (?1, ?2, ?3)", values)?;
            if copy
                .message
                .timestamp()
                .to_millis()
                .is_some_and(|written| written < self.kept_from)
            {
                self.forgotten += 1;
            }
        }
        let sentence = match copy.sent {
            Some(Sent { group, lane, sequence }) => {
                format!(
                    "no outbox row: sequence {sequence} of lane {lane} is not in the database of {}",
                    group.name()
                )
            }
            None => "no outbox row: it does not say which group, lane and sequence it comes from".to_owned(),
        };
        let group = copy.sent.map_or(copy.group, |sent| sent.group);
        self.violation(Invariant::Outbox, copy, (Some(group), copy.event_id(), sentence));
        self.claimed(copy)
    }

    /// Takes note of what a record says that no outbox row says as well, so that the lack of a row is reported once, and
    /// not everything that follows from it.
    fn claimed(&mut self, copy: &Copy<'_>) -> Result<(), AuditError> {
        let gathered = &mut *self.gathered;
        if copy.role == Role::Letters {
            let origin = letters::Origin::of(headers(copy.message), self.system);
            let fact = copy.sent.map(|sent| (sent.lane, sent.sequence));
            return letters::insert(&gathered.work, (copy.group, fact), None, origin.as_ref());
        }
        match Outcome::read(copy.message.payload()) {
            Some(outcome) => outcome.insert(&gathered.work, copy.group, false, copy.place()),
            None => Ok(()),
        }
    }

    /// Whether a dead letter's bytes are not those of the record it was made of, which is reported.
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
            self.violation(Invariant::DeadLetters, copy, (Some(sent.group), event_id, sentence));
        }
        Ok(differs)
    }

    fn violation(
        &mut self,
        invariant: Invariant,
        copy: &Copy<'_>,
        (group, event_id, sentence): (Option<Group>, Option<Uuid>, String),
    ) {
        self.gathered.findings.violation(
            invariant,
            Violation {
                group: group.map(Group::name),
                topic: Some(copy.message.topic().to_owned()),
                partition: Some(copy.message.partition()),
                offset: Some(copy.message.offset()),
                event_id,
                sentence,
            },
        );
    }
}

impl Gathered {
    /// Facts of the databases that are not published yet say something of orders too.
    pub(super) fn unpublished(&mut self) -> Result<(), AuditError> {
        const SQL: &str = "SELECT grp, topic, partition, value FROM facts \
            WHERE value IS NOT NULL AND copies = 0 AND NOT letter";
        let Self { work, held, .. } = self;
        work.each(SQL, |row| {
            let value: Vec<u8> = row.get(3)?;
            let (Some(outcome), Some(group)) = (Outcome::read(Some(&value)), Group::numbered(row.get(0)?)) else {
                return Ok(());
            };
            held.add(work, &outcome.reservations)?;
            outcome.insert(work, group, true, (row.get(1)?, row.get(2)?, None))
        })
    }
}

impl Copy<'_> {
    /// The outbox row whose sequence it bears, which now has one copy more.
    fn find_row(&self, work: &Work, sent: Sent) -> Result<Option<Row>, AuditError> {
        const SAME: &str = "UPDATE facts SET copies = copies + 1 WHERE grp = ?1 AND lane = ?2 AND sequence = ?3 \
            AND topic = ?4 AND partition = ?5 AND body = ?6 AND headers = ?7 RETURNING event_id, copies";
        const OTHER: &str = "UPDATE facts SET differing = differing + 1 WHERE grp = ?1 AND lane = ?2 AND sequence = ?3 \
            RETURNING event_id, body <> ?4, headers <> ?5";
        let (group, partition) = (sent.group as i64, self.message.partition());
        let (lane, sequence) = (sent.lane, sent.sequence);
        let values = params![group, lane, sequence, self.topic, partition, self.body, self.headers];
        let same = work.db.prepare_cached(SAME)?.query_row(values, |row| {
            Ok(Row::Same {
                event_id: id(row, 0)?,
                copies: row.get(1)?,
            })
        });
        if let Some(same) = same.optional()? {
            return Ok(Some(same));
        }
        let values = params![group, lane, sequence, self.body, self.headers];
        let other = work.db.prepare_cached(OTHER)?.query_row(values, |row| {
            Ok(Row::Differs {
                event_id: id(row, 0)?,
                body: row.get(1)?,
                headers: row.get(2)?,
            })
        });
        Ok(other.optional()?)
    }

    /// The id that its value tells.
    fn event_id(&self) -> Option<Uuid> {
        let event = orderflow_schemas::decode(self.message.payload()?).ok()?;
        Some(event.meta().event_id.0)
    }

    fn place(&self) -> super::outcome::Place {
        (Some(self.topic), self.message.partition(), Some(self.message.offset()))
    }
}

impl Sent {
    fn of(message: &BorrowedMessage<'_>) -> Option<Self> {
        let (mut group, mut lane, mut sequence) = (None, None, None);
        for (name, value) in headers(message) {
            match name {
                GROUP_HEADER => group = value.and_then(Group::named),
                LANE_HEADER => lane = value.and_then(number),
                SEQUENCE_HEADER => sequence = value.and_then(number),
                _ => {}
            }
        }
        Some(Self {
            group: group?,
            lane: i32::try_from(lane?).ok()?,
            sequence: sequence?,
        })
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn headers<'m>(message: &'m BorrowedMessage<'m>) -> impl Iterator<Item = (&'m str, Option<&'m [u8]>)> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.map(|header| (header.key, header.value))
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
