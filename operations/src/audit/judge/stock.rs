//! Stock as the topics make it.

use rusqlite::{Row, params};

use super::super::AuditError;
use super::super::report::Invariant;
use super::super::work::{PLACE_COLUMNS, Work};
use super::Judging;

/// Applied events of stock, each once, by product and in order.
const EVENTS: &str = "SELECT subject, topic, partition, offset, event_id, kind, amount, \
        min((a.topic << 48) | a.offset) AS nth FROM applied AS a \
    WHERE a.grp = 0 AND a.kind BETWEEN 2 AND 4 GROUP BY a.event_id ORDER BY subject, topic, partition, offset";

/// Products whose row is not what the topics make of it.
const DIFFERENT: &str = "SELECT 0, e.topic, e.partition, e.offset, e.event_id, p.product, \
        coalesce(e.received, 0), coalesce(e.adjusted, 0), coalesce(h.quantity, 0), s.received, s.adjusted, s.reserved \
    FROM (SELECT product FROM stock UNION SELECT product FROM expected UNION SELECT product FROM held) AS p \
    LEFT JOIN expected AS e USING (product) LEFT JOIN held AS h USING (product) LEFT JOIN stock AS s USING (product) \
    WHERE s.received IS NOT coalesce(e.received, 0) OR s.adjusted IS NOT coalesce(e.adjusted, 0) \
        OR s.reserved IS NOT coalesce(h.quantity, 0)";

/// A product's stock, as its events make it one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fold {
    product: String,
    received: i64,
    adjusted: i64,
    /// Topic and partition of its events.
    from: (i64, i64),
    last: (i64, Option<[u8; 16]>),
    counted: bool,
    /// Its events do not stand in one partition, so their order is not known.
    scattered: bool,
}

impl Fold {
    fn begin(product: String, from: (i64, i64)) -> Self {
        Self {
            product,
            received: 0,
            adjusted: 0,
            from,
            last: (0, None),
            counted: false,
            scattered: false,
        }
    }

    /// What was counted is all there is, reserved goods included: received and adjusted.
    fn apply(&mut self, kind: i64, amount: i64) {
        match kind {
            2 => self.received = self.received.saturating_add(amount),
            3 => self.adjusted = self.adjusted.saturating_add(amount),
            _ => {
                self.adjusted = amount.saturating_sub(self.received);
                self.counted = true;
            }
        }
    }

    /// Whether the result depends on an order that is not known.
    fn is_open(&self) -> bool {
        self.counted && self.scattered
    }

    /// Notes the result; what is open is taken as the database has it.
    fn end(self, work: &Work) -> Result<bool, AuditError> {
        const SQL: &str = "INSERT INTO expected VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let open = self.is_open();
        if open {
            let product = [&self.product];
            work.run("DELETE FROM stock WHERE product = ?1", product)?;
            work.run("DELETE FROM held WHERE product = ?1", product)?;
        } else {
            let ((topic, partition), (offset, event)) = (self.from, self.last);
            let row = params![
                self.product,
                self.received,
                self.adjusted,
                partition,
                offset,
                event,
                topic
            ];
            work.run(SQL, row)?;
        }
        Ok(open)
    }
}

impl Judging<'_> {
    pub(super) fn stock(&mut self) -> Result<(), AuditError> {
        self.checked(Invariant::StockFacts, "SELECT count(*) FROM stock")?;
        let open = self.fold()?;
        if open > 0 {
            self.notes.push(format!(
                "the stock of {open} products is not judged by its events: they were counted, and their events stand in \
                 several partitions, so that the order of events is not known"
            ));
        }
        self.violations(Invariant::StockFacts, DIFFERENT, different)
    }

    /// Says of how many products nothing can be said.
    fn fold(&mut self) -> Result<u64, AuditError> {
        let work = &self.gathered.work;
        let (mut fold, mut open): (Option<Fold>, u64) = (None, 0);
        work.each(EVENTS, |row| {
            let (product, from): (String, _) = (row.get(0)?, (row.get(1)?, row.get(2)?));
            if fold.as_ref().is_none_or(|fold| fold.product != product)
                && let Some(ended) = fold.replace(Fold::begin(product, from))
            {
                open += u64::from(ended.end(work)?);
            }
            if let Some(fold) = &mut fold {
                fold.scattered |= fold.from != from;
                fold.last = (row.get(3)?, row.get(4)?);
                fold.apply(row.get(5)?, row.get(6)?);
            }
            Ok(())
        })?;
        if let Some(ended) = fold {
            open += u64::from(ended.end(work)?);
        }
        Ok(open)
    }
}

fn different(row: &Row<'_>) -> rusqlite::Result<String> {
    let product: String = row.get(PLACE_COLUMNS)?;
    let column = |at: usize| row.get::<_, i64>(PLACE_COLUMNS + at);
    let (received, adjusted, reserved) = (column(1)?, column(2)?, column(3)?);
    let made = format!("the topics make received {received}, adjusted {adjusted} and reserved {reserved}");
    if row.get::<_, Option<i64>>(PLACE_COLUMNS + 4)?.is_none() {
        return Ok(format!("product {product:?}: {made}, and the database has no row"));
    }
    let (has_received, has_adjusted, has_reserved) = (column(4)?, column(5)?, column(6)?);
    Ok(format!(
        "product {product:?}: {made}, and the database has {has_received}, {has_adjusted} and {has_reserved}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(events: &[(i64, i64)]) -> (i64, i64) {
        let mut fold = Fold::begin("p".to_owned(), (1, 0));
        for (kind, amount) in events {
            fold.apply(*kind, *amount);
        }
        (fold.received, fold.adjusted)
    }

    #[test]
    fn events_make_what_the_rules_make() {
        assert_eq!(folded(&[(2, 10), (3, -4), (2, 1)]), (11, -4));
        assert_eq!(folded(&[(2, 10), (3, -4), (4, 5), (3, 1)]), (10, -4));
        assert_eq!(folded(&[(4, 7)]), (0, 7));
    }
}
