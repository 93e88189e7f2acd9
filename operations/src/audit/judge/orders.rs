//! Exactly one outcome of each kind, and the databases keep the same.

use rusqlite::Row;
use uuid::Uuid;

use super::super::AuditError;
use super::super::report::Invariant;
use super::super::work::PLACE_COLUMNS;
use super::Judging;

/// Orders that were applied when they were due, without an outcome.
const NONE: &str = "SELECT a.grp, a.topic, a.partition, a.offset, a.event_id, a.subject FROM applied AS a \
    WHERE a.kind = 1 AND a.offset < a.due \
        AND NOT EXISTS (SELECT 1 FROM outcomes AS o WHERE o.grp = a.grp AND o.order_id = a.subject) \
    GROUP BY a.grp, a.subject";

/// Every outcome of an order after the first; what the outbox has comes first.
const SEVERAL: &str = "SELECT grp, topic, partition, offset, event_id, order_id FROM ( \
        SELECT o.*, row_number() OVER (PARTITION BY grp, order_id ORDER BY known DESC, offset) AS nth \
        FROM outcomes AS o WHERE EXISTS ( \
            SELECT 1 FROM outcomes AS other \
            WHERE other.grp = o.grp AND other.order_id = o.order_id AND other.event_id <> o.event_id) \
    ) WHERE nth > 1";

/// Outcomes of orders that were not applied.
const UNASKED: &str = "SELECT o.grp, o.topic, o.partition, o.offset, o.event_id, o.order_id FROM outcomes AS o \
    WHERE o.known AND NOT EXISTS (SELECT 1 FROM applied AS a \
        WHERE a.kind = 1 AND a.subject = o.order_id AND a.grp = o.grp)";

/// Outcomes of which the database keeps nothing, or something else.
const UNKEPT: &str = "SELECT o.grp, o.topic, o.partition, o.offset, o.event_id, o.order_id, k.order_id IS NOT NULL \
    FROM outcomes AS o LEFT JOIN kept AS k ON k.grp = o.grp AND k.order_id = o.order_id \
    WHERE o.known AND k.digest IS NOT o.digest";

/// What a database keeps of orders that have no outcome.
const UNANNOUNCED: &str = "SELECT k.grp, NULL, NULL, NULL, NULL, k.order_id FROM kept AS k \
    WHERE k.digest IS NOT NULL \
        AND NOT EXISTS (SELECT 1 FROM outcomes AS o WHERE o.grp = k.grp AND o.order_id = k.order_id)";

impl Judging<'_> {
    pub(super) fn orders(&mut self) -> Result<(), AuditError> {
        self.checked(Invariant::OrderOutcomes, "SELECT count(*) FROM outcomes")?;
        self.violations(Invariant::OrderOutcomes, NONE, |row| {
            Ok(format!("order {} was applied and has no outcome", order(row)?))
        })?;
        self.violations(Invariant::OrderOutcomes, SEVERAL, |row| {
            Ok(format!("order {} has another outcome", order(row)?))
        })?;
        self.violations(Invariant::OrderOutcomes, UNASKED, |row| {
            Ok(format!("order {} has an outcome and was not applied", order(row)?))
        })?;
        self.checked(Invariant::OrderRows, "SELECT count(*) FROM kept")?;
        self.violations(Invariant::OrderRows, UNKEPT, |row| {
            let keeps = if row.get(PLACE_COLUMNS + 1)? {
                "something else"
            } else {
                "nothing"
            };
            Ok(format!("of order {} the database keeps {keeps}", order(row)?))
        })?;
        self.violations(Invariant::OrderRows, UNANNOUNCED, |row| {
            Ok(format!(
                "the database keeps an outcome of order {} that was never announced",
                order(row)?
            ))
        })
    }
}

/// The order a row is about: its first column behind the place. What is no id is shown as it stands.
pub(super) fn order(row: &Row<'_>) -> rusqlite::Result<String> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(PLACE_COLUMNS)? {
        ValueRef::Blob(bytes) => Uuid::from_slice(bytes).unwrap_or_default().to_string(),
        ValueRef::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => "unknown".to_owned(),
    })
}
