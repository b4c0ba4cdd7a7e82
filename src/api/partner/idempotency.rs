//! Idempotency of writes by `request_id` (EM-5). Owns the claim of an id, the memory of its first answer, and what happens
//! to repeats; never what a write does.
//!
//! | key | value | meaning |
//! |---|---|---|
//! | `op/<partner>/<request_id>` | [`Claim`] | this id is this call with this body and these chosen ids |
//! | `op-answer/<partner>/<request_id>/<claimed at>` | [`Answer`] | the first answer, where it does not follow from the claim |
//!
//! Order: claim, drive the runtime, store the answer, answer. A crash anywhere in between leaves a claim without an answer: the
//! next repeat drives the runtime again with the *same* session id, by which the runtime is idempotent. Of identical calls at
//! the same time one drives, the others wait for it and find its answer. A claim that this very call made is removed again
//! when the runtime says that surely nothing was done (429, 503); an older claim is not, for an earlier drive of it may have
//! succeeded unseen.
//!
//! A write runs in a task of its own: a caller who leaves, or a deadline, stops nothing half way.

use crate::api::catalogue::Code;
use crate::api::error::ApiError;
use crate::api::port::{Moment, OnceStore, OperationKind, Refusal};
use crate::clock::SharedClock;
use crate::ids::{ChargerId, PartnerId, RequestId, ReservationId, SessionId};
use crate::persistence::CreateOnce;
use crate::telemetry::metrics::api as metrics;
use dashmap::DashMap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// Writes under way in the whole process, those too whose caller has left: a bound on memory while the store hangs.
const WRITES_MAX: usize = 1024;

/// What a request id stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Keyed digest of call and body; the body itself is personal and not kept.
    pub digest: String,
    /// Which call.
    pub kind: OperationKind,
    /// The session: chosen here for a start, named by the caller for a stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// The reservation: chosen here when it is made, named by the caller later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<ReservationId>,
    /// Where, for a start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charger_id: Option<ChargerId>,
    /// When.
    pub at: Moment,
}

/// The first answer to a write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was taken, and this was said.
    Taken(serde_json::Value),
    /// It was refused.
    Refused(Refusal),
}

/// A write as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) partner: PartnerId,
    pub(crate) request_id: RequestId,
    pub(crate) kind: OperationKind,
    /// The body as read, written again in one fixed form: blanks and the order of members do not matter.
    pub(crate) canonical: Vec<u8>,
    pub(crate) session_id: Option<SessionId>,
    pub(crate) reservation_id: Option<ReservationId>,
    pub(crate) charger_id: Option<ChargerId>,
}

/// The memory of request ids.
pub struct Idempotency {
    store: Arc<dyn OnceStore>,
    clock: SharedClock,
    digest_key: [u8; 32],
    kept: Duration,
    /// One lock for each id under way.
    under_way: DashMap<String, Arc<Mutex<()>>>,
    writes: Arc<Semaphore>,
}

impl std::fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idempotency").field("under_way", &self.under_way.len()).finish_non_exhaustive()
    }
}

impl Idempotency {
    /// On `store`, remembering ids for `kept`. `digest_key` is a secret of this installation that outlives restarts.
    pub fn new(store: Arc<dyn OnceStore>, clock: SharedClock, digest_key: [u8; 32], kept: Duration) -> Self {
        let writes = Arc::new(Semaphore::new(WRITES_MAX));
        Idempotency { store, clock, digest_key, kept, under_way: DashMap::new(), writes }
    }

    /// What is remembered of an id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn remembered(
        &self,
        partner: &PartnerId,
        request_id: &RequestId,
    ) -> Result<Option<(Claim, Option<Answer>)>, Refusal> {
        let Some(claim) = self.store.lookup_once(&claim_key(partner, request_id)).await? else { return Ok(None) };
        let claim: Claim = stored(&claim)?;
        let answer = self.store.lookup_once(&answer_key(partner, request_id, &claim)).await?;
        Ok(Some((claim, answer.map(|bytes| stored(&bytes)).transpose()?)))
    }

    /// Runs a write once, whatever happens; see the head of this file. `drive` asks the runtime.
    pub(crate) async fn run<F, D>(self: &Arc<Self>, write: Write, drive: D) -> Result<serde_json::Value, ApiError>
    where
        D: FnOnce(Claim) -> F + Send + 'static,
        F: Future<Output = Result<serde_json::Value, Refusal>> + Send + 'static,
    {
        let request_id = write.request_id.clone();
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else {
            metrics::LIMITED.add(1, ["in_flight"]);
            return Err(ApiError::from(Code::Busy).of_request(request_id));
        };
        let this = Arc::clone(self);
        let span = tracing::Span::current();
        let task = async move {
            let result = this.alone(write, drive).await;
            drop(permit);
            result
        };
        let joined = tokio::spawn(tracing::Instrument::instrument(task, span)).await;
        let answer = joined.unwrap_or_else(|e| {
            tracing::error!(panicked = e.is_panic(), "a write's task ended early");
            metrics::PANICS.add(u64::from(e.is_panic()), []);
            Err(Code::Internal.into())
        });
        answer.map_err(|refusal| ApiError::from(refusal).of_request(request_id))
    }

    /// One at a time for each id.
    async fn alone<F, D>(&self, write: Write, drive: D) -> Result<serde_json::Value, Refusal>
    where
        D: FnOnce(Claim) -> F,
        F: Future<Output = Result<serde_json::Value, Refusal>>,
    {
        let key = claim_key(&write.partner, &write.request_id);
        let lock = Arc::clone(&self.under_way.entry(key.clone()).or_default());
        let guard = lock.lock().await;
        let result = self.settle(&key, write, drive).await;
        drop(guard);
        drop(lock);
        // Ours is gone: a count of one is the map's own, so nobody waits for it.
        self.under_way.remove_if(&key, |_, lock| Arc::strong_count(lock) == 1);
        result
    }

    async fn settle<F, D>(&self, key: &str, write: Write, drive: D) -> Result<serde_json::Value, Refusal>
    where
        D: FnOnce(Claim) -> F,
        F: Future<Output = Result<serde_json::Value, Refusal>>,
    {
        let wanted = self.claim_of(&write);
        let bytes = serde_json::to_vec(&wanted).map_err(|_| Code::Internal)?;
        let (claim, fresh) = match self.store.create_once(key, &bytes, self.kept).await? {
            CreateOnce::Created => (wanted, true),
            CreateOnce::Exists(first) => {
                let first: Claim = stored(&first)?;
                if first.digest != wanted.digest || first.kind != wanted.kind {
                    metrics::IDEMPOTENCY.add(1, ["conflict"]);
                    return Err(Code::RequestIdConflict.into());
                }
                (first, false)
            }
        };
        metrics::IDEMPOTENCY.add(1, [if fresh { "new" } else { "repeat" }]);
        let answer_key = answer_key(&write.partner, &write.request_id, &claim);
        if !fresh && let Some(answer) = self.store.lookup_once(&answer_key).await? {
            return spoken(stored(&answer)?);
        }
        fault_point!("api.claimed", key);
        match drive(claim.clone()).await {
            // The answer to a start follows from the claim, and the runtime knows the session: nothing to store.
            Ok(value) if claim.kind == OperationKind::Start => Ok(value),
            Ok(value) => self.first(&answer_key, Answer::Taken(value)).await,
            Err(refusal) if refusal.code.binds() => self.first(&answer_key, Answer::Refused(refusal)).await,
            Err(refusal) => {
                if fresh && refusal.code.frees() {
                    metrics::IDEMPOTENCY.add(1, ["freed"]);
                    self.store.remove_once(key).await?;
                }
                Err(refusal)
            }
        }
    }

    /// Stores the first answer, or finds the one that was first.
    async fn first(&self, key: &str, answer: Answer) -> Result<serde_json::Value, Refusal> {
        let bytes = serde_json::to_vec(&answer).map_err(|_| Code::Internal)?;
        match self.store.create_once(key, &bytes, self.kept).await {
            Ok(CreateOnce::Created) => spoken(answer),
            Ok(CreateOnce::Exists(first)) => spoken(stored(&first)?),
            // Done or refused already, so neither may be said nor denied: the same request finds out.
            Err(_) => Err(Code::OutcomeUnknown.into()),
        }
    }

    fn claim_of(&self, write: &Write) -> Claim {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.digest_key).expect("a key of any length");
        let head = format!("{:?}\n{}\n", write.kind, named(write).map(|id| id.to_string()).unwrap_or_default());
        mac.update(head.as_bytes());
        mac.update(&write.canonical);
        Claim {
            digest: hex::encode(mac.finalize().into_bytes()),
            kind: write.kind,
            session_id: write.session_id,
            reservation_id: write.reservation_id,
            charger_id: write.charger_id.clone(),
            at: Moment(self.clock.now()),
        }
    }
}

/// What the caller named: part of what makes two calls the same. An id that was chosen for a new thing is not.
fn named(write: &Write) -> Option<uuid::Uuid> {
    match write.kind {
        OperationKind::Stop => write.session_id.map(|id| id.0),
        OperationKind::CancelReservation | OperationKind::Complaint => write.reservation_id.map(|id| id.0),
        OperationKind::Start
        | OperationKind::Reserve
        | OperationKind::WebhookTest
        | OperationKind::Replay
        | OperationKind::MakeKey
        | OperationKind::PauseWebhook
        | OperationKind::ResumeWebhook
        | OperationKind::Subscribe
        | OperationKind::MakeEndpoint
        | OperationKind::ChangeEndpoint
        | OperationKind::RemoveEndpoint
        | OperationKind::RotateEndpointSecret
        | OperationKind::VerifyEndpoint
        | OperationKind::ExtendOrder
        | OperationKind::PayOrder
        | OperationKind::ContestOrder
        | OperationKind::RotateKey
        | OperationKind::RevokeKey
        | OperationKind::AllowKey
        | OperationKind::TopUp
        | OperationKind::DebtPayment
        | OperationKind::Statement
        | OperationKind::Application => None,
    }
}

fn spoken(answer: Answer) -> Result<serde_json::Value, Refusal> {
    match answer {
        Answer::Taken(value) => Ok(value),
        Answer::Refused(refusal) => Err(refusal),
    }
}

fn claim_key(partner: &PartnerId, request_id: &RequestId) -> String {
    format!("op/{partner}/{request_id}")
}

/// With the claim's time, so that the answer of an expired claim is never taken for that of a later one.
fn answer_key(partner: &PartnerId, request_id: &RequestId, claim: &Claim) -> String {
    format!("op-answer/{partner}/{request_id}/{}", claim.at.0.0)
}

fn stored<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        tracing::error!(%error, "a stored claim or answer cannot be read");
        Code::Internal.into()
    })
}

#[cfg(test)]
mod tests;
