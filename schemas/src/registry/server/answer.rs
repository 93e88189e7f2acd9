//! Answers as Confluent's registry words them.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What every answer of the registry is, errors included.
pub(super) const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// What a route answers.
pub(super) type Answer = Result<Body, Problem>;

/// JSON that goes out as it is.
pub(super) struct Body(String);

impl From<Value> for Body {
    fn from(json: Value) -> Self {
        Self(json.to_string())
    }
}

impl From<&str> for Body {
    /// Of a schema as it was released.
    fn from(schema: &str) -> Self {
        Self(schema.to_owned())
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, CONTENT_TYPE)], self.0).into_response()
    }
}

/// What cannot be answered, with Confluent's number for it.
#[derive(Debug)]
pub(super) enum Problem {
    NoSuchPath,
    NoSuchSubject(String),
    NoSuchVersion(String),
    NoSuchSchema,
    InvalidSchema(String),
    InvalidVersion(String),
    ReadOnly,
}

impl Problem {
    fn status_code_and_message(&self) -> (StatusCode, u32, String) {
        match self {
            Self::NoSuchPath => (StatusCode::NOT_FOUND, 404, "HTTP 404 Not Found".to_owned()),
            Self::NoSuchSubject(name) => (StatusCode::NOT_FOUND, 40401, format!("Subject '{name}' not found.")),
            Self::NoSuchVersion(version) => (StatusCode::NOT_FOUND, 40402, format!("Version {version} not found.")),
            Self::NoSuchSchema => (StatusCode::NOT_FOUND, 40403, "Schema not found".to_owned()),
            Self::InvalidSchema(problem) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                42201,
                format!("Invalid schema: {problem}"),
            ),
            Self::InvalidVersion(version) => {
                let message = format!(
                    "The specified version '{version}' is not a valid version id; expected a number from 1 on, or latest"
                );
                (StatusCode::UNPROCESSABLE_ENTITY, 42202, message)
            }
            Self::ReadOnly => {
                let message = "This registry is read-only: its schemas are those that orderflow was built with";
                (StatusCode::METHOD_NOT_ALLOWED, 405, message.to_owned())
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, message) = self.status_code_and_message();
        let body = Body::from(json!({"error_code": code, "message": message})).into_response();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => (status, [(header::ALLOW, "GET, HEAD")], body).into_response(),
            _ => (status, body).into_response(),
        }
    }
}
