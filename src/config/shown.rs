//! What of a line of the configuration file may be drawn.
//!
//! A file that cannot be used is drawn at the place that is wrong, and secrets stand in these files. Which value is one
//! nobody can tell for sure where the key is misspelt or the text does not parse; so a value is drawn only where it
//! certainly is none.

use super::{keys, secret};

/// What stands for what is not drawn.
const HIDDEN: &str = "…";

/// The line beginning at byte `start`, its value only if its key is a known setting without a secret.
pub(super) fn shown(text: &str, start: usize) -> String {
    let (before, rest) = text.split_at_checked(start).unwrap_or((text, ""));
    let line = rest.lines().next().unwrap_or_default();
    if line.is_empty() || table(line).is_some() {
        return line.to_owned();
    }
    let Some((key, value)) = line.split_once('=') else {
        return HIDDEN.to_owned();
    };
    // Base64 of several lines ends with equals signs.
    let Some(name) = name(key).filter(|_| !value.trim_matches('=').is_empty()) else {
        return HIDDEN.to_owned();
    };
    let table = before.lines().filter_map(table).next_back().unwrap_or_default();
    if is_harmless(&format!("{table}{name}"), value) {
        line.to_owned()
    } else {
        format!("{key}= {HIDDEN}")
    }
}

/// Whether neither the key names a secret, nor anything behind it. An address may have a password before its `@`.
fn is_harmless(key: &str, value: &str) -> bool {
    keys::is_known(key) && !secret::is_secret(key) && !secret::is_secret(value) && !value.contains(['@', '?'])
}

/// The table whose header the line is, with a full stop behind it.
fn table(line: &str) -> Option<String> {
    let inner = line.trim().strip_prefix('[')?.strip_suffix(']')?;
    Some(format!("{}.", name(inner)?))
}

/// A key without its quotes, unless it is something else.
fn name(text: &str) -> Option<String> {
    let name = text.replace(['"', '\'', ' ', '\t'], "");
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last line as it is drawn.
    fn last(text: &str) -> String {
        shown(text, text.rfind('\n').map_or(0, |newline| newline + 1))
    }

    #[test]
    fn what_is_certainly_no_secret_is_drawn() {
        for line in ["brokers = ['b:1'", "log.level = warn", "[runtimes]", ""] {
            assert_eq!(last(line), line);
        }
        assert_eq!(last("[log]\nlevel = warn"), "level = warn");
        assert_eq!(last("database = 'sqlite:x"), "database = 'sqlite:x");
    }

    #[test]
    fn what_may_be_a_secret_is_not() {
        for (text, drawn) in [
            ("[kafka]\n'sasl.password' = canary", "'sasl.password' = …"),
            ("[kafka]\n'sasl.passwrod' = canary", "'sasl.passwrod' = …"),
            ("[kafka.ssl.key]\npem = '''canary", "pem = …"),
            ("kafka = { 'sasl.password' = 'canary'", "kafka = …"),
            ("[kafka]\nsasl.password 'canary'", "…"),
            ("[kafka]\n'ssl.key.pem' = '''\ncanary==", "…"),
            ("[registry]\npassword = canary", "password = …"),
            ("[registry]\nurl = 'http://u:canary@h", "url = …"),
            ("database = 'postgres://u:canary@h/db", "database = …"),
            ("database = 'postgres://u:canary?x", "database = …"),
            ("data_source = 'postgres://u:canary@h/db'", "data_source = …"),
            ("log.level = 'warn' registry.password = 'canary'", "log.level = …"),
        ] {
            assert_eq!(last(text), drawn, "{text}");
        }
    }
}
