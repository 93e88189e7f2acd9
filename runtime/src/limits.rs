//! Whether the topics can hold what will be written to them, asked before anything is: a dead letter that its topic
//! refuses would stop its lane until somebody raises the limit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};

use crate::error::ServiceError;
use crate::kafka::{Asking, Connection, NoAdmin, Operation, Right};
use crate::settings::DEAD_LETTER_HEADROOM;
use crate::topology::Source;

/// How long the cluster has to describe its topics.
const ANSWER: Duration = Duration::from_secs(10);

const SIZE: &str = "max.message.bytes";
const CLEANUP: &str = "cleanup.policy";
const KEPT: &str = "retention.ms";

type Described = BTreeMap<String, BTreeMap<String, String>>;

/// Refuses dead-letter and redrive topics that are too small, and topics that forget records this group counts on. Warns of
/// topics that keep records for longer than `inbox_retention`.
///
/// A cluster that does not let this client look is believed, and that is logged.
///
/// # Errors
/// [`ServiceError::Topics`], with what to change.
pub(crate) async fn check(
    connection: &Connection,
    sources: &[Source],
    (dense, inbox_retention): (bool, Duration),
) -> Result<(), ServiceError> {
    let of = connection.clone();
    // It may wait for a command that prints a token.
    let made = tokio::task::spawn_blocking(move || of.administering(Asking::of(&of))).await;
    let admin = match made {
        Ok(Ok(admin)) => admin,
        Ok(Err(NoAdmin::Configuration(why))) => return Err(ServiceError::Configuration(why)),
        Err(ended) => {
            tracing::warn!(why = %ended, "the limits of the topics could not be looked at");
            return Ok(());
        }
        Ok(Err(NoAdmin::Token(why))) => {
            tracing::warn!(why, "the limits of the topics could not be looked at");
            return Ok(());
        }
    };
    // Each once: the protocol refuses a request that names a topic twice.
    let topics: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| [&*source.topic, &*source.dead_letters])
        .collect();
    match describe(&admin, &topics).await {
        Ok(described) => {
            for topic in topics.iter().filter(|topic| !described.contains_key(**topic)) {
                let right = Right::topic(Operation::DescribeConfigs, *topic);
                tracing::warn!("the limits of {topic} cannot be looked at: Kafka denies this client {right}");
            }
            for topic in outlasting(&described, sources, inbox_retention) {
                tracing::warn!(
                    "{topic} keeps records for longer than this group remembers which it applied (runtime.inbox_retention): \
                     one that is older than that when it is read for the first time becomes a dead letter"
                );
            }
            judge(&described, sources, dense)
        }
        Err(why) => {
            tracing::warn!(why, "the limits of the topics could not be looked at");
            Ok(())
        }
    }
}

async fn describe(admin: &AdminClient<Asking>, topics: &BTreeSet<&str>) -> Result<Described, String> {
    let asked: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let options = AdminOptions::new().request_timeout(Some(ANSWER));
    let answered = admin
        .describe_configs(&asked, &options)
        .await
        .map_err(|error| error.to_string())?;
    let mut described = Described::new();
    for resource in answered {
        let resource = resource.map_err(|error| error.to_string())?;
        // The client library hands on a refusal as a topic without a single setting.
        if let OwnedResourceSpecifier::Topic(topic) = &resource.specifier
            && !resource.entries.is_empty()
        {
            described.insert(topic.clone(), values(&resource));
        }
    }
    Ok(described)
}

fn values(resource: &ConfigResource) -> BTreeMap<String, String> {
    let wanted = resource
        .entries
        .iter()
        .filter(|entry| [SIZE, CLEANUP, KEPT].contains(&entry.name.as_str()));
    wanted
        .filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)))
        .collect()
}

/// Topics that keep records for longer than the inbox does. Not redrive topics: what is redriven was a dead letter, and the
/// inbox keeps those.
fn outlasting<'a>(described: &Described, sources: &'a [Source], inbox: Duration) -> Vec<&'a str> {
    let longer = |topic: &&str| {
        let kept = described
            .get(*topic)
            .and_then(|values| values.get(KEPT)?.parse::<i128>().ok());
        // -1 is for ever.
        kept.is_some_and(|kept| kept < 0 || kept > i128::try_from(inbox.as_millis()).unwrap_or(i128::MAX))
    };
    let events = sources.iter().filter(|source| !source.redrive);
    events.map(|source| &*source.topic).filter(longer).collect()
}

fn judge(described: &Described, sources: &[Source], dense: bool) -> Result<(), ServiceError> {
    let size = |topic: &str| described.get(topic)?.get(SIZE)?.parse::<usize>().ok();
    for source in sources {
        let (Some(of_source), Some(of_letters)) = (size(&source.reads_as), size(&source.dead_letters)) else {
            continue;
        };
        let least = of_source + DEAD_LETTER_HEADROOM;
        let of_redrive = if source.redrive { size(&source.topic) } else { None };
        for (topic, bytes) in [(&source.dead_letters, Some(of_letters)), (&source.topic, of_redrive)] {
            if bytes.is_some_and(|bytes| bytes < least) {
                return Err(ServiceError::Topics(format!(
                    "{topic} takes records up to {} bytes; a refused record of {} with its reason needs {least}: raise \
                     its {SIZE}",
                    bytes.unwrap_or(0),
                    source.reads_as
                )));
            }
        }
        let compacted = described.get(&*source.topic).and_then(|values| values.get(CLEANUP));
        if dense && compacted.is_some_and(|policy| policy.contains("compact")) {
            return Err(ServiceError::Topics(format!(
                "{} is compacted: it drops events that were never handled; set its {CLEANUP} to delete",
                source.topic
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Topics, Topology};

    fn described(letters: &str, policy: &str) -> Described {
        let topic = |name: &str, size: &str| {
            let values = [(SIZE, size), (CLEANUP, policy)].map(|(name, value)| (name.to_owned(), value.to_owned()));
            (name.to_owned(), BTreeMap::from(values))
        };
        [
            topic("orders", "1048588"),
            topic("orders.g.dlq", letters),
            topic("orders.g.redrive", "1114124"),
        ]
        .into()
    }

    fn sources() -> Vec<Source> {
        Topology::sources(
            "g",
            &Topics {
                reads: vec!["orders".into()],
                writes: vec![],
            },
        )
    }

    #[test]
    fn letters_need_room_for_their_reason() {
        assert_eq!(judge(&described("1114124", "delete"), &sources(), true), Ok(()));
        let refused = judge(&described("1048588", "delete"), &sources(), true).expect_err("too small");
        assert!(refused.to_string().contains("orders.g.dlq"), "{refused}");
    }

    #[test]
    fn a_topic_that_keeps_records_longer_than_the_inbox_is_named() {
        let named = |kept: &str| {
            let mut described = described("1114124", "delete");
            for values in described.values_mut() {
                values.insert(KEPT.to_owned(), kept.to_owned());
            }
            outlasting(&described, &sources(), Duration::from_secs(10)).join(" ")
        };
        assert_eq!(named("10000"), "");
        assert_eq!(named("10001"), "orders");
        assert_eq!(named("-1"), "orders");
    }

    #[test]
    fn a_compacted_topic_is_refused_unless_it_is_declared_sparse() {
        assert!(judge(&described("1114124", "compact,delete"), &sources(), true).is_err());
        assert_eq!(
            judge(&described("1114124", "compact,delete"), &sources(), false),
            Ok(())
        );
    }
}
