//! Every bound of the runtime, with its unit, its default and its reason, and the ones that depend on one another
//! checked together before anything starts (rule 14).

use std::time::Duration;

use thiserror::Error;

/// How a service runs. The defaults suit a group that catches up on a large backlog and then follows it live.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Records of one lane in one unit of work; `None` is what suits the store ([`Store::BATCH_RECORDS`]). Cost per record
    /// falls as it grows, and memory rises.
    ///
    /// [`Store::BATCH_RECORDS`]: crate::store::Store::BATCH_RECORDS
    pub batch_records: Option<usize>,
    /// Bytes fetched and not yet handled, over all lanes; full for two seconds, they are divided among the lanes. Above one fetch.
    pub buffered_bytes: usize,
    /// Bytes of one lane fetched and not yet handled; beyond it the lane's partitions are paused, until half is handled. That
    /// half is what the lane lives on until the next fetch, so it has to be several batches.
    pub lane_buffered_bytes: usize,
    /// Facts of one lane made and not yet acknowledged; beyond it the lane takes no record, answer or timer.
    pub in_flight_facts: usize,
    /// How long a lane may finish its work when its partitions are taken away. Below the session timeout, or the group
    /// gives the lane away meanwhile.
    pub drain: Duration,
    /// After how long without a heartbeat the group counts this member as dead. Kafka's brokers take 6 s and more. Longer
    /// than the brokers need to replace one of them (`broker.session.timeout.ms`, 9 s, and a new controller): a member
    /// whose session ends while its group's coordinator is away joins anew, and waits until the old one is dead as well.
    /// Under [`GroupProtocol::Consumer`] the broker's own setting counts instead.
    pub session_timeout: Duration,
    /// How the members of a group agree on who has what.
    pub group_protocol: GroupProtocol,
    /// The name of a member that has a fixed place in its group (`group.instance.id`). It never leaves: started again
    /// within the session timeout it has its lanes back at once, and until then nobody else has them.
    pub instance_id: Option<String>,
    /// How long `published_seq` may wait for the lane's next unit before it gets one of its own.
    pub idle_flush: Duration,
    /// How often positions are told to the group, for lag tools.
    pub group_offset_interval: Duration,
    /// Dead letters in a row that stop the consumer.
    pub flood_run: u64,
    /// Share of dead letters that stops the consumer, in percent of a window of [`Settings::flood_window`] records.
    pub flood_percent: u64,
    /// Records that make a window; below it the share is not judged.
    pub flood_window: u64,
    /// Largest record value of the source topics, bytes; beyond it a record is refused as `oversized`.
    pub record_bytes: usize,
    /// How long an inbox row is kept. Longer than the topics keep a record, or a replay is applied again.
    pub inbox_retention: Duration,
    /// How long a published outbox row is kept for the audit.
    pub outbox_retention: Duration,
    /// Where a partition never seen before starts.
    pub start: StartAt,
    /// Whether topics are written without holes (no transactions, no compaction): then a hole is a loss (rule 6).
    pub dense: bool,
    /// Takes a group that has positions elsewhere into this database as it is: the answer to the wrong-database halt. So it
    /// does where the database knows none of the group's topics and others instead.
    pub adopt_database: bool,
    /// Takes topics that have more partitions than the database was filled with: the answer to the grown-topic halt.
    pub adopt_partitions: bool,
    /// Compression of what is published; `gzip` or `none` where other clients read without extras.
    pub compression: String,
    /// How long the producer waits for a batch to fill.
    pub linger: Duration,
    /// What kind of broker it runs on.
    pub cluster: Cluster,
}

/// How the members of a group agree on who has what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// All members let go of everything whenever one comes or goes, for milliseconds.
    Classic,
    /// The broker moves what has to move (KIP-848); the session timeout is the broker's, 45 s by default.
    Consumer,
}

/// What a broker can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cluster {
    /// All of it.
    Kafka,
    /// librdkafka's broker in a process: it knows no static members and describes no topics.
    Embedded,
}

/// Where a partition never seen before starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At its first record.
    Earliest,
    /// Behind its last record.
    Latest,
    /// At its first record whose timestamp, milliseconds since 1970-01-01 UTC, is not below this.
    Since(i64),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_records: None,
            buffered_bytes: 10 << 20,
            lane_buffered_bytes: 4 << 20,
            in_flight_facts: 1_000,
            drain: Duration::from_secs(3),
            session_timeout: Duration::from_secs(20),
            group_protocol: GroupProtocol::Classic,
            instance_id: None,
            idle_flush: Duration::from_millis(100),
            group_offset_interval: Duration::from_millis(500),
            flood_run: 1_000,
            flood_percent: 10,
            flood_window: 10_000,
            record_bytes: 1 << 20,
            inbox_retention: Duration::from_hours(35 * 24),
            outbox_retention: Duration::from_hours(7 * 24),
            start: StartAt::Earliest,
            dense: true,
            adopt_database: false,
            adopt_partitions: false,
            compression: "lz4".to_owned(),
            linger: Duration::from_millis(2),
            cluster: Cluster::Kafka,
        }
    }
}

/// Two settings do not go together, or one is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{setting}: {why}")]
pub struct InvalidSettings {
    /// The setting to change.
    pub setting: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Settings {
    /// Checks each bound, and those that depend on one another.
    ///
    /// # Errors
    /// The first setting that does not hold, and why.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        let rules = [
            ("batch_records", self.batch_records != Some(0), "must be at least 1"),
            ("in_flight_facts", self.in_flight_facts > 0, "must be at least 1"),
            (
                "drain",
                self.drain < self.session_timeout,
                "must be shorter than session_timeout",
            ),
            (
                "instance_id",
                self.instance_id.is_none() || self.group_protocol == GroupProtocol::Classic,
                "goes with group_protocol=classic only: under the other, Kafka refuses a member that was killed until \
                 its old session ends",
            ),
            ("flood_percent", self.flood_percent <= 100, "is a percentage"),
            ("flood_window", self.flood_window > 0, "must be at least 1"),
            ("record_bytes", self.record_bytes > 0, "must be at least 1"),
            (
                "lane_buffered_bytes",
                self.lane_buffered_bytes > FETCH_BYTES && self.lane_buffered_bytes <= self.buffered_bytes,
                "must be above one fetch (128 KiB) and at most buffered_bytes",
            ),
            (
                "outbox_retention",
                self.outbox_retention <= self.inbox_retention,
                "must not exceed inbox_retention",
            ),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((setting, _, why)) => Err(InvalidSettings {
                setting,
                why: why.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// Bytes of one partition in one fetch, before decompression: small, so that twelve lanes fill evenly.
pub(crate) const FETCH_BYTES: usize = 128 << 10;

/// How much larger than a source record its dead letter may be: the headers that say where it came from and why.
pub const DEAD_LETTER_HEADROOM: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn a_drain_as_long_as_the_session_is_refused() {
        let settings = Settings {
            drain: Settings::default().session_timeout,
            ..Settings::default()
        };
        assert_eq!(settings.check().expect_err("refused").setting, "drain");
    }

    #[test]
    fn a_fixed_place_is_of_the_classic_protocol() {
        let mut settings = Settings {
            instance_id: Some("inventory-1".to_owned()),
            ..Settings::default()
        };
        assert_eq!(settings.check(), Ok(()));
        settings.group_protocol = GroupProtocol::Consumer;
        assert_eq!(settings.check().expect_err("refused").setting, "instance_id");
    }

    #[test]
    fn one_full_lane_must_not_stop_the_others() {
        let settings = Settings {
            lane_buffered_bytes: FETCH_BYTES,
            ..Settings::default()
        };
        assert_eq!(settings.check().expect_err("refused").setting, "lane_buffered_bytes");
    }
}
