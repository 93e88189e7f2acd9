//! What the configuration file says, with the place of every word.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::said::{Layer, Origin, Place, Value};
use super::shown::shown;
use super::{kafka, keys, secret};
use crate::report::Failure;
use crate::slug::Slug;

/// The file read when none is named, if it is there.
const NAME: &str = "orderflow.toml";

/// Reads the file at `path`, or `orderflow.toml` of the working folder if there is one.
///
/// # Errors
/// A named file that is missing, one that is not TOML, an unknown key, a value of the wrong type.
pub(super) fn layer(path: Option<&Path>) -> Result<Layer, Failure> {
    let named = path.is_some();
    let path = path.unwrap_or(Path::new(NAME));
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if !named && error.kind() == io::ErrorKind::NotFound => Ok(Layer::new()),
        Err(error) => {
            let message = format!("cannot read the configuration file {}", path.display());
            Err(Failure::new(Slug::ConfigUnreadable, message).caused_by(&error))
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<Layer, Failure> {
    let source = Source { path, text };
    let table = DeTable::parse(text).map_err(|error| {
        let place = source.place(error.span().unwrap_or(0..0));
        Failure::new(Slug::ConfigUnreadable, error.message()).excerpt(place.excerpt)
    })?;
    let mut layer = Layer::new();
    source.table("", table.get_ref(), &mut layer)?;
    Ok(layer)
}

/// The file and its text, for pointing at places in it.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn table(&self, prefix: &str, table: &DeTable<'_>, layer: &mut Layer) -> Result<(), Failure> {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let origin = Origin::File(self.place(name.span()));
            let in_kafka = key == "kafka" || key.starts_with("kafka.");
            match value.get_ref() {
                DeValue::Table(inner) if in_kafka || keys::is_table(&key) => {
                    self.table(&format!("{key}."), inner, layer)?;
                }
                inner if in_kafka && key != "kafka" => {
                    let text = scalar(inner).ok_or_else(|| self.wrong_type(&key, value.span()))?;
                    layer.push(kafka::property(&key["kafka.".len()..], text, origin)?);
                }
                inner if keys::is_known(&key) => {
                    let text = scalar(inner).ok_or_else(|| self.wrong_type(&key, value.span()))?;
                    layer.push((key, Value { text, origin }));
                }
                inner if names_a_file(&key) => {
                    let path = scalar(inner).ok_or_else(|| self.wrong_type(&key, value.span()))?;
                    let key = key.trim_end_matches(IN_A_FILE).to_owned();
                    layer.push((key, secret::of_file(&path, origin)?));
                }
                _ if in_kafka || keys::is_table(&key) => return Err(self.not_a_table(&key, value.span())),
                _ => return Err(self.unknown(&key, name.span())),
            }
        }
        Ok(())
    }

    fn unknown(&self, key: &str, span: Range<usize>) -> Failure {
        let failure = Failure::new(Slug::ConfigUnknownKey, format!("the key {key} is not known"));
        let failure = failure.excerpt(self.place(span).excerpt);
        match keys::nearest(key) {
            Some(nearest) => failure.hint(format!("did you mean {nearest}?")),
            None => failure.hint("orderflow config show lists every setting"),
        }
    }

    fn wrong_type(&self, key: &str, span: Range<usize>) -> Failure {
        Failure::new(
            Slug::ConfigInvalid,
            format!("{key} takes a text, a whole number, true or false"),
        )
        .excerpt(self.place(span).excerpt)
    }

    fn not_a_table(&self, key: &str, span: Range<usize>) -> Failure {
        Failure::new(
            Slug::ConfigInvalid,
            format!("{key} is a table; write its keys under [{key}]"),
        )
        .excerpt(self.place(span).excerpt)
    }

    /// Line, column and drawing of a span of bytes.
    fn place(&self, span: Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        let shown = shown(self.text, line_start);
        let meant = self
            .text
            .get(start..span.end)
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default();
        let excerpt = draw(self.path, (line, column), &shown, meant.chars().count());
        Place {
            path: self.path.to_owned(),
            line,
            column,
            excerpt,
        }
    }
}

/// What the key of a secret ends with that stands in a file.
const IN_A_FILE: &str = "_file";

fn names_a_file(key: &str) -> bool {
    let base = key.strip_suffix(IN_A_FILE);
    base.is_some_and(|base| keys::is_known(base) && secret::is_secret(base))
}

fn draw(path: &Path, (line, column): (usize, usize), shown: &str, width: usize) -> String {
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let carets = "^".repeat(width.max(1));
    let indent = " ".repeat(column - 1);
    format!(
        "{margin}--> {}:{line}:{column}\n{margin} |\n{number} | {shown}\n{margin} | {indent}{carets}\n",
        path.display()
    )
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|n| n.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(Path::new("orderflow.toml"), text).expect_err("refused").plain()
    }

    #[test]
    fn keys_are_read_with_their_tables_and_places() {
        let layer = parse(Path::new("o.toml"), "brokers = 'b:1'\n[log]\nlevel = 'warn'\n").expect("parses");
        let seen: Vec<_> = layer
            .iter()
            .map(|(key, value)| format!("{key}={} {}", value.text, value.origin))
            .collect();
        assert_eq!(seen, ["brokers=b:1 file o.toml:1:1", "log.level=warn file o.toml:3:1"]);
    }

    #[test]
    fn kafka_properties_may_be_dotted_or_quoted() {
        let layer = parse(
            Path::new("o.toml"),
            "[kafka]\nsasl.username = 'x'\n'security.protocol' = 'ssl'\n",
        )
        .expect("parses");
        let keys: Vec<_> = layer.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["kafka.sasl.username", "kafka.security.protocol"]);
    }

    #[test]
    fn what_cannot_be_used_is_pointed_at() {
        insta::assert_snapshot!(refused("brokers = 'b:1'\n[runtime]\ndrian = '4s'\n"), @r"
        error[config-unknown-key]: the key runtime.drian is not known
         --> orderflow.toml:3:1
          |
        3 | drian = …
          | ^^^^^
        hint: did you mean runtime.drain?
        ");
        insta::assert_snapshot!(refused("brokers = 'b:1'\nlog = 'warn'\n"), @r"
        error[config-invalid]: log is a table; write its keys under [log]
         --> orderflow.toml:2:7
          |
        2 | log = …
          |       ^^^^^^
        ");
        insta::assert_snapshot!(refused("brokers = ['b:1']\n"), @r"
        error[config-invalid]: brokers takes a text, a whole number, true or false
         --> orderflow.toml:1:11
          |
        1 | brokers = ['b:1']
          |           ^^^^^^^
        ");
        insta::assert_snapshot!(refused("brokers = 'b:1\n"), @r"
        error[config-unreadable]: invalid literal string, expected `'`
         --> orderflow.toml:1:15
          |
        1 | brokers = 'b:1
          |               ^
        ");
    }
}
