//! The registry that a process has: where its ids come from, and the schemas of other people.

use std::collections::BTreeMap;

use super::flight::Flights;
use super::keep::{Keep, Said};
use super::{Client, Options, RegistryError};
use crate::history::{self, Version};
use crate::{Codec, EventType};

/// A registry, and what it has said so far.
#[derive(Debug)]
pub struct Registry {
    client: Client,
    codec: Codec,
    keep: Keep,
    flights: Flights,
}

impl Registry {
    /// Finds out under which ids `writes` are written. They are asked for even where they are known, since a registry that
    /// was made anew gives others; while it does not answer, those known from before hold.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for a schema that is not registered. Any other error where the ids are not known from
    /// before, or where it is not the kind that passes.
    pub async fn open(options: &Options, writes: &[EventType]) -> Result<Self, RegistryError> {
        let client = Client::new(options)?;
        let keep = Keep::new(options.kept_in.clone(), client.url());
        let mut said = keep.load();
        match ids(&client, writes).await {
            Ok(ids) => said = renew(said, &ids, &keep),
            Err(error) if error.is_transient() && writes.iter().all(|event| is_known(&said, *event)) => {
                if !writes.is_empty() {
                    tracing::warn!("{error}; going on with the ids known from before");
                }
            }
            Err(error) => return Err(error),
        }
        let codec = Codec::of_registry(&written(&said, writes));
        for (id, schema) in &said.others {
            if let Err(why) = codec.learn(*id, schema) {
                tracing::debug!(id, %why, "a schema that was kept is of no use");
            }
        }
        Ok(Self {
            client,
            codec,
            keep,
            flights: Flights::default(),
        })
    }

    /// What writes under the registry's ids and reads what it knows of.
    #[must_use]
    pub const fn codec(&self) -> &Codec {
        &self.codec
    }

    /// Fetches the schema with that id, so that the codec can read what was written with it, or knows for sure that it
    /// cannot. However many ask for an id at once, one request is made.
    ///
    /// # Errors
    /// The registry did not say. It may later, whatever the error is: a wrong password is mended as well.
    pub async fn learn(&self, id: u32) -> Result<(), RegistryError> {
        if self.codec.knows(id) {
            return Ok(());
        }
        self.flights.share(id, self.fetch(id)).await
    }

    async fn fetch(&self, id: u32) -> Result<(), RegistryError> {
        let why = match self.client.usable(id).await {
            Ok(Ok(schema)) => match self.codec.learn(id, &schema) {
                Ok(()) => {
                    tracing::info!(id, "learned a schema of the registry");
                    self.keep.add(|said| _ = said.others.insert(id, schema));
                    return Ok(());
                }
                Err(why) => why,
            },
            Ok(Err(why)) => why,
            Err(RegistryError::NotFound { .. }) => format!("{} does not have it", self.client.url()),
            Err(error) => return Err(error),
        };
        tracing::warn!(id, %why, "a schema of the registry is of no use");
        self.codec.refuse(id, &why);
        Ok(())
    }
}

/// The ids that the registry has for the latest versions of these events.
async fn ids(client: &Client, writes: &[EventType]) -> Result<BTreeMap<String, u32>, RegistryError> {
    let mut ids = BTreeMap::new();
    for event in writes {
        let version = history::latest(*event);
        let found = client.look_up(event.record_name(), version.text).await?;
        let found = found.ok_or_else(|| RegistryError::NotFound {
            url: client.url(),
            code: 40_403,
            message: format!("{version} is not registered under {}", event.record_name()),
        })?;
        ids.insert(version.to_string(), found.id);
    }
    Ok(ids)
}

/// What is known now. A schema that has got another id shows that the registry is not the one it was: all else that was
/// known of it is void.
fn renew(before: Said, ids: &BTreeMap<String, u32>, keep: &Keep) -> Said {
    let another = |(name, id): (&String, &u32)| before.ours.get(name).is_some_and(|known| known != id);
    let is_another = ids.iter().any(another);
    if is_another {
        tracing::warn!("the schema registry gives other ids than before; what was known of it is forgotten");
    }
    let renew = |said: &mut Said| {
        if is_another {
            said.ours.clear();
            said.others.clear();
        }
        said.ours.extend(ids.iter().map(|(name, id)| (name.clone(), *id)));
    };
    keep.add(renew);
    let mut now = before;
    renew(&mut now);
    now
}

fn is_known(said: &Said, event: EventType) -> bool {
    said.ours.contains_key(&history::latest(event).to_string())
}

/// Our versions under the registry's ids: all that are known to be read, of which those written are the latest.
fn written(said: &Said, writes: &[EventType]) -> Vec<(&'static Version, u32)> {
    let known = history::all()
        .iter()
        .filter_map(|version| Some((version, *said.ours.get(&version.to_string())?)));
    let (last, first): (Vec<_>, Vec<_>) = known.partition(|(version, _)| writes.contains(&version.event));
    first.into_iter().chain(last).collect()
}
