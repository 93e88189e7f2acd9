//! `explain`.

use serde::Serialize;

use crate::args::ExplainArgs;
use crate::config::closest;
use crate::exit::Exit;
use crate::output::{Output, Row, envelope, print};
use crate::report::{Failure, Outcome};
use crate::slug::Slug;

/// Columns a paragraph is broken at.
const WIDTH: usize = 80;

/// Prints what an error's name means, or all names there are.
pub(super) fn run(args: &ExplainArgs, output: Output) -> Outcome {
    let Some(name) = &args.slug else {
        let all: Vec<_> = Slug::ALL.iter().copied().map(explanation).collect();
        output.list("explain", &all)?;
        return Ok(Exit::Done);
    };
    let slug = Slug::named(name).ok_or_else(|| unknown(name))?;
    if output.is_json() {
        envelope("explain", &[explanation(slug)])?;
    } else {
        print(&page(slug))?;
    }
    Ok(Exit::Done)
}

/// What is known about one name.
#[derive(Debug, Serialize)]
struct Explanation {
    slug: &'static str,
    title: &'static str,
    exit_code: u8,
    text: &'static str,
}

fn explanation(slug: Slug) -> Explanation {
    Explanation {
        slug: slug.name(),
        title: slug.title(),
        exit_code: slug.exit().code(),
        text: slug.explanation(),
    }
}

impl Row for Explanation {
    const HEADERS: &'static [&'static str] = &["NAME", "EXIT-CODE", "TITLE"];

    fn cells(&self) -> Vec<String> {
        vec![self.slug.to_owned(), self.exit_code.to_string(), self.title.to_owned()]
    }
}

fn unknown(name: &str) -> Failure {
    let failure = Failure::new(Slug::Usage, format!("no error is called {name:?}"));
    match closest(name, Slug::ALL.iter().map(|slug| slug.name()), strsim::jaro_winkler) {
        Some(nearest) => failure.hint(format!("did you mean {nearest}?")),
        None => failure.hint("orderflow explain lists all of them"),
    }
}

fn page(slug: Slug) -> String {
    let exit = slug.exit();
    let text = wrapped(slug.explanation());
    format!(
        "{}: {}\n\n{text}\nexit code {}: {}\n",
        slug.name(),
        slug.title(),
        exit.code(),
        exit.meaning()
    )
}

/// The text in lines of at most [`WIDTH`] characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            word.clone_into(&mut lines[last]);
        } else if lines[last].chars().count() + 1 + word.chars().count() <= WIDTH {
            lines[last].push(' ');
            lines[last].push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n") + "\n"
}
