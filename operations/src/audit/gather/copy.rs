//! A record that a group wrote, and the outbox row it comes from.

use orderflow_runtime::store::{Lane, Sequence};
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rusqlite::{OptionalExtension as _, params};
use uuid::Uuid;

use super::super::AuditError;
use super::super::digest::{self, GROUP_HEADER, Hash, LANE_HEADER, SEQUENCE_HEADER};
use super::super::system::{AuditedTopic, Group, Role, TopicIndex};
use super::super::work::{Work, id};
use super::outcome::Place;

/// A record with what identifies it.
pub(super) struct Copy<'m> {
    pub(super) message: &'m BorrowedMessage<'m>,
    pub(super) topic: TopicIndex,
    pub(super) role: Role,
    /// The group whose topic it stands in.
    pub(super) group: Group,
    /// What it says of where it comes from.
    pub(super) sent: Option<Sent>,
    pub(super) body: Hash,
    headers: Hash,
}

/// The place in an outbox that a record says it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) group: Group,
    pub(super) lane: Lane,
    pub(super) sequence: Sequence,
}

/// The outbox row of a record.
pub(super) enum Row {
    /// It is the same, and had so many copies by now.
    Same { event_id: Option<Uuid>, copies: i64 },
    /// It is another record.
    Differs(Differs),
}

/// How a record differs from its outbox row; in its place, if in neither of the two.
pub(super) struct Differs {
    pub(super) event_id: Option<Uuid>,
    /// In key or value.
    pub(super) body: bool,
    pub(super) headers: bool,
    /// No record stood for the row before.
    pub(super) first: bool,
}

impl<'m> Copy<'m> {
    pub(super) fn of((topic, audited): (TopicIndex, &AuditedTopic), message: &'m BorrowedMessage<'m>) -> Self {
        Self {
            message,
            topic,
            role: audited.role,
            group: audited.groups[0],
            sent: Sent::of(message),
            body: digest::of_body(message.key(), message.payload()),
            headers: digest::of_headers(headers(message)),
        }
    }

    /// The outbox row whose sequence it bears, which counts it from now on.
    pub(super) fn row(&self, work: &Work) -> Result<Option<(Row, Sent)>, AuditError> {
        let Some(sent) = self.sent else { return Ok(None) };
        let same = self.same(work, sent)?;
        let row = match same {
            Some(_) => same,
            None => self.other(work, sent)?,
        };
        Ok(row.map(|row| (row, sent)))
    }

    fn same(&self, work: &Work, sent: Sent) -> Result<Option<Row>, AuditError> {
        const SQL: &str = "UPDATE facts SET copies = copies + 1 WHERE grp = ?1 AND lane = ?2 AND sequence = ?3 \
            AND topic = ?4 AND partition = ?5 AND body = ?6 AND headers = ?7 RETURNING event_id, copies";
        let (group, partition) = (sent.group as i64, self.message.partition());
        let (body, headers) = (self.body, self.headers);
        let values = params![group, sent.lane, sent.sequence, self.topic, partition, body, headers];
        let row = work.db.prepare_cached(SQL)?.query_row(values, |row| {
            let (event_id, copies) = (id(row, 0)?, row.get(1)?);
            Ok(Row::Same { event_id, copies })
        });
        Ok(row.optional()?)
    }

    fn other(&self, work: &Work, sent: Sent) -> Result<Option<Row>, AuditError> {
        const SQL: &str = "UPDATE facts SET differing = differing + 1 WHERE grp = ?1 AND lane = ?2 AND sequence = ?3 \
            RETURNING event_id, body <> ?4, headers <> ?5, copies + differing = 1";
        let values = params![sent.group as i64, sent.lane, sent.sequence, self.body, self.headers];
        let row = work.db.prepare_cached(SQL)?.query_row(values, |row| {
            Ok(Row::Differs(Differs {
                event_id: id(row, 0)?,
                body: row.get(1)?,
                headers: row.get(2)?,
                first: row.get(3)?,
            }))
        });
        Ok(row.optional()?)
    }

    pub(super) fn place(&self) -> Place {
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

/// The headers of a record in their order.
pub(super) fn headers<'m>(message: &'m BorrowedMessage<'m>) -> impl Iterator<Item = (&'m str, Option<&'m [u8]>)> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.map(|header| (header.key, header.value))
}
