//! Where a command has its ids and schemas from: from itself, or from the registry that is configured.

use std::sync::Arc;

use orderflow_consumers::Schemas;
use orderflow_runtime::{Handler, Service};
use orderflow_schemas::registry::{Reader, Registry};
use orderflow_schemas::{Codec, EventType};
use tokio::runtime::Runtime;

use super::failures::of_registry;
use crate::config::Settings;
use crate::report::Failure;
use crate::slug::Slug;

/// The contracts as they hold in this process.
#[derive(Debug)]
pub(super) struct Contracts {
    registry: Option<(Arc<Registry>, Runtime)>,
}

impl Contracts {
    /// Asks the registry, if there is one, under which ids `writes` are written.
    ///
    /// # Errors
    /// What the registry does not say, and is not known from before.
    pub(super) fn open(settings: &Settings, writes: &[EventType]) -> Result<Self, Failure> {
        let Some(options) = &settings.registry else {
            return Ok(Self { registry: None });
        };
        let runtime = thread()?;
        let registry = runtime.block_on(Registry::open(options, writes));
        let registry = Arc::new(registry.map_err(|error| of_registry(&error))?);
        Ok(Self {
            registry: Some((registry, runtime)),
        })
    }

    /// What writes and reads without waiting.
    pub(super) fn codec(&self) -> Codec {
        self.registry
            .as_ref()
            .map_or_else(Codec::builtin, |(registry, _)| registry.codec().clone())
    }

    /// A service that waits for the registry where a schema is not known.
    pub(super) fn provide<H: Handler>(&self, service: Service<H>) -> Service<H> {
        match &self.registry {
            Some((registry, _)) => service.dependencies(Arc::new(Schemas::of(Arc::clone(registry)))),
            None => service,
        }
    }

    /// What reads, and waits for the registry where it has to. Good for as long as this value lives.
    pub(super) fn reader(&self) -> Reader {
        self.registry
            .as_ref()
            .map_or_else(Reader::default, |(registry, runtime)| {
                Reader::asking(Arc::clone(registry), runtime.handle().clone())
            })
    }
}

/// One thread for requests to a registry.
pub(super) fn thread() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.map_err(|error| Failure::new(Slug::Internal, "no thread could be started").caused_by(&error))
}
