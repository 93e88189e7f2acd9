//! `config show`.

use orderflow_runtime::store::postgres::masked;
use serde::Serialize;

use crate::args::{ConfigShowArgs, GlobalArgs};
use crate::config::{Said, Settings, Value, about, is_secret};
use crate::exit::Exit;
use crate::output::{Output, Row};
use crate::report::Outcome;

/// What stands for a secret.
const MASK: &str = "********";

/// Prints every setting in force, once all of them are known to be right.
pub(super) fn show(args: &ConfigShowArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let said = Said::gather(global, &())?;
    Settings::resolve(&said)?;
    if args.origin || output.is_json() {
        let shown: Vec<_> = said.iter().map(|(key, value)| shown(key, value)).collect();
        output.list("config.show", &shown)?;
    } else {
        let plain: Vec<_> = said.iter().map(|(key, value)| Plain(shown(key, value))).collect();
        output.list("config.show", &plain)?;
    }
    Ok(Exit::Done)
}

/// One setting with its origin.
#[derive(Debug, Serialize)]
struct Shown {
    key: String,
    value: String,
    origin: String,
    about: Option<&'static str>,
}

/// The same without its origin.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Plain(Shown);

fn shown(key: &str, value: &Value) -> Shown {
    let text = match key {
        key if is_secret(key) && !value.text.is_empty() => MASK.to_owned(),
        "database" => masked(&value.text),
        _ => value.text.clone(),
    };
    Shown {
        key: key.to_owned(),
        value: text,
        origin: value.origin.to_string(),
        about: about(key),
    }
}

impl Row for Shown {
    const HEADERS: &'static [&'static str] = &["KEY", "VALUE", "ORIGIN"];

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone(), self.value.clone(), self.origin.clone()]
    }
}

impl Row for Plain {
    const HEADERS: &'static [&'static str] = &["KEY", "VALUE"];

    fn cells(&self) -> Vec<String> {
        vec![self.0.key.clone(), self.0.value.clone()]
    }
}
