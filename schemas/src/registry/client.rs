//! The questions a registry answers, each with its answer as a type.

use std::fmt::Write as _;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::error::tame;
use super::http::{Answer, Http};
use super::{Options, RegistryError};

/// Speaks to one registry. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
}

/// One version of a subject, as a registry has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Registered {
    /// The schema's id.
    pub id: u32,
    /// The version's number within the subject.
    pub version: u32,
    /// The schema.
    pub schema: String,
}

/// What a registry thinks of a schema beside those it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compatibility {
    /// Whether it would take it.
    pub is_compatible: bool,
    /// Why not, where it says so.
    pub messages: Vec<String>,
}

/// A schema as it is found by its id.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    schema: String,
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<serde_json::Value>,
}

/// A schema found by its id: one of ours could be read with it, or there is a reason why not.
pub(super) type Usable = Result<String, String>;

impl Client {
    /// A client that has not asked anything yet.
    ///
    /// # Errors
    /// [`RegistryError::Unusable`] where certificates cannot be read.
    pub fn new(options: &Options) -> Result<Self, RegistryError> {
        Ok(Self {
            http: Http::new(options)?,
        })
    }

    /// The registry's address.
    #[must_use]
    pub fn url(&self) -> String {
        self.http.url()
    }

    /// The schema with that id.
    ///
    /// # Errors
    /// See [`RegistryError`]; a schema that is not Avro, or refers to others, is [`RegistryError::Refused`].
    pub async fn schema(&self, id: u32) -> Result<String, RegistryError> {
        self.usable(id).await?.map_err(|message| RegistryError::Refused {
            url: self.url(),
            status: format!("schema {id}"),
            message,
        })
    }

    /// The schema with that id, or why it is of no use here.
    pub(super) async fn usable(&self, id: u32) -> Result<Usable, RegistryError> {
        let found: Found = self.get(&format!("/schemas/ids/{id}")).await?;
        Ok(match found.schema_type.as_deref() {
            None | Some("AVRO") if found.references.is_empty() => Ok(found.schema),
            None | Some("AVRO") => Err("it refers to other schemas, which are not followed".to_owned()),
            Some(other) => Err(format!("it is a {} schema, not Avro", tame(other))),
        })
    }

    /// The numbers of a subject's versions; none where there is no such subject.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        let versions = self.get(&format!("/subjects/{}/versions", segment(subject))).await;
        or_nothing(versions).map(Option::unwrap_or_default)
    }

    /// One version of a subject; the newest where no number is given.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn version(&self, subject: &str, number: Option<u32>) -> Result<Registered, RegistryError> {
        let number = number.map_or_else(|| "latest".to_owned(), |number| number.to_string());
        self.get(&format!("/subjects/{}/versions/{number}", segment(subject)))
            .await
    }

    /// The version of a subject that is this schema; `None` where it is not registered.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn look_up(&self, subject: &str, schema: &str) -> Result<Option<Registered>, RegistryError> {
        or_nothing(self.post(&format!("/subjects/{}", segment(subject)), schema).await)
    }

    /// Registers a schema under a subject and gives its id; one that is there already keeps the id it has.
    ///
    /// # Errors
    /// [`RegistryError::Incompatible`] where it does not go with the versions before it; else see [`RegistryError`].
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        #[derive(Deserialize)]
        struct Given {
            id: u32,
        }
        let given: Given = self
            .post(&format!("/subjects/{}/versions", segment(subject)), schema)
            .await?;
        Ok(given.id)
    }

    /// What the registry, by its own rules, thinks of a schema beside the newest version; `None` where there is none.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn compatibility(&self, subject: &str, schema: &str) -> Result<Option<Compatibility>, RegistryError> {
        /// Confluent's registry gives messages, Apicurio's a reason.
        #[derive(Deserialize)]
        struct Verdict {
            is_compatible: bool,
            messages: Option<Vec<String>>,
            reason: Option<String>,
        }
        let path = format!(
            "/compatibility/subjects/{}/versions/latest?verbose=true",
            segment(subject)
        );
        let verdict: Option<Verdict> = or_nothing(self.post(&path, schema).await)?;
        Ok(verdict.map(|verdict| {
            let messages = verdict.messages.into_iter().flatten().chain(verdict.reason);
            Compatibility {
                is_compatible: verdict.is_compatible,
                messages: messages.map(|message| tame(&message)).collect(),
            }
        }))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RegistryError> {
        let answer = self.http.ask(Method::GET, path, String::new()).await?;
        self.take(&answer)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, schema: &str) -> Result<T, RegistryError> {
        let body = json!({ "schema": schema }).to_string();
        let answer = self.http.ask(Method::POST, path, body).await?;
        self.take(&answer)
    }

    fn take<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, RegistryError> {
        if answer.status != StatusCode::OK {
            return Err(self.refusal(answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| self.unexpected(&answer.body, &error))
    }

    fn unexpected(&self, body: &[u8], error: &serde_json::Error) -> RegistryError {
        let what = match body.trim_ascii_start() {
            [] => "its answer is empty".to_owned(),
            [b'<', ..] => "it answers with HTML".to_owned(),
            _ => format!("its answer cannot be read: {}", tame(&error.to_string())),
        };
        RegistryError::Unexpected { url: self.url(), what }
    }

    /// What an answer other than 200 means. Only an answer in Confluent's words says that something is not there: a wrong
    /// address and a proxy in between say 404 as well.
    fn refusal(&self, answer: &Answer) -> RegistryError {
        #[derive(Deserialize)]
        struct Problem {
            error_code: u64,
            #[serde(default)]
            message: String,
        }
        let url = self.url();
        let problem = serde_json::from_slice::<Problem>(&answer.body).ok();
        let message = problem
            .as_ref()
            .map(|problem| tame(&problem.message))
            .unwrap_or_default();
        let status = answer.status.to_string();
        match (answer.status.as_u16(), problem) {
            (401 | 403, _) => RegistryError::Denied { url, status, message },
            (408 | 429 | 500..=599, _) => RegistryError::Unavailable { url, status, message },
            (404, Some(problem)) if (40_401..=40_499).contains(&problem.error_code) => RegistryError::NotFound {
                url,
                code: problem.error_code,
                message,
            },
            (409, Some(_)) => RegistryError::Incompatible { url, message },
            (400..=499, Some(problem)) if problem.error_code != 404 => RegistryError::Refused { url, status, message },
            (300..=399, _) => RegistryError::Unexpected {
                url,
                what: match &answer.location {
                    Some(elsewhere) => format!("it sends us on to {elsewhere}; give that address if it is right"),
                    None => format!("it answers {status}"),
                },
            },
            _ => RegistryError::Unexpected {
                url,
                what: format!(
                    "it answers {status}; is something missing behind the address, such as /apis/ccompat/v7?"
                ),
            },
        }
    }
}

fn or_nothing<T>(answer: Result<T, RegistryError>) -> Result<Option<T>, RegistryError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A name as one part of a path.
fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _infallible = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_part_of_a_path() {
        assert_eq!(segment("orderflow.orders.OrderPlaced"), "orderflow.orders.OrderPlaced");
        assert_eq!(segment(":.ctx:a/b c?"), "%3A.ctx%3Aa%2Fb%20c%3F");
    }
}
