//! The contract document: what a service author in any language needs to know, made from the schemas themselves.

mod about;
mod fields;

use std::fmt::Write as _;

use crate::history::{self, Version};
use crate::{EventType, Topic};

use about::About;

/// `docs/contracts.md`, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(include_str!("document/intro.md"));
    push_topics(&mut text);
    push_meta(&mut text);
    for event in EventType::ALL {
        push_event(&mut text, event);
    }
    push_ids(&mut text);
    text
}

fn push_topics(text: &mut String) {
    text.push_str("\n## Topics\n\n| topic | key | events |\n| --- | --- | --- |\n");
    for topic in Topic::ALL {
        let events: Vec<_> = EventType::ALL
            .into_iter()
            .filter(|event| event.topic() == topic)
            .collect();
        let Some(first) = events.first() else { continue };
        let names: Vec<_> = events.iter().map(|event| event.name()).collect();
        line(
            text,
            format_args!("| `{topic}` | {} | {} |", About::of(*first).key, names.join(", ")),
        );
    }
}

fn push_meta(text: &mut String) {
    text.push_str("\n## What every event begins with\n\nThe record `orderflow.Meta`, in the field `meta`:\n\n");
    text.push_str(&fields::table_of_meta(history::latest(EventType::OrderPlaced)));
}

fn push_event(text: &mut String, event: EventType) {
    let about = About::of(event);
    let version = history::latest(event);
    line(
        text,
        format_args!(
            "\n## {event}\n\n{}\n\n| | |\n| --- | --- |",
            fields::documentation(version)
        ),
    );
    line(
        text,
        format_args!("| record, subject, `ce_type` | `{}` |", event.record_name()),
    );
    line(
        text,
        format_args!("| topic, key | `{}`, {} |", event.topic(), about.key),
    );
    line(text, format_args!("| emitted by | {} |", about.emitted_by));
    line(text, format_args!("| read by | {} |", about.read_by));
    line(text, format_args!("| follows | {} |", about.follows));
    line(text, format_args!("| repeated | {} |", about.repeated));
    if !about.aliases.is_empty() {
        line(text, format_args!("| elsewhere called | {} |", about.aliases));
    }
    text.push('\n');
    text.push_str(&fields::table(version));
}

fn push_ids(text: &mut String) {
    text.push_str("\n## Schema ids\n\n");
    text.push_str("Without a registry these are the ids. Given once and never again; the schemas themselves are in `schemas/avro/`.\n\n");
    text.push_str("| id | subject | version | file |\n| ---: | --- | ---: | --- |\n");
    for Version { event, version, id, .. } in history::all() {
        let subject = event.record_name();
        line(
            text,
            format_args!("| {id} | `{subject}` | {version} | `{event}.v{version}.avsc` |"),
        );
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes everything");
}
