//! What a service has in its database, for tools that look while it runs: stock, reservations, payments.
//!
//! With nothing but the database the same is in the view `v_state`, each row's body as JSON:
//!
//! ```sql
//! SELECT key AS product_id, body ->> '$.available' AS available, body ->> '$.reserved' AS reserved
//! FROM v_state WHERE entity = 'stock';
//! ```

use orderflow_runtime::Entity;
use orderflow_runtime::store::{Reader, StoreError};
use serde::de::DeserializeOwned;

/// Every row of `entity`, as [`STOCK`](crate::inventory::STOCK), in the order of keys; one at a time, in bounded memory.
///
/// # Errors
/// Those of `see`, which end it; [`StoreError`] if the database cannot be read, or has a row that is not of this entity.
pub fn each<T: DeserializeOwned, E: From<StoreError>>(
    reader: &Reader,
    entity: Entity<T>,
    mut see: impl FnMut(&str, T) -> Result<(), E>,
) -> Result<(), E> {
    reader.each_row(entity.name(), |row| see(row.key, body(entity, row.key, row.body)?))
}

/// One row of `entity`, if it is there.
///
/// # Errors
/// [`StoreError`] if the database cannot be read, or has a row that is not of this entity.
pub fn one<T: DeserializeOwned>(reader: &Reader, entity: Entity<T>, key: &str) -> Result<Option<T>, StoreError> {
    let row = reader.row(entity.name(), key)?;
    row.map(|(_, stored)| body(entity, key, &stored)).transpose()
}

fn body<T: DeserializeOwned>(entity: Entity<T>, key: &str, stored: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(stored).map_err(|error| {
        let row = entity.name();
        StoreError::Halt(format!("row {row} {key:?} is not what this version writes: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use orderflow_domain::stock::Stock;
    use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;
    use crate::inventory::STOCK;

    const STOCKS: [(&str, Stock); 2] = [("a", stock(10, -1, 7, 2)), ("b", stock(4, 0, 0, 4))];

    const fn stock(received: i64, adjusted: i64, available: i64, reserved: i64) -> Stock {
        Stock {
            received,
            adjusted,
            available,
            reserved,
        }
    }

    /// A database with stock in it, and what keeps its folder.
    fn database() -> (TempDir, PathBuf) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("inventory.db");
        drop(SqliteStore::open(&path, &SqliteOptions::default()).expect("a database"));
        let connection = Connection::open(&path).expect("the same database");
        for (product, stock) in STOCKS {
            let body = serde_json::to_string(&stock).expect("JSON");
            insert(&connection, product, &body);
        }
        (folder, path)
    }

    fn insert(connection: &Connection, key: &str, body: &str) {
        let sql = "INSERT INTO state (entity, key, version, body) VALUES ('stock', ?1, 1, ?2)";
        connection.execute(sql, [key, body]).expect("a row");
    }

    #[test]
    fn stock_is_read_as_inventory_keeps_it() {
        let (_folder, path) = database();
        let reader = Reader::open(&path.clone().into()).expect("a reader");
        let mut seen = Vec::new();
        let read = each(&reader, STOCK, |product, stock| {
            seen.push((product.to_owned(), stock));
            Ok::<_, StoreError>(())
        });
        assert_eq!(read, Ok(()));
        assert_eq!(seen, STOCKS.map(|(product, stock)| (product.to_owned(), stock)));
        assert_eq!(one(&reader, STOCK, "b"), Ok(Some(STOCKS[1].1)));
        assert_eq!(one(&reader, STOCK, "c"), Ok(None));
    }

    #[test]
    fn the_documented_query_shows_the_same() {
        let (_folder, path) = database();
        let connection = Connection::open(&path).expect("the database");
        let sql = "SELECT key AS product_id, body ->> '$.available' AS available, body ->> '$.reserved' AS reserved
                   FROM v_state WHERE entity = 'stock'";
        let mut select = connection.prepare(sql).expect("a query");
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let rows: Vec<(String, i64, i64)> = rows.expect("rows").collect::<Result<_, _>>().expect("sound rows");
        assert_eq!(rows, [("a".to_owned(), 7, 2), ("b".to_owned(), 0, 4)]);
    }

    #[test]
    fn a_row_of_another_kind_is_named() {
        let (_folder, path) = database();
        insert(&Connection::open(&path).expect("the database"), "c", "{}");
        let reader = Reader::open(&path.clone().into()).expect("a reader");
        let error = one(&reader, STOCK, "c").expect_err("refused").to_string();
        assert!(
            error.starts_with("row stock \"c\" is not what this version writes"),
            "{error}"
        );
    }
}
