//! Schemas that decoding lacks, fetched from a registry.

use std::sync::Arc;

use orderflow_runtime::effects::BoxFuture;
use orderflow_runtime::{Dependencies, Dependency};
use orderflow_schemas::registry::Registry;

/// A registry as the runtime asks it.
#[derive(Debug, Clone)]
pub struct Schemas(Arc<Registry>);

impl Schemas {
    /// Fetches from this registry.
    #[must_use]
    pub const fn of(registry: Arc<Registry>) -> Self {
        Self(registry)
    }
}

impl Dependencies for Schemas {
    fn fetch(&self, wanted: Dependency) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let id = u32::try_from(wanted.id).map_err(|_| format!("{wanted} is none of a registry"))?;
            self.0.learn(id).await.map_err(|error| error.to_string())
        })
    }
}
