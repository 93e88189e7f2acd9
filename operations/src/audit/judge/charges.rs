//! Payments, the orders' totals and the gateway's books.

use super::super::AuditError;
use super::super::report::Invariant;
use super::super::work::PLACE_COLUMNS;
use super::Judging;
use super::orders::order;

/// Payments of another amount than an order placed under that id.
const AMOUNTS: &str = "SELECT o.grp, o.topic, o.partition, o.offset, o.event_id, o.order_id, o.amount, o.currency \
    FROM outcomes AS o WHERE o.kind IN (3, 4) AND o.known \
        AND EXISTS (SELECT 1 FROM inputs AS i WHERE i.kind = 1 AND i.subject = o.order_id) \
        AND NOT EXISTS (SELECT 1 FROM inputs AS i WHERE i.kind = 1 AND i.subject = o.order_id \
            AND i.amount = o.amount AND i.currency = o.currency)";

/// Processed payments that are not in the books as they are. Nothing is charged for an order that costs nothing.
const UNBOOKED: &str = "SELECT o.grp, o.topic, o.partition, o.offset, o.event_id, o.order_id, o.amount, o.currency, \
        l.amount, l.currency \
    FROM outcomes AS o LEFT JOIN ledger AS l ON l.order_id = o.order_id AND l.charge_id = o.said \
    WHERE o.kind = 3 AND o.known AND o.said <> 'none' \
        AND (l.key IS NULL OR l.amount <> o.amount OR l.currency <> o.currency)";

/// Payments refused that the books have not refused.
const UNREFUSED: &str = "SELECT o.grp, o.topic, o.partition, o.offset, o.event_id, o.order_id \
    FROM outcomes AS o WHERE o.kind = 4 AND o.known \
        AND NOT EXISTS (SELECT 1 FROM ledger AS l WHERE l.order_id = o.order_id AND l.reason = o.said)";

/// Entries that no payment tells of. One is on its way while its call has no answer, or its order is still to be read.
const UNTOLD: &str = "SELECT 1, NULL, NULL, NULL, NULL, l.order_id, l.key, l.charge_id, l.amount, l.currency \
    FROM ledger AS l \
    WHERE NOT EXISTS (SELECT 1 FROM outcomes AS o WHERE o.grp = 1 AND o.order_id = l.order_id \
            AND o.kind = CASE WHEN l.charge_id IS NULL THEN 4 ELSE 3 END \
            AND o.said = coalesce(l.charge_id, l.reason)) \
        AND NOT EXISTS (SELECT 1 FROM asked AS a WHERE a.key = l.key) \
        AND NOT EXISTS (SELECT 1 FROM inputs AS i LEFT JOIN progress AS p \
            ON p.grp = 1 AND p.topic = i.topic AND p.partition = i.partition \
            WHERE i.kind = 1 AND i.subject = l.order_id AND i.offset >= coalesce(p.next_offset, 0))";

impl Judging<'_> {
    pub(super) fn charges(&mut self, has_ledger: bool) -> Result<(), AuditError> {
        self.checked(Invariant::Charges, "SELECT count(*) FROM outcomes WHERE kind IN (3, 4)")?;
        self.violations(Invariant::Charges, AMOUNTS, |row| {
            let (amount, currency): (i64, String) = (row.get(PLACE_COLUMNS + 1)?, row.get(PLACE_COLUMNS + 2)?);
            Ok(format!(
                "order {} has another total than the {amount} {currency} of its payment",
                order(row)?
            ))
        })?;
        if !has_ledger {
            self.notes
                .push("no gateway's ledger was given: charges are not compared with it".to_owned());
            return Ok(());
        }
        self.checked(Invariant::Charges, "SELECT count(*) FROM ledger")?;
        self.violations(Invariant::Charges, UNBOOKED, |row| {
            let (amount, currency): (i64, String) = (row.get(PLACE_COLUMNS + 1)?, row.get(PLACE_COLUMNS + 2)?);
            let booked: Option<i64> = row.get(PLACE_COLUMNS + 3)?;
            let booked = match booked {
                Some(booked) => format!("{booked} {}", row.get::<_, String>(PLACE_COLUMNS + 4)?),
                None => "no such charge".to_owned(),
            };
            Ok(format!(
                "order {} was charged {amount} {currency}, and the ledger has {booked}",
                order(row)?
            ))
        })?;
        self.violations(Invariant::Charges, UNREFUSED, |row| {
            Ok(format!(
                "the payment of order {} failed, and the ledger has not refused it so",
                order(row)?
            ))
        })?;
        self.violations(Invariant::Charges, UNTOLD, |row| {
            let key: String = row.get(PLACE_COLUMNS + 1)?;
            let charge: Option<String> = row.get(PLACE_COLUMNS + 2)?;
            let (amount, currency): (i64, String) = (row.get(PLACE_COLUMNS + 3)?, row.get(PLACE_COLUMNS + 4)?);
            let what = charge.map_or_else(|| "a refusal".to_owned(), |charge| format!("charge {charge}"));
            Ok(format!(
                "the ledger has {what} of {amount} {currency} under key {key}, and no payment tells of it"
            ))
        })
    }
}
