//! The services of the pipeline, and which topics each of them reads.

use orderflow_schemas::{Topic, TopicNames};

/// Each group with the topics it reads.
const READS: &[(&str, &[Topic])] = &[
    ("inventory", &[Topic::Orders, Topic::Stock]),
    ("payment", &[Topic::Orders]),
];

/// Every pair of a group and the name of a topic it reads.
pub(crate) fn readings(names: &TopicNames) -> impl Iterator<Item = (&str, &str)> {
    READS
        .iter()
        .flat_map(|(group, topics)| topics.iter().map(|topic| (*group, names.name(*topic))))
}
