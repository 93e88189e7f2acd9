//! Our schemas beside those that are registered under the same subjects.

use super::error::tame;
use super::{Client, Registered, RegistryError};
use crate::compatibility::{self, Candidate};
use crate::history::{self, Version};
use crate::{EventType, codec};

/// One version in a registry beside ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The event.
    pub event: EventType,
    /// The version's number in the registry; `None` where the subject is not there.
    pub version: Option<u32>,
    /// The schema's id in the registry.
    pub id: Option<u32>,
    /// How it stands to ours.
    pub standing: Standing,
}

/// How a version in a registry stands to ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is this version of ours.
    Ours(u32),
    /// It is somebody else's, and reads and is read by every version of ours.
    Compatible,
    /// It is somebody else's and does not go with ours: each pair of reader and writer that fails.
    Incompatible(Vec<String>),
    /// The subject is not registered.
    Missing,
}

/// Compares every version of every event, both ways round, with every version that the registry has under its subject.
///
/// # Errors
/// The registry does not answer, or not as a registry does.
pub async fn compare(client: &Client) -> Result<Vec<Comparison>, RegistryError> {
    let mut found = Vec::new();
    for event in EventType::ALL {
        let subject = event.record_name();
        let numbers = client.versions(subject).await?;
        if numbers.is_empty() {
            found.push(Comparison {
                event,
                version: None,
                id: None,
                standing: Standing::Missing,
            });
        }
        for number in numbers {
            let theirs = client.version(subject, Some(number)).await?;
            found.push(Comparison {
                event,
                version: Some(number),
                id: Some(theirs.id),
                standing: standing(event, &theirs),
            });
        }
    }
    Ok(found)
}

fn standing(event: EventType, theirs: &Registered) -> Standing {
    if let Some(ours) = codec::same(event, &theirs.schema) {
        return Standing::Ours(ours.version);
    }
    let name = format!("version {} of the registry", theirs.version);
    let problems: Vec<_> = history::of(event)
        .flat_map(|ours| problems(ours, (&name, &theirs.schema)))
        .collect();
    if problems.is_empty() {
        Standing::Compatible
    } else {
        Standing::Incompatible(problems)
    }
}

fn problems(ours: &Version, (name, text): (&str, &str)) -> Vec<String> {
    let our_name = ours.to_string();
    let pair = [
        Candidate {
            name: &our_name,
            text: ours.text,
        },
        Candidate { name, text },
    ];
    let problems = compatibility::check(&pair).err().unwrap_or_default();
    problems.iter().map(|problem| tame(&problem.to_string())).collect()
}
