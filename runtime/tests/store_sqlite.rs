//! SQLite passes the conformance suite of stores.

use orderflow_runtime::store::conformance::Ground;
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

/// A file in a folder of its own. One process has it, so its handles are clones.
struct File {
    store: Option<SqliteStore>,
    folder: TempDir,
}

impl File {
    fn open(&mut self) {
        let path = self.folder.path().join("group.db");
        self.store = Some(SqliteStore::open(&path, &SqliteOptions::default()).expect("the database opens"));
    }
}

impl Ground for File {
    type Store = SqliteStore;

    async fn fresh() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut file = Self { store: None, folder };
        file.open();
        file
    }

    async fn handle(&self) -> SqliteStore {
        self.store.clone().expect("it is open")
    }

    async fn reopen(&mut self) {
        self.store = None;
        self.open();
    }
}

orderflow_runtime::store_conformance!(File);
