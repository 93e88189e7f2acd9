//! The client of a group, with everything a guarantee rests on set in one place.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;

use super::context::Context;
use super::standing::FIGURES_EVERY;
use crate::error::ServiceError;
use crate::kafka::{self, Connection};
use crate::settings::{Cluster, FETCH_BYTES, GroupProtocol, InvalidSettings, Settings};
use crate::store::Identity;

/// Keys and values that librdkafka may hold fetched, KiB. It counts no headers, and those are several times the value of
/// an order, so this is some 4 MiB. What waits in the lanes' own buffers costs less, and is there when a lane asks.
const QUEUED_KIBIBYTES: &str = "512";

/// The client of a group. Connects lazily; an unreachable broker shows in the loop.
///
/// # Errors
/// A property that librdkafka does not know or does not take.
pub(crate) fn client(
    connection: &Connection,
    settings: &Settings,
    (group, identity): (&str, &Identity),
) -> Result<BaseConsumer<Context>, ServiceError> {
    let mut config = reading(
        connection,
        group,
        &[
            ("queued.max.messages.kbytes", QUEUED_KIBIBYTES),
            ("fetch.queue.backoff.ms", "2"),
            ("fetch.message.max.bytes", &FETCH_BYTES.to_string()),
            ("fetch.wait.max.ms", "100"),
            ("topic.metadata.refresh.interval.ms", "30000"),
            ("statistics.interval.ms", &FIGURES_EVERY.as_millis().to_string()),
        ],
    );
    membership(&mut config, settings, identity);
    config
        .create_with_context(Context::of(connection))
        .map_err(|error| ServiceError::Configuration(kafka::plain(&error)))
}

/// How a group's records are read, whoever else tunes what: positions are the database's, nothing is skipped in silence.
pub(super) fn reading(connection: &Connection, group: &str, tuning: &[(&str, &str)]) -> ClientConfig {
    let mut config = connection.client(tuning);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error");
    config
}

/// Who this member is, and how lanes come to it: whole, by the assignor `range` (rule 6).
fn membership(config: &mut ClientConfig, settings: &Settings, identity: &Identity) {
    match settings.group_protocol {
        GroupProtocol::Classic => {
            let heartbeat = settings.session_timeout / 10;
            config
                .set("partition.assignment.strategy", "range")
                .set("session.timeout.ms", settings.session_timeout.as_millis().to_string())
                .set("heartbeat.interval.ms", heartbeat.as_millis().to_string());
        }
        GroupProtocol::Consumer => {
            config
                .set("group.protocol", "consumer")
                .set("group.remote.assignor", "range");
        }
    }
    if let Some(instance) = instance(settings, identity) {
        config.set("group.instance.id", instance);
    }
}

/// The name of a fixed place in the group: the database's own where one process alone may use it.
pub(super) fn instance<'a>(settings: &'a Settings, identity: &'a Identity) -> Option<&'a str> {
    match settings.cluster {
        Cluster::Embedded => None,
        Cluster::Kafka if identity.exclusive => Some(&identity.instance),
        Cluster::Kafka => settings.instance_id.as_deref(),
    }
}

/// Refuses what does not go with a database for one process (rule 12).
///
/// # Errors
/// The setting that does not.
pub(crate) fn check_membership(settings: &Settings, identity: &Identity) -> Result<(), InvalidSettings> {
    let refused = |setting, why: &str| {
        let why = why.to_owned();
        Err(InvalidSettings { setting, why })
    };
    if identity.exclusive && settings.instance_id.is_some() {
        return refused(
            "instance_id",
            "a SQLite database has a member identity of its own; leave it out, or use PostgreSQL",
        );
    }
    if identity.exclusive && settings.group_protocol == GroupProtocol::Consumer {
        return refused(
            "group_protocol",
            "a SQLite database needs classic, under which a killed daemon has its lanes back at once; use that, or \
             PostgreSQL",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(exclusive: bool) -> Identity {
        Identity {
            instance: "of-the-database".to_owned(),
            exclusive,
            location: String::new(),
            fresh: true,
        }
    }

    #[test]
    fn a_database_for_one_process_names_its_member_itself() {
        let named = Settings {
            instance_id: Some("inventory-1".to_owned()),
            ..Settings::default()
        };
        let refused = check_membership(&named, &identity(true)).expect_err("refused");
        assert_eq!(refused.setting, "instance_id");
        assert_eq!(instance(&Settings::default(), &identity(true)), Some("of-the-database"));
        assert_eq!(check_membership(&named, &identity(false)), Ok(()));
        assert_eq!(instance(&named, &identity(false)), Some("inventory-1"));
        assert_eq!(instance(&Settings::default(), &identity(false)), None);
    }

    #[test]
    fn a_database_for_one_process_needs_the_classic_protocol() {
        let consumer = Settings {
            group_protocol: GroupProtocol::Consumer,
            ..Settings::default()
        };
        let refused = check_membership(&consumer, &identity(true)).expect_err("refused");
        assert_eq!(refused.setting, "group_protocol");
        assert_eq!(check_membership(&consumer, &identity(false)), Ok(()));
    }
}
