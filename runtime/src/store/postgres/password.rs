//! Passwords: where they may stand, and that they are shown nowhere.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use tokio_postgres::config::Host;

use super::PostgresAddress;
use super::address::variable;

/// Bytes that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Vec<u8>);

impl Secret {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_owned())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The password for one host, as libpq finds it: the URL, `PGPASSWORD`, then the file of passwords. Read anew for each
/// connection, so that a changed password is found without a restart.
pub(super) fn of(address: &PostgresAddress, host: &Host, port: u16) -> Result<Option<Secret>, String> {
    if let Some(said) = address.password.clone() {
        return Ok(Some(said));
    }
    if let Some(said) = variable("PGPASSWORD") {
        return Ok(Some(Secret(said.into_bytes())));
    }
    let (path, asked_for) = file(address);
    let Some(path) = path else { return Ok(None) };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // The file of the home is looked into where there is one; one that was named must be there.
        Err(_) if !asked_for => return Ok(None),
        Err(error) => {
            return Err(format!(
                "the file of passwords {} cannot be read: {error}",
                path.display()
            ));
        }
    };
    if let Some(why) = open_to_others(&path) {
        return if asked_for { Err(why) } else { Ok(None) };
    }
    let host = match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(_) => "localhost".to_owned(),
    };
    let asked = [&*host, &*port.to_string(), &*address.database, &*address.user];
    Ok(text.lines().find_map(|line| matched(line, &asked)))
}

/// The file, and whether somebody asked for it.
fn file(address: &PostgresAddress) -> (Option<PathBuf>, bool) {
    let named = address.password_file.clone();
    match named.or_else(|| variable("PGPASSFILE").map(PathBuf::from)) {
        Some(path) => (Some(path), true),
        None => (variable("HOME").map(|home| Path::new(&home).join(".pgpass")), false),
    }
}

/// As libpq, a file that others may read is not used: whoever relies on it should know.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let open = mode & 0o077 != 0;
    open.then(|| {
        format!(
            "the file of passwords {0} can be read by others; chmod 600 {0}",
            path.display()
        )
    })
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<String> {
    None
}

/// The password of a line `host:port:database:user:password` that fits; `*` fits all, `\` takes the next as it is.
fn matched(line: &str, asked: &[&str; 4]) -> Option<Secret> {
    if line.starts_with('#') {
        return None;
    }
    let fields = fields(line);
    let (password, places) = fields.split_last()?;
    let fits = places.len() == 4
        && places
            .iter()
            .zip(asked)
            .all(|(said, asked)| said == "*" || said == asked);
    fits.then(|| Secret(password.clone().into_bytes()))
}

/// Five at most: what follows the fourth colon is the password, colons and all.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields
                .last_mut()
                .into_iter()
                .for_each(|field| field.extend(characters.next())),
            other => fields.last_mut().into_iter().for_each(|field| field.push(other)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: [&str; 4] = ["db1", "5432", "shop", "me"];

    fn found(line: &str) -> Option<Vec<u8>> {
        matched(line, &ASKED).map(|secret| secret.0)
    }

    #[test]
    fn a_line_that_fits_holds_the_password() {
        assert_eq!(found("db1:5432:shop:me:pw"), Some(b"pw".to_vec()));
        assert_eq!(found("*:*:*:me:a\\:b:c\\\\"), Some(b"a:b:c\\".to_vec()));
        for other in ["db2:5432:shop:me:pw", "db1:5432:shop:me", "#db1:5432:shop:me:pw", ""] {
            assert_eq!(found(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new(b"pw")), "***");
    }
}
