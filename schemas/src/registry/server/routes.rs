//! What is asked, and what is answered.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::Method;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::answer::{Answer, Problem};
use super::lookup;
use crate::EventType;
use crate::compatibility::{self, Candidate};
use crate::history::{self, Version};

/// Longest body of a request; the contracts have 4 KiB.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// What versions of a subject are to one another.
const COMPATIBILITY: &str = "FULL_TRANSITIVE";

pub(super) fn router() -> Router {
    Router::new()
        .route("/", get(async || -> Answer { Ok(json!({}).into()) }))
        .route(
            "/mode",
            get(async || -> Answer { Ok(json!({"mode": "READONLY"}).into()) }),
        )
        .route(
            "/config",
            get(async || -> Answer { Ok(json!({"compatibilityLevel": COMPATIBILITY}).into()) }),
        )
        .route("/config/{subject}", get(subject_config))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(look_up))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_schema))
        .route(
            "/subjects/{subject}/versions/{version}/referencedby",
            get(referenced_by),
        )
        .route("/compatibility/subjects/{subject}/versions", post(compatible_with_all))
        .route(
            "/compatibility/subjects/{subject}/versions/{version}",
            post(compatible_with),
        )
        .route("/schemas", get(schemas))
        .route("/schemas/types", get(async || -> Answer { Ok(json!(["AVRO"]).into()) }))
        .route("/schemas/ids/{id}", get(schema))
        .route("/schemas/ids/{id}/schema", get(schema_text))
        .route("/schemas/ids/{id}/subjects", get(schema_subjects))
        .route("/schemas/ids/{id}/versions", get(schema_versions))
        .method_not_allowed_fallback(async || -> Answer { Err(Problem::ReadOnly) })
        .fallback(anything_else)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

async fn subject_config(Path(subject): Path<String>) -> Answer {
    lookup::subject(&subject)?;
    Ok(json!({"compatibilityLevel": COMPATIBILITY}).into())
}

async fn subjects() -> Answer {
    let mut names = EventType::ALL.map(EventType::record_name);
    names.sort_unstable();
    Ok(json!(names).into())
}

async fn versions(Path(subject): Path<String>) -> Answer {
    let event = lookup::subject(&subject)?;
    Ok(history::of(event)
        .map(|version| Value::from(version.version))
        .collect::<Value>()
        .into())
}

async fn version(Path((subject, version)): Path<(String, String)>) -> Answer {
    Ok(described(lookup::version(&subject, &version)?).into())
}

async fn version_schema(Path((subject, version)): Path<(String, String)>) -> Answer {
    Ok(lookup::version(&subject, &version)?.text.into())
}

/// No contract refers to another: each holds all it needs.
async fn referenced_by(Path((subject, version)): Path<(String, String)>) -> Answer {
    lookup::version(&subject, &version)?;
    Ok(json!([]).into())
}

async fn look_up(Path(subject): Path<String>, body: Bytes) -> Answer {
    Ok(described(lookup::same_schema(&subject, &lookup::sent_schema(&body)?)?).into())
}

/// Registering what is there changes nothing and is answered; anything else would change something.
async fn register(Path(subject): Path<String>, body: Bytes) -> Answer {
    match lookup::same_schema(&subject, &lookup::sent_schema(&body)?) {
        Ok(version) => Ok(json!({"id": version.id}).into()),
        Err(Problem::NoSuchSchema | Problem::NoSuchSubject(_)) => Err(Problem::ReadOnly),
        Err(problem) => Err(problem),
    }
}

async fn compatible_with(Path((subject, version)): Path<(String, String)>, body: Bytes) -> Answer {
    compare(&[lookup::version(&subject, &version)?], &body)
}

async fn compatible_with_all(Path(subject): Path<String>, body: Bytes) -> Answer {
    compare(&history::of(lookup::subject(&subject)?).collect::<Vec<_>>(), &body)
}

fn compare(versions: &[&Version], body: &[u8]) -> Answer {
    let text = lookup::sent_schema(body)?;
    let names: Vec<String> = versions.iter().map(ToString::to_string).collect();
    let known = names.iter().zip(versions).map(|(name, version)| Candidate {
        name,
        text: version.text,
    });
    let candidates: Vec<Candidate<'_>> = known
        .chain([Candidate {
            name: "the schema sent",
            text: &text,
        }])
        .collect();
    let messages: Vec<String> = match compatibility::check(&candidates) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    Ok(json!({"is_compatible": messages.is_empty(), "messages": messages}).into())
}

async fn schemas() -> Answer {
    Ok(history::all().iter().map(described).collect::<Value>().into())
}

async fn schema(Path(id): Path<String>) -> Answer {
    Ok(json!({"schema": lookup::id(&id)?.text}).into())
}

async fn schema_text(Path(id): Path<String>) -> Answer {
    Ok(lookup::id(&id)?.text.into())
}

async fn schema_subjects(Path(id): Path<String>) -> Answer {
    Ok(json!([lookup::id(&id)?.event.record_name()]).into())
}

async fn schema_versions(Path(id): Path<String>) -> Answer {
    let version = lookup::id(&id)?;
    Ok(json!([{"subject": version.event.record_name(), "version": version.version}]).into())
}

async fn anything_else(method: Method) -> Answer {
    match method {
        Method::GET | Method::HEAD => Err(Problem::NoSuchPath),
        _ => Err(Problem::ReadOnly),
    }
}

fn described(version: &Version) -> Value {
    json!({
        "subject": version.event.record_name(),
        "version": version.version,
        "id": version.id,
        "schema": version.text,
    })
}
