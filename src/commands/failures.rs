//! The libraries' errors in the terms of the command line: a name, an exit code, what to do next.

use orderflow_operations::topics;

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
