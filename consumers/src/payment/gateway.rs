//! Who charges: the boundary to a payment provider.

use std::fmt;
use std::future::Future;

use orderflow_domain::EventId;
use orderflow_domain::payment::Charge;
use orderflow_runtime::effects::{Asked, BoxFuture, Call, Called, Caller};
use orderflow_schemas::{Trace, TraceParent};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A payment provider that recognises a repeated charge by its idempotency key.
pub trait Gateway: Send + Sync + 'static {
    /// Charges, or gives the verdict it gave under this key before.
    fn charge(&self, charge: &Charge) -> impl Future<Output = Result<Verdict, NoVerdict>> + Send;

    /// The verdict given under this key before, without charging; `None` where there was none.
    fn lookup(&self, idempotency_key: &str) -> impl Future<Output = Result<Option<Verdict>, NoVerdict>> + Send;
}

/// What a gateway decided, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Verdict {
    /// The money moved.
    Charged {
        /// The gateway's name for the charge.
        charge_id: String,
    },
    /// It did not, and will not.
    Declined {
        /// In the gateway's words, as `insufficient_funds`.
        reason: String,
    },
}

/// There is no verdict; the money may have moved all the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoVerdict {
    /// An earlier call under this key is still at work.
    #[error("an earlier call under this key is still in progress")]
    InProgress,
    /// The call failed, or its answer was lost.
    #[error("{0}")]
    Failed(String),
}

/// Makes the effects of kind [`CHARGE`](super::CHARGE) through a gateway.
pub struct Charging<G>(pub G);

/// What the effect asks for, as it is kept until it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) charge: Charge,
    /// The event that placed the order; the outcome names it as its cause.
    pub(super) placed_by: EventId,
    /// This hop of the order's trace, and where it began.
    #[serde(with = "text")]
    traceparent: TraceParent,
    #[serde(with = "text")]
    ce_traceparent: TraceParent,
}

impl Request {
    pub(super) fn new(charge: Charge, placed_by: EventId, trace: Trace) -> Self {
        Self {
            charge,
            placed_by,
            traceparent: trace.hop,
            ce_traceparent: trace.origin,
        }
    }

    pub(super) fn trace(&self) -> Trace {
        Trace {
            hop: self.traceparent,
            origin: self.ce_traceparent,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        to_json(self)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

impl Verdict {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        to_json(self)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

impl<G: Gateway> Caller for Charging<G> {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Called> {
        Box::pin(async move {
            let request = match Request::from_bytes(&call.request) {
                Ok(request) => request,
                Err(error) => return Called::Retry(format!("the stored request cannot be read: {error}")),
            };
            match self.0.charge(&request.charge).await {
                Ok(verdict) => Called::Answer(verdict.to_bytes()),
                Err(NoVerdict::InProgress) => Called::InProgress,
                Err(NoVerdict::Failed(why)) => Called::Retry(why),
            }
        })
    }

    fn ask<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Asked> {
        Box::pin(async move {
            match self.0.lookup(&call.idempotency_key).await {
                Ok(Some(verdict)) => Asked::Answer(verdict.to_bytes()),
                Ok(None) => Asked::Unknown("the gateway has nothing under this key".to_owned()),
                Err(error) => Asked::Unknown(error.to_string()),
            }
        })
    }
}

impl<G> fmt::Debug for Charging<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charging").finish_non_exhaustive()
    }
}

/// Plain structs of texts and numbers: there is nothing in them that JSON cannot hold.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// A hop of a trace as the text of its header.
mod text {
    use orderflow_schemas::TraceParent;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(hop: &TraceParent, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(hop)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TraceParent, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
