//! One group's database, table by table.

use std::collections::HashMap;

use orderflow_consumers::inventory::{RESERVATION, STOCK};
use orderflow_consumers::kept;
use orderflow_consumers::payment::PAYMENT;
use orderflow_domain::stock::Stock;
use orderflow_runtime::store::{Lane, LaneRow, OutboxRow, Progress, Reader, Sequence};
use rusqlite::params;

use super::super::AuditError;
use super::super::cluster::Ends;
use super::super::digest::{self, Hash};
use super::super::report::{Invariant, Violation};
use super::super::system::{Group, System, TopicIndex};
use super::{Gathered, letters, order_id};

impl Gathered {
    pub(super) fn database(
        &mut self,
        system: &System,
        (group, reader): (Group, &Reader),
        due: &Ends,
    ) -> Result<(), AuditError> {
        self.horizons[group as usize] = reader.summary()?.inbox_horizon;
        self.progress(system, (group, reader), due)?;
        for lane in reader.lanes()? {
            self.outbox(system, (group, reader), &lane)?;
        }
        self.inbox(group, reader)?;
        self.asked(reader)?;
        match group {
            Group::Inventory => self.inventory(reader),
            Group::Payment => self.payment(reader),
        }
    }

    fn progress(&mut self, system: &System, of: (Group, &Reader), due: &Ends) -> Result<(), AuditError> {
        let (group, reader) = of;
        let rows = reader.progress()?;
        let mut by_place: HashMap<(&str, i32), &Progress> = HashMap::new();
        by_place.extend(rows.iter().map(|row| ((&*row.topic, row.partition), row)));
        for (index, topic) in system.read_by(group) {
            for (partition, due) in (0..).zip(due.of(index)) {
                // One that it never saw holds nothing that was due.
                let Some(row) = by_place.get(&(topic.name.as_str(), partition)) else {
                    continue;
                };
                self.position((group, index), row, *due)?;
            }
        }
        Ok(())
    }

    fn position(&mut self, (group, topic): (Group, TopicIndex), row: &Progress, due: i64) -> Result<(), AuditError> {
        let counts = row.counts;
        self.totals.duplicates += counts.duplicate;
        self.totals.dead += counts.dead;
        let [applied, duplicate, dead, skipped] = [counts.applied, counts.duplicate, counts.dead, counts.skipped]
            .map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        let (start, next) = (row.start_offset.get(), row.next_offset.get());
        let row = params![
            group as i64,
            topic,
            row.partition,
            due,
            start,
            next,
            applied,
            duplicate,
            dead,
            skipped
        ];
        self.work
            .run(
                "INSERT INTO progress VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                row,
            )
            .map(drop)
    }

    /// A lane's outbox, and whether its sequences have no gap.
    fn outbox(&mut self, system: &System, of: (Group, &Reader), lane: &LaneRow) -> Result<(), AuditError> {
        let (group, reader) = of;
        let number = lane.at.owner.lane;
        let mut next = 1;
        reader.each_fact(number, 0, |row| {
            self.gap((group, number), next, row.sequence)?;
            next = row.sequence + 1;
            self.fact(system, (group, lane), row)
        })?;
        self.gap((group, number), next, lane.next_sequence)?;
        self.next.insert((group, number), lane.next_sequence);
        let last = lane.next_sequence - 1;
        if next > lane.next_sequence || lane.published > last {
            let (highest, published) = (next - 1, lane.published);
            self.findings.violation(Invariant::Outbox, Violation {
                group: Some(group.name()),
                sentence: format!(
                    "lane {number} says it wrote up to sequence {last} and published up to {published}, and its outbox \
                     goes up to {highest}"
                ),
                ..Violation::default()
            });
        }
        Ok(())
    }

    fn gap(&self, (group, lane): (Group, Lane), first: Sequence, next: Sequence) -> Result<(), AuditError> {
        if next > first {
            let sql = "INSERT INTO gaps VALUES (?1, ?2, ?3, ?4)";
            self.work.run(sql, params![group as i64, lane, first, next - 1])?;
        }
        Ok(())
    }

    fn fact(&mut self, system: &System, of: (Group, &LaneRow), row: OutboxRow) -> Result<(), AuditError> {
        const SQL: &str = "INSERT INTO facts (grp, lane, sequence, event_id, topic, partition, body, headers, letter, \
            published, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let (group, lane) = of;
        self.totals.facts += 1;
        let published = row.sequence <= lane.published;
        self.work.run(
            SQL,
            params![
                group as i64,
                lane.at.owner.lane,
                row.sequence,
                row.event_id.as_bytes(),
                system.index_of(&row.topic),
                row.partition,
                digest::of_body(row.key.as_deref(), row.value.as_deref()),
                digest::of_headers(row.headers.as_slice().iter()),
                row.reason.is_some(),
                published,
                row.value.filter(|_| !published),
            ],
        )?;
        if row.reason.is_some() {
            let origin = letters::Origin::of(row.headers.as_slice().iter(), system);
            let fact = (lane.at.owner.lane, row.sequence);
            letters::insert(&self.work, (group, Some(fact)), Some(row.event_id), origin.as_ref())?;
        }
        Ok(())
    }

    fn inbox(&mut self, group: Group, reader: &Reader) -> Result<(), AuditError> {
        reader.each_event(|row| {
            let row = params![group as i64, row.id.as_bytes(), row.hash, row.dead];
            self.work
                .run("INSERT INTO inbox VALUES (?1, ?2, ?3, ?4)", row)
                .map(drop)
        })
    }

    fn asked(&mut self, reader: &Reader) -> Result<(), AuditError> {
        reader.each_open_effect(|effect| {
            self.work
                .run("INSERT OR IGNORE INTO asked VALUES (?1)", [effect.idempotency_key])
                .map(drop)
        })
    }

    fn inventory(&mut self, reader: &Reader) -> Result<(), AuditError> {
        kept::each(reader, STOCK, |product, stock| self.stock(product, &stock))?;
        kept::each(reader, RESERVATION, |order, record| {
            self.kept(Group::Inventory, order, Some(digest::of_held(&record.held)))
        })
    }

    fn payment(&mut self, reader: &Reader) -> Result<(), AuditError> {
        kept::each(reader, PAYMENT, |order, payment| {
            self.kept(Group::Payment, order, digest::of_payment(&payment))
        })
    }

    fn stock(&mut self, product: &str, stock: &Stock) -> Result<(), AuditError> {
        self.totals.products += 1;
        self.findings.checked(Invariant::StockBalance, 1);
        let Stock {
            received,
            adjusted,
            available,
            reserved,
        } = *stock;
        if !stock.is_consistent() {
            self.findings.violation(Invariant::StockBalance, Violation {
                group: Some(Group::Inventory.name()),
                sentence: format!(
                    "product {product:?}: received {received} and adjusted {adjusted} is not available {available} and \
                     reserved {reserved}, or one of them is negative"
                ),
                ..Violation::default()
            });
        }
        let row = params![product, received, adjusted, available, reserved];
        self.work
            .run("INSERT INTO stock VALUES (?1, ?2, ?3, ?4, ?5)", row)
            .map(drop)
    }

    fn kept(&mut self, group: Group, order: &str, digest: Option<Hash>) -> Result<(), AuditError> {
        let row = params![group as i64, order_id(order), digest];
        self.work
            .run("INSERT OR IGNORE INTO kept VALUES (?1, ?2, ?3)", row)
            .map(drop)
    }
}
