//! Dead letters and the records they were made of.

use orderflow_runtime::derive_id;
use rusqlite::{OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::super::AuditError;
use super::super::digest::Hash;
use super::super::report::{Invariant, Violation};
use super::super::system::{Group, System, TopicIndex};
use super::super::work::{Work, id as id_column};
use super::Gathered;

/// Where a dead letter's headers say that its record first stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    topic: TopicIndex,
    partition: i32,
    offset: i64,
}

impl Origin {
    pub(super) fn of<'a>(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>, system: &System) -> Option<Self> {
        let (mut topic, mut partition, mut offset) = (None, None, None);
        for (name, value) in headers {
            match name {
                "kafka_dlt-original-topic" => topic = value.and_then(|name| std::str::from_utf8(name).ok()),
                "kafka_dlt-original-partition" => partition = value.and_then(|bytes| bytes.try_into().ok()),
                "kafka_dlt-original-offset" => offset = value.and_then(|bytes| bytes.try_into().ok()),
                _ => {}
            }
        }
        Some(Self {
            topic: system.index_of(topic?)?,
            partition: i32::from_be_bytes(partition?),
            offset: i64::from_be_bytes(offset?),
        })
    }
}

/// A record that a letter may have been made of.
struct Refused {
    place: Origin,
    timestamp: i64,
    body: Hash,
    event_id: Option<Uuid>,
}

/// Notes a letter; `fact` is its lane and sequence.
pub(super) fn insert(
    work: &Work,
    (group, fact): (Group, Option<(i32, i64)>),
    event_id: Option<Uuid>,
    origin: Option<&Origin>,
) -> Result<(), AuditError> {
    const SQL: &str = "INSERT INTO letters (grp, lane, sequence, event_id, origin_topic, origin_partition, \
        origin_offset) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (lane, sequence) = fact.unzip();
    let topic = origin.map(|origin| origin.topic);
    let (partition, offset) = origin.map(|origin| (origin.partition, origin.offset)).unzip();
    let row = params![
        group as i64,
        lane,
        sequence,
        event_id.map(Uuid::into_bytes),
        topic,
        partition,
        offset
    ];
    work.run(SQL, row).map(drop)
}

/// Identity of the dead letter of a record, as the runtime computes it.
pub(super) fn id(place: (&str, i32, i64), timestamp: i64) -> Uuid {
    derived(b"dead letter", place, timestamp)
}

/// Identity of a record that tells none, as the runtime computes it.
fn origin_id(place: (&str, i32, i64), timestamp: i64) -> Uuid {
    derived(b"origin", place, timestamp)
}

fn derived(what: &[u8], (topic, partition, offset): (&str, i32, i64), timestamp: i64) -> Uuid {
    let place = [&partition.to_be_bytes()[..], &offset.to_be_bytes()].concat();
    derive_id(timestamp, &[what, topic.as_bytes(), &place])
}

impl Gathered {
    /// Finds the record that each letter not looked at yet was made of. Called when all that groups read is there.
    pub(super) fn find_origins(&mut self, system: &System) -> Result<(), AuditError> {
        const SQL: &str = "SELECT rowid, grp, event_id, origin_topic, origin_partition, origin_offset FROM letters \
            WHERE rowid > ?1 ORDER BY rowid LIMIT 1";
        while let Some(letter) = self.next_letter(SQL)? {
            self.letters_seen = letter.row;
            if !letter.find(&self.work, system)? {
                self.findings
                    .violation(Invariant::DeadLetters, letter.violation(system));
            }
        }
        Ok(())
    }

    fn next_letter(&self, sql: &str) -> Result<Option<Letter>, AuditError> {
        let mut select = self.work.db.prepare_cached(sql)?;
        Ok(select.query_row([self.letters_seen], Letter::read).optional()?)
    }
}

/// A letter whose record is looked for.
struct Letter {
    row: i64,
    group: i64,
    event_id: Option<Uuid>,
    origin: Option<Origin>,
}

impl Letter {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let topic: Option<TopicIndex> = row.get(3)?;
        let origin = match topic {
            Some(topic) => Some(Origin {
                topic,
                partition: row.get(4)?,
                offset: row.get(5)?,
            }),
            None => None,
        };
        Ok(Self {
            row: row.get(0)?,
            group: row.get(1)?,
            event_id: id_column(row, 2)?,
            origin,
        })
    }

    /// Notes the record it was made of: the one it names, or a redriven one, which names where the first stood.
    fn find(&self, work: &Work, system: &System) -> Result<bool, AuditError> {
        let Some(origin) = self.origin else { return Ok(false) };
        let Some(first) = at(work, origin)? else {
            return Ok(false);
        };
        let place = (system.name(origin.topic), origin.partition, origin.offset);
        bury(work, self.group, origin_id(place, first.timestamp))?;
        // One that the outbox does not know tells no id; it is taken for what it says.
        let is_first = self.event_id.is_none_or(|letter| letter == id(place, first.timestamp));
        let refused = if is_first {
            Some(first)
        } else {
            redriven(work, self.event_id)?
        };
        if let Some(refused) = &refused {
            self.found(work, refused)?;
        }
        Ok(refused.is_some())
    }

    fn found(&self, work: &Work, refused: &Refused) -> Result<(), AuditError> {
        const SQL: &str =
            "UPDATE letters SET topic = ?2, partition = ?3, offset = ?4, origin_body = ?5 WHERE rowid = ?1";
        let Origin {
            topic,
            partition,
            offset,
        } = refused.place;
        work.run(SQL, params![self.row, topic, partition, offset, refused.body])?;
        refused.event_id.map_or(Ok(()), |event| bury(work, self.group, event))
    }

    fn violation(&self, system: &System) -> Violation {
        let named = self.origin.map(|origin| (system.name(origin.topic).to_owned(), origin));
        Violation {
            group: Group::numbered(self.group).map(Group::name),
            topic: named.as_ref().map(|(topic, _)| topic.clone()),
            partition: named.as_ref().map(|(_, origin)| origin.partition),
            offset: named.as_ref().map(|(_, origin)| origin.offset),
            event_id: self.event_id,
            sentence: match named {
                Some((topic, Origin { partition, offset, .. })) => {
                    format!(
                        "a dead letter says it is the record at {topic}/{partition}@{offset}, and is made of another"
                    )
                }
                None => "a dead letter does not say where its record stood".to_owned(),
            },
        }
    }
}

fn bury(work: &Work, group: i64, id: Uuid) -> Result<(), AuditError> {
    work.run(
        "INSERT OR IGNORE INTO buried VALUES (?1, ?2)",
        params![group, id.as_bytes()],
    )
    .map(drop)
}

fn at(work: &Work, place: Origin) -> Result<Option<Refused>, AuditError> {
    const SQL: &str = "SELECT topic, partition, offset, timestamp, body, event_id FROM inputs \
        WHERE topic = ?1 AND partition = ?2 AND offset = ?3";
    let values = params![place.topic, place.partition, place.offset];
    Ok(work.db.prepare_cached(SQL)?.query_row(values, refused).optional()?)
}

fn redriven(work: &Work, letter: Option<Uuid>) -> Result<Option<Refused>, AuditError> {
    const SQL: &str = "SELECT topic, partition, offset, timestamp, body, event_id FROM inputs WHERE letter_id = ?1";
    let letter = letter.map(Uuid::into_bytes);
    Ok(work
        .db
        .prepare_cached(SQL)?
        .query_row(params![letter], refused)
        .optional()?)
}

fn refused(row: &Row<'_>) -> rusqlite::Result<Refused> {
    Ok(Refused {
        place: Origin {
            topic: row.get(0)?,
            partition: row.get(1)?,
            offset: row.get(2)?,
        },
        timestamp: row.get(3)?,
        body: row.get(4)?,
        event_id: id_column(row, 5)?,
    })
}
