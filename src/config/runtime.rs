//! The `[runtime]` table, typed.

use std::time::Duration;

use orderflow_operations::topics::tail;
use orderflow_runtime::settings::{Cluster, GroupProtocol, Settings, StartAt};

use super::resolved::{parse, truth};
use super::said::{Origin, Said};
use crate::report::Failure;
use crate::units;

/// What suits the database.
const AUTO: &str = "auto";

/// The runtime's settings, each checked for itself and with those it depends on.
///
/// # Errors
/// A value that does not parse, or does not go together with another.
pub(super) fn settings(said: &Said) -> Result<Settings, Failure> {
    let read = Read(said);
    let settings = Settings {
        batch_records: parse(said, "runtime.batch_records", batch_records)?,
        buffered_bytes: read.bytes("runtime.buffered_bytes")?,
        lane_buffered_bytes: lane_buffered_bytes(said)?,
        in_flight_facts: read.count("runtime.in_flight_facts")?,
        drain: read.duration("runtime.drain")?,
        session_timeout: read.duration("runtime.session_timeout")?,
        group_protocol: parse(said, "runtime.group_protocol", group_protocol)?,
        instance_id: parse(said, "runtime.instance_id", instance_id)?,
        idle_flush: read.duration("runtime.idle_flush")?,
        group_offset_interval: read.duration("runtime.group_offset_interval")?,
        flood_run: read.count("runtime.flood_run")?,
        flood_percent: read.count("runtime.flood_percent")?,
        flood_window: read.count("runtime.flood_window")?,
        record_bytes: read.bytes("runtime.record_bytes")?,
        inbox_retention: read.duration("runtime.inbox_retention")?,
        outbox_retention: read.duration("runtime.outbox_retention")?,
        start: parse(said, "runtime.start", start)?,
        dense: parse(said, "runtime.dense", truth)?,
        compression: parse(said, "runtime.compression", compression)?,
        linger: read.duration("runtime.linger")?,
        cluster: parse(said, "runtime.cluster", cluster)?,
        ..Settings::default()
    };
    settings
        .check()
        .map_err(|invalid| contradiction(said, invalid.setting, &invalid.why))?;
    Ok(settings)
}

/// The runtime's defaults as a user would write them.
pub(super) fn defaults() -> impl Iterator<Item = (String, String)> {
    let of = Settings::default();
    let bytes = |bytes: usize| units::written_size(bytes as u64);
    let texts = [
        ("batch_records", AUTO.to_owned()),
        ("buffered_bytes", bytes(of.buffered_bytes)),
        ("lane_buffered_bytes", bytes(of.lane_buffered_bytes)),
        ("in_flight_facts", of.in_flight_facts.to_string()),
        ("drain", units::written_duration(of.drain)),
        ("session_timeout", units::written_duration(of.session_timeout)),
        ("group_protocol", "classic".to_owned()),
        ("instance_id", of.instance_id.unwrap_or_default()),
        ("idle_flush", units::written_duration(of.idle_flush)),
        (
            "group_offset_interval",
            units::written_duration(of.group_offset_interval),
        ),
        ("flood_run", of.flood_run.to_string()),
        ("flood_percent", of.flood_percent.to_string()),
        ("flood_window", of.flood_window.to_string()),
        ("record_bytes", bytes(of.record_bytes)),
        ("inbox_retention", units::written_duration(of.inbox_retention)),
        ("outbox_retention", units::written_duration(of.outbox_retention)),
        (
            "start",
            match of.start {
                StartAt::Earliest => "earliest".to_owned(),
                StartAt::Latest => "latest".to_owned(),
                StartAt::Since(millis) => format!("@{millis}"),
            },
        ),
        ("dense", of.dense.to_string()),
        ("compression", of.compression),
        ("linger", units::written_duration(of.linger)),
        ("cluster", "kafka".to_owned()),
    ];
    texts.into_iter().map(|(key, text)| (format!("runtime.{key}"), text))
}

fn contradiction(said: &Said, setting: &str, why: &str) -> Failure {
    let key = format!("runtime.{setting}");
    match said.value(&key) {
        Ok(value) => value.invalid(&key, why),
        Err(failure) => failure,
    }
}

struct Read<'a>(&'a Said);

impl Read<'_> {
    fn duration(&self, key: &str) -> Result<Duration, Failure> {
        parse(self.0, key, units::duration)
    }

    fn bytes(&self, key: &str) -> Result<usize, Failure> {
        let size = |text: &str| usize::try_from(units::size(text)?).map_err(|_| format!("{text} is too large"));
        parse(self.0, key, size)
    }

    fn count<T: std::str::FromStr>(&self, key: &str) -> Result<T, Failure> {
        parse(self.0, key, |text| {
            text.parse().map_err(|_| format!("{text:?} is not a whole number"))
        })
    }
}

fn batch_records(text: &str) -> Result<Option<usize>, String> {
    if text == AUTO {
        return Ok(None);
    }
    let records = text
        .parse()
        .map_err(|_| format!("{text:?} is neither a whole number nor {AUTO}"))?;
    Ok(Some(records))
}

/// Who gives all lanes less than one of them has by default has not said that one may have more.
fn lane_buffered_bytes(said: &Said) -> Result<usize, Failure> {
    const KEY: &str = "runtime.lane_buffered_bytes";
    let bytes = Read(said).bytes(KEY)?;
    if said.value(KEY)?.origin == Origin::Default {
        Ok(bytes.min(Read(said).bytes("runtime.buffered_bytes")?))
    } else {
        Ok(bytes)
    }
}

fn start(text: &str) -> Result<StartAt, String> {
    match text {
        "earliest" => Ok(StartAt::Earliest),
        "latest" => Ok(StartAt::Latest),
        _ => match tail::Start::parse(text, units::now()) {
            Ok(tail::Start::Time(time)) => Ok(StartAt::Since(time.unix_millis())),
            _ => Err(format!(
                "{text:?} is neither earliest nor latest, nor a time as @2026-11-21T10:00:00Z"
            )),
        },
    }
}

fn group_protocol(text: &str) -> Result<GroupProtocol, String> {
    match text {
        "classic" => Ok(GroupProtocol::Classic),
        "consumer" => Ok(GroupProtocol::Consumer),
        _ => Err(format!("{text:?} is neither classic nor consumer")),
    }
}

/// Kafka keeps it with the group: what goes into the name of a topic is safe in its tools as well.
fn instance_id(text: &str) -> Result<Option<String>, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match text {
        "" => Ok(None),
        "." | ".." => Err(format!("{text:?} is not a name")),
        _ if text.len() <= 249 && text.chars().all(fits) => Ok(Some(text.to_owned())),
        _ => Err(format!(
            "{text:?} is not a name of at most 249 letters, digits, dots, hyphens and underscores"
        )),
    }
}

fn cluster(text: &str) -> Result<Cluster, String> {
    match text {
        "kafka" => Ok(Cluster::Kafka),
        "embedded" => Ok(Cluster::Embedded),
        _ => Err(format!("{text:?} is neither kafka nor embedded")),
    }
}

fn compression(text: &str) -> Result<String, String> {
    match text {
        "lz4" | "gzip" | "snappy" | "none" => Ok(text.to_owned()),
        _ => Err(format!(
            "{text:?} is not a compression this program writes: lz4, gzip, snappy or none"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_that_are_shown_are_the_runtimes_own() {
        assert_eq!(settings(&Said::nothing()), Ok(Settings::default()));
    }

    #[test]
    fn a_batch_is_a_number_of_records_or_what_suits_the_database() {
        assert_eq!(batch_records("auto"), Ok(None));
        assert_eq!(batch_records("250"), Ok(Some(250)));
        let refused = batch_records("many").expect_err("no number");
        assert!(refused.contains("auto"), "{refused}");
        let none = Settings {
            batch_records: Some(0),
            ..Settings::default()
        };
        assert_eq!(none.check().map_err(|invalid| invalid.setting), Err("batch_records"));
    }

    #[test]
    fn a_lane_holds_at_most_what_all_may_unless_it_is_said_to_hold_more() {
        let of = |key, text| settings(&Said::only(key, text)).map(|settings| settings.lane_buffered_bytes);
        assert_eq!(of("runtime.buffered_bytes", "3MiB"), Ok(3 << 20));
        assert_eq!(of("runtime.buffered_bytes", "30MiB"), Ok(4 << 20));
        assert!(of("runtime.lane_buffered_bytes", "30MiB").is_err());
    }

    #[test]
    fn a_partition_starts_at_an_end_or_at_a_time() {
        assert_eq!(start("latest"), Ok(StartAt::Latest));
        assert_eq!(start("@2023-11-14T22:13:20Z"), Ok(StartAt::Since(1_700_000_000_000)));
        for text in ["", "end", "47", "-3", "2023-11-14T22:13:20Z", "@yesterday"] {
            let refused = start(text).expect_err(text);
            assert!(refused.contains("earliest") && refused.contains("@2026"), "{refused}");
        }
    }

    #[test]
    fn every_default_is_of_a_known_key() {
        let listed = super::super::keys::SETTINGS
            .iter()
            .filter(|setting| setting.key.starts_with("runtime."));
        let listed: Vec<_> = listed.map(|setting| setting.key.to_owned()).collect();
        assert_eq!(listed, defaults().map(|(key, _)| key).collect::<Vec<_>>());
    }
}
