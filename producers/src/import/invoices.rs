//! Gathers the lines of an invoice into an order: one invoice at a time.

use std::collections::HashMap;

use orderflow_domain::money::Currency;
use orderflow_domain::order::{MAX_ITEMS, total_minor};
use orderflow_domain::{CustomerId, EventId, Item, Meta, OrderId, OrderPlaced, ProductId, Timestamp, id};

use super::report::Count;
use super::seen::{Full, Seen};
use super::{Each, ImportOptions, ImportReport, Reason};
use crate::sink::SinkError;

/// A line that can be part of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sale<'a> {
    pub(super) invoice: &'a str,
    pub(super) product: &'a str,
    pub(super) quantity: i64,
    pub(super) placed_at: Timestamp,
    pub(super) price_minor: i64,
    /// Empty: a guest.
    pub(super) customer: &'a str,
}

/// Why gathering cannot go on.
#[derive(Debug)]
pub(super) enum Halt {
    Full,
    Sink(SinkError),
}

/// The invoice that is being gathered, and those that are done with.
pub(super) struct Invoices<'a> {
    options: &'a ImportOptions,
    currency: Currency,
    each: Each<'a>,
    open: Option<Invoice>,
    /// Placed or held back: what comes back is refused.
    closed: Seen,
    /// A line that names no invoice was read since the last sound one, and may belong to the next.
    orphan: bool,
}

struct Invoice {
    number: String,
    lines: Count,
    customer: String,
    placed_at: Timestamp,
    items: Vec<Item>,
    /// Where a product at a price stands among the items.
    index: HashMap<(String, i64), usize>,
    /// Where and why it is held back.
    held: Option<(u64, String)>,
}

impl<'a> Invoices<'a> {
    pub(super) fn new(options: &'a ImportOptions, currency: Currency, each: Each<'a>) -> Self {
        Self {
            options,
            currency,
            each,
            open: None,
            closed: Seen::default(),
            orphan: false,
        }
    }

    /// Takes a sound line.
    pub(super) fn sale(&mut self, line: u64, sale: &Sale<'_>, report: &mut ImportReport) -> Result<(), Halt> {
        if self.open.as_ref().is_none_or(|open| open.number != sale.invoice) {
            if self.closed.contains(sale.invoice) {
                let why = format!("invoice {} is closed or held back already", sale.invoice);
                report.problem(line, Some("InvoiceNo"), why);
                report.line(Reason::HeldBack, line);
                return Ok(());
            }
            self.close(report)?;
            self.open = Some(Invoice::begin(sale));
        }
        let orphan = std::mem::take(&mut self.orphan);
        if let Some(open) = &mut self.open {
            open.add(line, sale, report);
            if orphan {
                open.hold(line, "a line before this one names no invoice and may be part of it");
            }
        }
        Ok(())
    }

    /// A line of this invoice cannot be read, so the order would not be whole.
    pub(super) fn broken(&mut self, line: u64, invoice: &str) -> Result<(), Halt> {
        match &mut self.open {
            Some(open) if open.number == invoice => open.hold(line, "a line of the invoice is unreadable"),
            _ => self.closed.insert(invoice).map_err(|Full| Halt::Full)?,
        }
        Ok(())
    }

    /// A line of some invoice cannot be read: the one before and the one after it may not be whole.
    pub(super) fn orphan(&mut self, line: u64) {
        self.orphan = true;
        if let Some(open) = &mut self.open {
            open.hold(line, "a line that names no invoice may be part of it");
        }
    }

    /// No more lines of the open invoice are to come.
    pub(super) fn close(&mut self, report: &mut ImportReport) -> Result<(), Halt> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        self.closed.insert(&open.number).map_err(|Full| Halt::Full)?;
        let order = match open.held {
            Some((line, why)) => Err((line, why)),
            None => self.order(&open),
        };
        match order {
            Ok(order) => {
                let taken = (self.each)(&order).map_err(Halt::Sink);
                if taken.is_ok() {
                    report.order(&order);
                }
                let reason = if taken.is_ok() {
                    Reason::Accepted
                } else {
                    Reason::Unfinished
                };
                report.lines(reason, &open.lines);
                taken
            }
            Err((line, why)) => {
                report.problem(line, None, format!("invoice {} is held back: {why}", open.number));
                report.lines(Reason::HeldBack, &open.lines);
                Ok(())
            }
        }
    }

    /// The import ends early: the open invoice may go on, so it is not placed.
    pub(super) fn abandon(&mut self, report: &mut ImportReport) {
        if let Some(open) = self.open.take() {
            report.lines(Reason::Unfinished, &open.lines);
        }
    }

    /// Everything in it follows from the invoice and the options.
    fn order(&self, invoice: &Invoice) -> Result<OrderPlaced, (u64, String)> {
        let first = invoice.lines.first.first().copied().unwrap_or_default();
        let source = &self.options.source;
        let order_id = OrderId(identity(source, &invoice.number, "order"));
        let order = OrderPlaced {
            meta: Meta {
                event_id: EventId(identity(source, &invoice.number, "OrderPlaced")),
                occurred_at: invoice.placed_at,
                correlation_id: order_id.to_string(),
                causation_id: None,
                source: source.as_str().into(),
            },
            order_id,
            customer_id: Some(&invoice.customer)
                .filter(|id| !id.is_empty())
                .map(|id| CustomerId(id.as_str().into())),
            currency: self.currency,
            total_minor: total_minor(&invoice.items).unwrap_or_default(),
            items: invoice.items.clone(),
            payment_token: self.options.payment_token.as_str().into(),
            placed_at: invoice.placed_at,
        };
        match order.validate() {
            Ok(()) => Ok(order),
            Err(errors) => Err((first, errors.first().map(ToString::to_string).unwrap_or_default())),
        }
    }
}

impl Invoice {
    fn begin(sale: &Sale<'_>) -> Self {
        Self {
            number: sale.invoice.to_owned(),
            lines: Count::default(),
            customer: sale.customer.to_owned(),
            placed_at: sale.placed_at,
            items: Vec::new(),
            index: HashMap::new(),
            held: None,
        }
    }

    fn add(&mut self, line: u64, sale: &Sale<'_>, report: &mut ImportReport) {
        if sale.customer != self.customer {
            let why = format!(
                "{:?} differs from {:?} of the same invoice",
                sale.customer, self.customer
            );
            report.problem(line, Some("CustomerID"), why);
            report.line(Reason::Unreadable, line);
            return self.hold(line, "its lines name different customers");
        }
        self.lines.add(line);
        self.placed_at = self.placed_at.min(sale.placed_at);
        let next = self.items.len();
        let at = *self
            .index
            .entry((sale.product.to_owned(), sale.price_minor))
            .or_insert(next);
        if let Some(item) = self.items.get_mut(at) {
            match item.quantity.checked_add(sale.quantity) {
                Some(quantity) => item.quantity = quantity,
                None => self.hold(line, "the quantity of a product exceeds 64 bits"),
            }
        } else if next < MAX_ITEMS {
            self.items.push(Item {
                product_id: ProductId(sale.product.into()),
                quantity: sale.quantity,
                unit_price_minor: sale.price_minor,
            });
        } else {
            // What is not kept must not be remembered either: an invoice without end would fill the memory.
            self.index.remove(&(sale.product.to_owned(), sale.price_minor));
            self.hold(line, &format!("it has more than {MAX_ITEMS} items"));
        }
    }

    /// The first reason stays.
    fn hold(&mut self, line: u64, why: &str) {
        self.held.get_or_insert_with(|| (line, why.to_owned()));
    }
}

/// An id that follows from the source and the invoice's number alone, so that a corrected file means the same orders.
///
/// The place of the time is taken by the number itself: ids are in the order of the invoices, which keeps indexes fast.
fn identity(source: &str, invoice: &str, what: &str) -> uuid::Uuid {
    /// So many digits are a time that fits 48 bits.
    const DIGITS: usize = 14;
    let tail = &invoice[invoice.len().saturating_sub(DIGITS)..];
    let order = Timestamp::from_unix_millis(tail.parse().unwrap_or_default());
    id::derive(order, &[what.as_bytes(), source.as_bytes(), invoice.as_bytes()])
}
