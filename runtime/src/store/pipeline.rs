//! Whether a database is of the pipeline that opens it: two whose topics differ by a prefix have groups of the same name.

use super::TopicCount;

/// Topics that are named to a person.
const NAMED: usize = 3;

/// Why the topics that a database knows speak against a group that has these; nothing, where they have one in common: topics
/// come and go, but not all of them.
pub(super) fn another(known: &[TopicCount], had: &[TopicCount]) -> Option<String> {
    let common = known
        .iter()
        .any(|topic| had.iter().any(|other| other.topic == topic.topic));
    if common || known.is_empty() || had.is_empty() {
        return None;
    }
    Some(format!(
        "another pipeline's: it was filled from {}, and this one has {}; give each pipeline a database of its own; where the \
         topics of this one were renamed, adopt it once",
        named(known),
        named(had)
    ))
}

fn named(topics: &[TopicCount]) -> String {
    let names: Vec<_> = topics.iter().take(NAMED).map(|topic| &*topic.topic).collect();
    let more = if topics.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}
