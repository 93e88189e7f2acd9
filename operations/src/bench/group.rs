//! Who of a group holds which lanes, as the broker tells it.

use std::collections::BTreeSet;
use std::time::Duration;

use orderflow_runtime::kafka::Connection;
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::groups::GroupInfo;

use super::Error;

/// How long the broker has for its answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A group, looked at from outside.
pub(super) struct Group {
    client: BaseConsumer<DefaultConsumerContext>,
    name: String,
}

/// What each member holds of a topic, with its client's id, which members may have in common.
pub(super) type Lanes = Vec<(String, BTreeSet<i32>)>;

impl Group {
    pub(super) fn new(connection: &Connection, name: &str) -> Result<Self, Error> {
        let client = connection
            .client(&[])
            .create()
            .map_err(Error::kafka("a client that looks at the group"))?;
        Ok(Self {
            client,
            name: name.to_owned(),
        })
    }

    /// What the members hold; nothing while they are still agreeing.
    pub(super) fn lanes(&self, topic: &str) -> Result<Lanes, Error> {
        let groups = self
            .client
            .fetch_group_list(Some(&self.name), ANSWER)
            .map_err(Error::kafka("asking who is in the group"))?;
        let members = groups.groups().iter().flat_map(GroupInfo::members);
        let held = members.map(|member| {
            let lanes = member.assignment().and_then(|bytes| partitions(bytes, topic));
            (member.client_id().to_owned(), lanes.unwrap_or_default())
        });
        Ok(held.collect())
    }
}

/// The partitions of a topic in an assignment of the consumer protocol; `None` when it is cut off.
fn partitions(assignment: &[u8], topic: &str) -> Option<BTreeSet<i32>> {
    let mut rest = assignment;
    take::<2>(&mut rest)?;
    let mut found = BTreeSet::new();
    for _ in 0..number(&mut rest)? {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let name = rest.split_off(..length)?;
        for _ in 0..number(&mut rest)? {
            let partition = number(&mut rest)?;
            if name == topic.as_bytes() {
                found.insert(partition);
            }
        }
    }
    Some(found)
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    take(rest).map(i32::from_be_bytes)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    rest.split_off(..N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 1; topic `a` with partition 7, topic `orders` with 0 and 3; no user data.
    const ASSIGNMENT: &[u8] = b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x01\0\0\0\x07\
        \0\x06orders\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0";

    #[test]
    fn an_assignment_is_read_topic_by_topic() {
        assert_eq!(partitions(ASSIGNMENT, "orders"), Some([0, 3].into()));
        assert_eq!(partitions(ASSIGNMENT, "a"), Some([7].into()));
        assert_eq!(partitions(ASSIGNMENT, "b"), Some([].into()));
    }

    #[test]
    fn one_that_is_cut_off_is_none() {
        for length in 0..ASSIGNMENT.len() - 4 {
            assert_eq!(partitions(&ASSIGNMENT[..length], "orders"), None, "{length} bytes");
        }
    }
}
