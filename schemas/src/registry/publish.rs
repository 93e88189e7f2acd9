//! Our schemas into a registry.

use super::{Client, RegistryError};
use crate::history::{self, Version};

/// A version and what became of it.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    /// The version.
    pub version: &'static Version,
    /// Its id in the registry; `None` where it is not registered yet.
    pub id: Option<u32>,
    /// What became of it.
    pub state: State,
}

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was there already.
    Unchanged,
    /// It is there now.
    Registered,
    /// It is not there, and nothing was to be changed.
    Missing,
}

/// Registers every version that is not there, in the order in which they were released; `dry_run` only looks. `told` hears
/// of each one at once: what is done stays done when a later one fails.
///
/// # Errors
/// The first version that the registry does not take; those after it were not tried.
pub async fn publish(client: &Client, dry_run: bool, mut told: impl FnMut(Published)) -> Result<(), RegistryError> {
    for version in history::all() {
        let subject = version.event.record_name();
        let there = client.look_up(subject, version.text).await?;
        let (id, state) = match there {
            Some(there) => (Some(there.id), State::Unchanged),
            None if dry_run => {
                willing(client, version).await?;
                (None, State::Missing)
            }
            None => (Some(client.register(subject, version.text).await?), State::Registered),
        };
        told(Published { version, id, state });
    }
    Ok(())
}

/// Whether the registry would take it, as far as it says so beforehand.
async fn willing(client: &Client, version: &Version) -> Result<(), RegistryError> {
    let thinks = client.compatibility(version.event.record_name(), version.text).await?;
    match thinks {
        Some(thinks) if !thinks.is_compatible => Err(RegistryError::Incompatible {
            url: client.url(),
            message: format!("{version}: {}", thinks.messages.join("; ")),
        }),
        _ => Ok(()),
    }
}
