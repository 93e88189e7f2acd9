//! Traces of the model on SQLite.

use orderflow_runtime::store::conformance::Ground;
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

use super::replay::cases::replayed_on;

/// A file in a folder of its own; its handles are clones.
struct File {
    store: SqliteStore,
    _folder: TempDir,
}

impl Ground for File {
    type Store = SqliteStore;

    async fn fresh() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("group.db");
        let store = SqliteStore::open(&path, &SqliteOptions::default()).expect("the database opens");
        Self { store, _folder: folder }
    }

    async fn handle(&self) -> SqliteStore {
        self.store.clone()
    }

    async fn reopen(&mut self) {}
}

replayed_on!(File);
