//! What the values of records say.

use orderflow_domain::Event;
use orderflow_schemas::registry::{ReadError, Reader};

use super::super::AuditError;
use super::outcome::Outcome;

/// Reads values. What nobody can tell for want of a schema is no reason to judge: it ends the audit.
#[derive(Debug)]
pub(super) struct Values(Reader);

impl Values {
    pub(super) const fn new(reader: Reader) -> Self {
        Self(reader)
    }

    /// The event of a value; `None` where there is none to be read.
    pub(super) fn event(&self, value: Option<&[u8]>) -> Result<Option<Event>, AuditError> {
        match value.map(|value| self.0.read(value)) {
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(ReadError::Unreadable(_))) | None => Ok(None),
            Some(Err(ReadError::Unknown { cause, .. })) => Err(cause.into()),
        }
    }

    /// What a fact's value says of an order; `None` where it says nothing of one's outcome.
    pub(super) fn outcome(&self, value: Option<&[u8]>) -> Result<Option<Outcome>, AuditError> {
        Ok(self.event(value)?.and_then(Outcome::of))
    }
}
