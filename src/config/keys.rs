//! Every setting by its key: one list for the file, the environment, `config show` and the documentation.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Its key in the configuration file, with the table in front: `log.level`.
    pub(crate) key: &'static str,
    /// What holds when nobody says anything.
    pub(crate) default: &'static str,
    /// What it does, in half a line.
    pub(crate) about: &'static str,
}

/// Stands for the runtime's own default, which [`super::runtime::defaults`] writes out.
const FROM_THE_RUNTIME: &str = "";

const fn setting(key: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { key, default, about }
}

/// All settings, but for those passed through under `kafka.`.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "brokers",
        "localhost:9092",
        "addresses of the cluster, host:port, separated by commas",
    ),
    setting(
        "data_dir",
        "./orderflow-data",
        "folder of databases, ledgers and lock files",
    ),
    setting(
        "database",
        "sqlite:{data_dir}/{service}.db",
        "where a service keeps its state: sqlite:PATH, or postgres://USER@HOST/DATABASE",
    ),
    setting(
        "database_connections",
        "8",
        "connections of a service to PostgreSQL at most; its lanes share two for their transactions",
    ),
    setting(
        "database_migrate",
        "true",
        "whether a service brings an older schema up to date when it starts (PostgreSQL)",
    ),
    setting(
        "health_file",
        "{data_dir}/{service}.health",
        "where a daemon writes how its lanes get on, for `orderflow health`",
    ),
    setting("color", "auto", "auto, always or never"),
    setting(
        "log.format",
        "auto",
        "text, json, or auto: text on a terminal, JSON otherwise",
    ),
    setting(
        "log.level",
        "auto",
        "error, warn, info, debug, trace, or a filter; auto: info for daemons, else warn",
    ),
    setting(
        "registry.url",
        "",
        "schema registry that ids come from; empty: the ids that the contracts have by themselves",
    ),
    setting("registry.username", "", "user, or API key, shown to the registry"),
    setting(
        "registry.password",
        "",
        "its password; registry.password_file names a file",
    ),
    setting(
        "registry.token",
        "",
        "bearer token shown to the registry; registry.token_file names a file",
    ),
    setting(
        "registry.ca_file",
        "",
        "certificates (PEM) trusted for the registry beside the system's",
    ),
    setting("registry.timeout", "5s", "how long a request to the registry may take"),
    setting(
        "topics.prefix",
        "",
        "what stands in front of the name of every topic and every consumer group",
    ),
    setting("topics.orders", "orders", "name of the topic of orders"),
    setting(
        "topics.inventory",
        "inventory",
        "name of the topic of inventory's facts",
    ),
    setting("topics.payments", "payments", "name of the topic of payment's facts"),
    setting("topics.shipments", "shipments", "name of the topic of shipments"),
    setting(
        "topics.stock",
        "stock",
        "name of the topic of stock received and adjusted",
    ),
    setting("topics.users", "users", "name of the topic of users"),
    setting(
        "topics.partitions",
        "auto",
        "partitions of every topic; auto: as the topics that exist, else 12",
    ),
    setting(
        "topics.replication",
        "auto",
        "replicas of every partition; auto: 3 where there are three brokers, else 1",
    ),
    setting(
        "topics.events_kept",
        "auto",
        "how long events are kept; auto: at least 30d",
    ),
    setting(
        "topics.letters_kept",
        "auto",
        "how long dead letters and redrives are kept; auto: at least 90d",
    ),
    setting(
        "topics.record_bytes",
        "auto",
        "largest batch an event topic takes, 1MiB or more; auto: at least 1MiB",
    ),
    setting(
        "runtime.batch_records",
        FROM_THE_RUNTIME,
        "records of one lane in one unit of work; auto: 500 on SQLite, 1,000 on PostgreSQL",
    ),
    setting(
        "runtime.buffered_bytes",
        FROM_THE_RUNTIME,
        "fetched and not yet handled, over all lanes",
    ),
    setting(
        "runtime.lane_buffered_bytes",
        FROM_THE_RUNTIME,
        "fetched and not yet handled, of one lane; unless it is said, no more than of all",
    ),
    setting(
        "runtime.in_flight_facts",
        FROM_THE_RUNTIME,
        "facts of one lane made and not yet acknowledged",
    ),
    setting(
        "runtime.drain",
        FROM_THE_RUNTIME,
        "how long a lane may finish its work when it is taken away or the daemon ends",
    ),
    setting(
        "runtime.session_timeout",
        FROM_THE_RUNTIME,
        "after how long without a heartbeat the group counts a daemon as dead",
    ),
    setting(
        "runtime.group_protocol",
        FROM_THE_RUNTIME,
        "classic, or consumer: the broker assigns, and its session timeout counts (PostgreSQL only)",
    ),
    setting(
        "runtime.instance_id",
        FROM_THE_RUNTIME,
        "name of a daemon with a fixed place in its group, unlike every other's (PostgreSQL only)",
    ),
    setting(
        "runtime.idle_flush",
        FROM_THE_RUNTIME,
        "how long the published position may wait for the next unit of work",
    ),
    setting(
        "runtime.group_offset_interval",
        FROM_THE_RUNTIME,
        "how often positions are told to the group, for lag tools",
    ),
    setting(
        "runtime.flood_run",
        FROM_THE_RUNTIME,
        "dead letters in a row that stop the consumer",
    ),
    setting(
        "runtime.flood_percent",
        FROM_THE_RUNTIME,
        "share of dead letters in a window that stops the consumer",
    ),
    setting("runtime.flood_window", FROM_THE_RUNTIME, "records that make a window"),
    setting("runtime.record_bytes", FROM_THE_RUNTIME, "largest record value taken"),
    setting(
        "runtime.inbox_retention",
        FROM_THE_RUNTIME,
        "how long it is remembered which events were applied",
    ),
    setting(
        "runtime.outbox_retention",
        FROM_THE_RUNTIME,
        "how long a published fact is kept for the audit",
    ),
    setting(
        "runtime.start",
        FROM_THE_RUNTIME,
        "where a partition never seen before starts: earliest, latest or a time, as @2026-11-21T10:00:00Z",
    ),
    setting(
        "runtime.dense",
        FROM_THE_RUNTIME,
        "whether a missing offset stops the service as a loss; false where producers use transactions",
    ),
    setting(
        "runtime.compression",
        FROM_THE_RUNTIME,
        "of what is published: lz4, gzip, snappy or none",
    ),
    setting(
        "runtime.linger",
        FROM_THE_RUNTIME,
        "how long the producer waits for a batch to fill",
    ),
    setting(
        "runtime.cluster",
        FROM_THE_RUNTIME,
        "kafka, or embedded: librdkafka's own broker, to try things only",
    ),
    setting(
        "gateway.amount_limit_minor",
        "10000000",
        "largest amount the built-in payment gateway charges, minor units",
    ),
];

/// Whether `key` is the name of a table, such as `log`.
pub(crate) fn is_table(key: &str) -> bool {
    SETTINGS
        .iter()
        .any(|setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether `key` is a setting of ours.
pub(crate) fn is_known(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key == key)
}

/// What a key does; nothing is known of those passed through.
pub(crate) fn about(key: &str) -> Option<&'static str> {
    SETTINGS
        .iter()
        .find(|setting| setting.key == key)
        .map(|setting| setting.about)
}

/// The environment variable of a key: `log.level` is `ORDERFLOW_LOG_LEVEL`.
pub(crate) fn variable(key: &str) -> String {
    format!("ORDERFLOW_{}", key.replace('.', "_").to_uppercase())
}

/// The known key nearest to a misspelt one, if one is near enough to be meant. A right name in the wrong table is near.
pub(crate) fn nearest(key: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    closest(key, SETTINGS.iter().map(|setting| setting.key), |key, known| {
        strsim::jaro_winkler(key, known).max(strsim::jaro_winkler(&last(key), &last(known)))
    })
}

/// The variable nearest to a misspelt one.
pub(crate) fn nearest_variable(name: &str) -> Option<String> {
    let key = closest(name, SETTINGS.iter().map(|setting| setting.key), |name, key| {
        strsim::jaro_winkler(&name["ORDERFLOW_".len()..], &variable(key)["ORDERFLOW_".len()..])
    })?;
    Some(variable(key))
}

/// Of `candidates` the most similar one, unless none is similar.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
    similarity: impl Fn(&str, &str) -> f64,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (similarity(word, candidate), candidate))
        .filter(|(similar, _)| *similar > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_what_was_meant() {
        assert_eq!(nearest("brokrs"), Some("brokers"));
        assert_eq!(nearest("runtime.drian"), Some("runtime.drain"));
        assert_eq!(nearest("batch_records"), Some("runtime.batch_records"));
        assert_eq!(nearest("zzz"), None);
        assert_eq!(
            nearest_variable("ORDERFLOW_BROKER").as_deref(),
            Some("ORDERFLOW_BROKERS")
        );
    }

    #[test]
    fn no_two_keys_share_a_variable() {
        for (n, one) in SETTINGS.iter().enumerate() {
            assert!(
                SETTINGS[..n]
                    .iter()
                    .all(|other| variable(other.key) != variable(one.key)),
                "{}",
                one.key
            );
        }
    }
}
