//! The libraries' errors in the terms of the command line: a name, an exit code, what to do next.

use orderflow_consumers::payment::simulator::ledger::LedgerError;
use orderflow_operations::topics;
use orderflow_runtime::store::StoreError;
use orderflow_runtime::store::sqlite::OpenError;
use orderflow_runtime::{Halt, ServiceError};

use crate::report::Failure;
use crate::slug::Slug;

/// What a failure with topics is called.
pub(super) fn of_topics(error: &topics::Error) -> Failure {
    use topics::Error;
    match error {
        Error::Unreachable { cause, .. } => unreachable(error, &cause.to_string()),
        Error::Configuration(_) => {
            Failure::from_error(Slug::ConfigInvalid, error).hint("orderflow config show --origin")
        }
        Error::Broker { code, .. } => Failure::from_error(answered(code), error),
        Error::Refused(refusals) => refusals.iter().fold(
            Failure::from_error(Slug::TopicsUnfit, error),
            |failure, (_, refusal)| failure.hint(&refusal.hint),
        ),
        Error::NotVisible { .. } | Error::Stalled { .. } => Failure::from_error(Slug::KafkaUnavailable, error),
        Error::NoTopic { .. } => Failure::from_error(Slug::TopicMissing, error).hint("orderflow topics apply"),
        Error::NoPartition { .. } => Failure::from_error(Slug::Usage, error),
    }
}

/// What the end of a service is called.
pub(super) fn of_service(error: &ServiceError) -> Failure {
    match error {
        ServiceError::Settings(_) | ServiceError::Configuration(_) => {
            Failure::from_error(Slug::ConfigInvalid, error).hint("orderflow config show --origin")
        }
        ServiceError::Unreachable { why, .. } => unreachable(error, why),
        ServiceError::Denied { .. } => Failure::from_error(Slug::Unauthenticated, error),
        ServiceError::Topics(_) => Failure::from_error(Slug::TopicsNotReady, error).hint("orderflow topics apply"),
        ServiceError::Store(cause) => of_store(cause),
        ServiceError::Halted(halt) => of_halt(halt),
        ServiceError::Client(_) => Failure::from_error(Slug::KafkaUnavailable, error),
    }
}

fn of_halt(halt: &Halt) -> Failure {
    let failure = Failure::from_error(Slug::named(halt.slug()).unwrap_or(Slug::Halted), halt);
    match halt {
        Halt::WrongDatabase { .. } => failure
            .hint("--adopt-database, once, if this database is meant to take over")
            .hint("orderflow explain wrong-database"),
        Halt::Flood(_) => failure.hint("look at the dead letters with orderflow topics tail TOPIC.GROUP.dlq"),
        _ => failure.hint(format!("orderflow explain {}", halt.slug())),
    }
}

/// What a failure of a database is called.
pub(super) fn of_store(error: &StoreError) -> Failure {
    match error {
        StoreError::Halt(_) | StoreError::Refused(_) => Failure::from_error(Slug::DatabaseDamaged, error),
        StoreError::Fenced { .. } | StoreError::Stale { .. } | StoreError::Unknown(_) | StoreError::Unavailable(_) => {
            Failure::from_error(Slug::StoreUnavailable, error)
        }
    }
}

/// What a database that does not open is called.
pub(super) fn of_open(error: &OpenError) -> Failure {
    let slug = match error {
        OpenError::Locked { .. } | OpenError::Unwritable { .. } | OpenError::Unavailable(_) => Slug::StoreUnavailable,
        OpenError::NewerVersion { .. } | OpenError::OlderVersion { .. } | OpenError::Foreign { .. } => {
            Slug::StoreRefused
        }
        OpenError::Damaged { .. } => Slug::DatabaseDamaged,
        OpenError::Missing { .. } => Slug::StoreMissing,
    };
    Failure::from_error(slug, error)
}

/// What a ledger that does not open is called.
pub(super) fn of_ledger(error: &LedgerError) -> Failure {
    match error {
        LedgerError::Layout { .. } | LedgerError::Pragma { .. } => Failure::from_error(Slug::StoreRefused, error),
        _ => Failure::from_error(Slug::StoreUnavailable, error),
    }
}

/// A broker that lets nobody in looks like one that is not there, but for what the client said last.
fn unreachable(error: &dyn std::error::Error, last: &str) -> Failure {
    let heard = last.to_lowercase();
    if heard.contains("authentication") || heard.contains("sasl") {
        return Failure::from_error(Slug::Unauthenticated, error).hint("orderflow explain unauthenticated");
    }
    Failure::from_error(Slug::KafkaUnavailable, error)
        .hint("orderflow config show --origin tells where the address comes from")
}

/// What Kafka's word for an error is here.
fn answered(code: &str) -> Slug {
    if code.to_lowercase().contains("authorization") {
        Slug::Forbidden
    } else {
        Slug::KafkaRefused
    }
}
