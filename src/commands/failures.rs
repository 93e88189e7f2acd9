//! The libraries' errors in the terms of the command line: a name, an exit code, what to do next.

use orderflow_consumers::payment::simulator::ledger::LedgerError;
use orderflow_domain::order::FieldError;
use orderflow_operations::audit::AuditError;
use orderflow_operations::demo::{DemoError, MOST_ORDERS};
use orderflow_operations::{bench, topics};
use orderflow_producers::SinkError;
use orderflow_producers::emit::{EmitError, InvalidShape};
use orderflow_producers::import::ImportError;
use orderflow_producers::place::PlaceError;
use orderflow_producers::stock::StockError;
use orderflow_runtime::kafka::{self, Distrust, Right};
use orderflow_runtime::store::{OpenError, StoreError, Unusable, postgres, sqlite};
use orderflow_runtime::{Halt, ServiceError};
use orderflow_schemas::registry::RegistryError;

use crate::report::Failure;
use crate::slug::Slug;

/// What a failure with topics is called.
pub(super) fn of_topics(error: &topics::Error) -> Failure {
    use topics::Error;
    match error {
        Error::Unreachable { brokers, .. } => unreachable(brokers, error),
        Error::Credentials { .. } => refused(error),
        Error::Untrusted(distrust) => untrusted(distrust),
        Error::Forbidden { brokers, right } => forbidden(brokers, right),
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

/// What an order that was not placed is called.
pub(super) fn of_place(error: &PlaceError) -> Failure {
    match error {
        PlaceError::Invalid(_) => Failure::from_error(Slug::ValidationFailed, error),
        PlaceError::NotWritten(cause) => of_sink(cause),
        PlaceError::MaybeWritten {
            order_id,
            placed_at,
            cause,
        } => Failure::new(Slug::Unacknowledged, format!("order {order_id} may have been written"))
            .caused_by(cause)
            .hint(format!(
                "repeat it with --order-id {order_id} --placed-at {placed_at}: it counts once in any case"
            )),
    }
}

/// What a load that did not come to its end is called; `again` says what a repeat would be.
pub(super) fn of_emit(error: &EmitError, again: &str) -> Failure {
    match error {
        EmitError::Shape(shape) => of_shape(shape),
        EmitError::NotOpened(cause) => of_sink(cause),
        EmitError::Interrupted { cause, .. } => of_sink(cause).hint(again),
    }
}

/// What a load that cannot look like that is called.
pub(super) fn of_shape(error: &InvalidShape) -> Failure {
    Failure::from_error(Slug::Usage, error)
}

/// What an import that ended early is called.
pub(super) fn of_import(error: &ImportError) -> Failure {
    match error {
        ImportError::Option(_) => Failure::from_error(Slug::Usage, error),
        ImportError::Sink(cause) => of_sink(cause).hint("repeat the import: what was placed counts once in any case"),
        ImportError::Open { .. }
        | ImportError::Read { .. }
        | ImportError::Header { .. }
        | ImportError::Scattered { .. } => Failure::from_error(Slug::InputUnreadable, error),
    }
}

/// What a movement of stock that was not made is called; `again` says how to repeat it.
pub(super) fn of_stock(error: &StockError, again: &str) -> Failure {
    match error {
        StockError::Invalid(field) => of_field(field),
        StockError::Catalogue(_) => Failure::from_error(Slug::InputUnreadable, error),
        StockError::NotWritten(cause) => of_sink(cause),
        StockError::MaybeWritten { cause, .. } => {
            Failure::new(Slug::Unacknowledged, "some of it may have been written")
                .caused_by(cause)
                .hint(again)
        }
    }
}

/// What a field that breaks a rule is called.
pub(super) fn of_field(error: &FieldError) -> Failure {
    Failure::from_error(Slug::ValidationFailed, error)
}

/// What a registry that did not say is called.
pub(super) fn of_registry(error: &RegistryError) -> Failure {
    let (slug, hint) = match error {
        RegistryError::Unreachable { .. } => (
            Slug::RegistryUnavailable,
            "orderflow config show --origin tells where the address comes from",
        ),
        RegistryError::Unavailable { .. } => (Slug::RegistryUnavailable, "try again when the registry is well"),
        RegistryError::Untrusted { .. } => (Slug::RegistryUntrusted, "orderflow explain registry-untrusted"),
        RegistryError::Denied { .. } => (Slug::RegistryDenied, "orderflow explain registry-denied"),
        RegistryError::NotFound { .. } => (Slug::SchemasUnregistered, "orderflow schemas register"),
        RegistryError::Incompatible { .. } => (Slug::SchemasIncompatible, "orderflow schemas check"),
        RegistryError::Refused { .. } => (Slug::RegistryRefused, "orderflow explain registry-refused"),
        RegistryError::Unexpected { .. } => (Slug::RegistryUnexpected, "orderflow explain registry-unexpected"),
        RegistryError::Unusable { .. } => (Slug::ConfigInvalid, "orderflow config show --origin"),
    };
    Failure::from_error(slug, error).hint(hint)
}

/// What an audit that could not judge is called.
pub(super) fn of_audit(error: &AuditError) -> Failure {
    match error {
        AuditError::Deadline { .. } => Failure::from_error(Slug::DeadlinePassed, error)
            .hint("are they running? orderflow run inventory, orderflow run payment"),
        AuditError::Stopped => Failure::from_error(Slug::Interrupted, error),
        AuditError::Cluster(cause) => of_topics(cause),
        AuditError::Registry(cause) => of_registry(cause),
        AuditError::Work { .. } => Failure::from_error(Slug::AuditImpossible, error)
            .hint("TMPDIR=FOLDER orderflow audit puts it where there is room"),
        AuditError::Database(_) | AuditError::Missing(_) => Failure::from_error(Slug::AuditImpossible, error),
    }
}

/// What a demonstration that ended early, or was not begun, is called.
pub(super) fn of_demo(error: &DemoError) -> Failure {
    match error {
        DemoError::TooManyOrders { .. } => {
            Failure::from_error(Slug::Usage, error).hint(format!("orderflow demo --orders {MOST_ORDERS}"))
        }
        DemoError::NotEmpty { .. } => Failure::from_error(Slug::Usage, error)
            .hint("name a folder that is empty or not there yet, or remove this one if nothing in it is needed"),
        DemoError::Folder { .. } => Failure::from_error(Slug::OutputFailed, error),
        DemoError::Import(failed) => of_import(&failed.cause),
        DemoError::Sink(cause) => of_sink(cause),
        DemoError::Store(cause) => of_store(cause),
        DemoError::Audit(cause) => of_audit(cause),
        _ => Failure::from_error(Slug::DemoFailed, error),
    }
}

/// What a measurement that was not made is called.
pub(super) fn of_bench(error: &bench::Error) -> Failure {
    match error {
        bench::Error::Topics(cause) => of_topics(cause),
        bench::Error::Service(cause) => of_service(cause),
        bench::Error::Open(cause) => of_open(cause),
        bench::Error::Store(cause) => of_store(cause),
        _ => Failure::from_error(Slug::BenchFailed, error),
    }
}

/// What a failure to produce is called.
pub(super) fn of_sink(error: &SinkError) -> Failure {
    let slug = match error {
        SinkError::Forbidden(_) => Slug::PropertyRefused,
        SinkError::Configuration(_) => Slug::ConfigInvalid,
        SinkError::Unreachable { brokers, .. } => return unreachable(brokers, error),
        SinkError::Credentials { .. } => Slug::Unauthenticated,
        SinkError::Untrusted(distrust) => return untrusted(distrust),
        SinkError::Denied { brokers, right } => return forbidden(brokers, right),
        SinkError::MissingTopic { .. } => Slug::TopicMissing,
        SinkError::TooLarge { .. } => Slug::ValidationFailed,
        SinkError::Refused { reason, .. } | SinkError::GaveUp { reason, .. } => answered(reason),
        SinkError::NotAcknowledged { .. } => Slug::Unacknowledged,
        SinkError::Stopped => Slug::Interrupted,
    };
    let failure = Failure::from_error(slug, error);
    match error {
        SinkError::MissingTopic { .. } => failure.hint("orderflow topics apply"),
        SinkError::Configuration(_) => failure.hint("orderflow config show --origin"),
        SinkError::Credentials { .. } => refused(error),
        _ => failure,
    }
}

/// What the end of a service is called.
pub(super) fn of_service(error: &ServiceError) -> Failure {
    match error {
        ServiceError::Settings(_) | ServiceError::Configuration(_) => {
            Failure::from_error(Slug::ConfigInvalid, error).hint("orderflow config show --origin")
        }
        ServiceError::Unreachable { brokers, .. } => unreachable(brokers, error),
        ServiceError::Denied { .. } => refused(error),
        ServiceError::Untrusted(distrust) => untrusted(distrust),
        ServiceError::Forbidden { brokers, right } => forbidden(brokers, right),
        ServiceError::Topics(_) => Failure::from_error(Slug::TopicsNotReady, error).hint("orderflow topics apply"),
        ServiceError::Store(cause) => of_store(cause),
        ServiceError::Halted(halt) => of_halt(halt),
        ServiceError::Client(_) => {
            Failure::from_error(Slug::KafkaUnavailable, error).hint("start it again: it goes on where it stopped")
        }
        ServiceError::Internal(_) => Failure::from_error(Slug::Internal, error),
    }
}

fn of_halt(halt: &Halt) -> Failure {
    let failure = Failure::from_error(Slug::named(halt.slug()).unwrap_or(Slug::Halted), halt);
    match halt {
        Halt::WrongDatabase { .. } => failure
            .hint("--adopt-database, once, if this database is meant to take over")
            .hint("orderflow explain wrong-database"),
        Halt::TopicGrown(_) => failure
            .hint("--adopt-partitions, once, if it has grown and that is meant: best when all that was written before is read")
            .hint("orderflow explain topic-grown"),
        Halt::Flood(_) => failure
            .hint("look at the dead letters with orderflow topics tail TOPIC.GROUP.dlq, and mend their producer")
            .hint("then start with a higher limit until good records come again; a restart alone stops again")
            .hint("orderflow explain dead-letter-flood"),
        _ => failure.hint(format!("orderflow explain {}", halt.slug())),
    }
}

/// What a failure of a database is called.
pub(super) fn of_store(error: &StoreError) -> Failure {
    match error {
        StoreError::Grown { .. } => Failure::from_error(Slug::TopicGrown, error),
        StoreError::Halt(_) => Failure::from_error(Slug::DatabaseDamaged, error),
        StoreError::Refused(_) => Failure::from_error(Slug::StoreRefused, error),
        StoreError::Unusable { kind, .. } => Failure::from_error(of_unusable(*kind), error),
        StoreError::Fenced { .. }
        | StoreError::Stale { .. }
        | StoreError::Undone
        | StoreError::Unknown(_)
        | StoreError::Unavailable(_) => Failure::from_error(Slug::StoreUnavailable, error),
    }
}

/// The same name at work as when it is opened: see [`of_sqlite`] and [`of_postgres`].
const fn of_unusable(kind: Unusable) -> Slug {
    match kind {
        Unusable::Credentials => Slug::DatabaseUnauthenticated,
        Unusable::Certificate => Slug::DatabaseUntrusted,
        Unusable::Right => Slug::DatabaseForbidden,
        Unusable::Missing => Slug::StoreMissing,
        Unusable::Place => Slug::StoreUnavailable,
        Unusable::Unfit => Slug::StoreRefused,
    }
}

/// What a database that does not open is called.
pub(super) fn of_open(error: &OpenError) -> Failure {
    match error {
        OpenError::Sqlite(cause) => of_sqlite(cause),
        OpenError::Postgres(cause) => of_postgres(cause),
    }
}

/// What a file that does not open is called.
pub(super) fn of_sqlite(error: &sqlite::OpenError) -> Failure {
    use sqlite::OpenError;
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

/// What a server that is not connected to is called.
pub(super) fn of_postgres(error: &postgres::OpenError) -> Failure {
    use postgres::OpenError;
    let slug = match error {
        OpenError::Unavailable(_) => Slug::StoreUnavailable,
        OpenError::Credentials { .. } => Slug::DatabaseUnauthenticated,
        OpenError::Certificate { .. } => Slug::DatabaseUntrusted,
        OpenError::Forbidden { .. } => Slug::DatabaseForbidden,
        OpenError::Missing { .. } => Slug::StoreMissing,
        OpenError::Damaged { .. } => Slug::DatabaseDamaged,
        OpenError::Unfit { .. }
        | OpenError::NewerVersion { .. }
        | OpenError::OlderVersion { .. }
        | OpenError::Foreign { .. } => Slug::StoreRefused,
    };
    Failure::from_error(slug, error)
}

/// What a ledger that does not open is called.
pub(super) fn of_ledger(error: &LedgerError) -> Failure {
    match error {
        LedgerError::Layout { .. } => {
            Failure::from_error(Slug::StoreRefused, error).hint("use the newer program that wrote it")
        }
        // SQLite says nothing of why; on a full disk the log cannot be begun.
        LedgerError::Pragma { .. } => Failure::from_error(Slug::StoreRefused, error)
            .hint("is its disk full, or its file system one that SQLite cannot lock? --data-dir names another folder"),
        LedgerError::Database { source, .. } => of_books(error, source),
        _ => Failure::from_error(Slug::StoreUnavailable, error),
    }
}

/// Where SQLite says why: the ways out that the database of a service has in the same place.
fn of_books(error: &LedgerError, why: &rusqlite::Error) -> Failure {
    use rusqlite::ErrorCode as Code;
    let (slug, hint) = match why.sqlite_error_code() {
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => {
            (Slug::DatabaseDamaged, "keep a copy of it and restore a backup")
        }
        Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => (
            Slug::StoreUnavailable,
            "it cannot be written; give a folder with --data-dir where it may be",
        ),
        Some(Code::DiskFull) => (
            Slug::StoreUnavailable,
            "its disk is full; free some space there, then start again. Nothing was changed",
        ),
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => (
            Slug::StoreUnavailable,
            "another program holds a lock on it; end what writes to it, readers open it read-only",
        ),
        Some(Code::SystemIoFailure) => (
            Slug::StoreUnavailable,
            "the disk failed under it; look at the system's log",
        ),
        _ => return Failure::from_error(Slug::StoreUnavailable, error),
    };
    Failure::from_error(slug, error).hint(hint)
}

/// No broker answers. Where somebody listens all the same, what is spoken there may be another protocol.
fn unreachable(brokers: &str, error: &dyn std::error::Error) -> Failure {
    let failure = Failure::from_error(Slug::KafkaUnavailable, error)
        .hint("orderflow config show --origin tells where the address comes from");
    match kafka::listening(brokers) {
        Some(address) => failure.hint(format!(
            "something listens at {address}: does it speak what security.protocol under [kafka] says?"
        )),
        None => failure,
    }
}

/// A broker that answers and lets nobody in.
fn refused(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Slug::Unauthenticated, error)
        .hint("orderflow config show --origin tells where the credentials come from")
        .hint("orderflow explain unauthenticated")
}

/// TLS that does not come about.
fn untrusted(distrust: &Distrust) -> Failure {
    let address = distrust.address.split(',').next().unwrap_or_default();
    Failure::from_error(Slug::Untrusted, distrust)
        .hint(distrust.remedy())
        .hint(format!(
            "openssl s_client -connect {address} -showcerts shows what it presents"
        ))
}

/// A right that is missing.
pub(crate) fn forbidden(brokers: &str, right: &Right) -> Failure {
    Failure::new(
        Slug::Forbidden,
        format!("Kafka at {brokers} denies this client {right}"),
    )
    .hint(format!("{} grants it", right.granted_by()))
}

/// What Kafka's word for an error is here.
fn answered(code: &str) -> Slug {
    if code.to_lowercase().contains("authorization") {
        Slug::Forbidden
    } else {
        Slug::KafkaRefused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_is_not_put_down_to_kafka() {
        let said = |error: ServiceError| of_service(&error).plain();
        insta::assert_snapshot!(said(ServiceError::Internal("lane 3 ended without a word; a defect".to_owned())), @"error[internal]: lane 3 ended without a word; a defect");
        insta::assert_snapshot!(said(ServiceError::Client("subscribing: timed out".to_owned())), @r"
        error[kafka-unavailable]: the Kafka client ended: subscribing: timed out
        hint: start it again: it goes on where it stopped
        ");
    }

    #[test]
    fn a_ledger_that_sqlite_does_not_open_has_a_way_out() {
        use rusqlite::ffi;
        for (code, slug, hint) in [
            (ffi::SQLITE_CORRUPT, "database-damaged", "restore a backup"),
            (
                ffi::SQLITE_READONLY,
                "store-unavailable",
                "give a folder with --data-dir",
            ),
            (ffi::SQLITE_FULL, "store-unavailable", "free some space"),
            (ffi::SQLITE_BUSY, "store-unavailable", "end what writes to it"),
            (ffi::SQLITE_IOERR, "store-unavailable", "look at the system's log"),
        ] {
            let said = of_ledger(&LedgerError::Database {
                path: "gateway.db".into(),
                source: rusqlite::Error::SqliteFailure(ffi::Error::new(code), None),
            });
            let said = said.plain();
            assert!(said.starts_with(&format!("error[{slug}]: ")), "{said}");
            assert!(said.contains("\nhint: ") && said.contains(hint), "{said}");
        }
    }
}
