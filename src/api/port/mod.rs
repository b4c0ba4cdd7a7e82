//! The port through which HTTP reaches the runtime. Owns the traits, their requests and answers; never an
//! implementation.
//!
//! Contract of every implementation:
//! * a write that returns `Ok` is durable (RT-4);
//! * a write that returns [`Code::Busy`], [`Code::QueueFull`], [`Code::Unavailable`], [`Code::JournalFull`] or
//!   [`Code::Quarantined`] has changed nothing and will not; when that cannot be said it returns
//!   [`Code::OutcomeUnknown`];
//! * writes of a session are idempotent by its id ([`PartnerPort::start_session`], [`PartnerPort::stop_session`]);
//! * what a partner may not see does not exist for it: no call with a `partner` ever answers with another's object.

mod accounts;
mod catalogue;
mod credentials;
mod device;
mod messages;
mod onboarding;
mod operations;
mod operator;
mod operators;
mod orders;
mod reservations;
mod statements;
mod tariffs;
mod tcec;
mod views;
mod webhooks;

pub use accounts::*;
pub use catalogue::*;
pub use credentials::*;
pub use device::*;
pub use messages::*;
pub use onboarding::*;
pub use operations::*;
pub use operator::*;
pub use operators::*;
pub use orders::*;
pub use reservations::*;
pub use statements::*;
pub use tariffs::*;
pub use tcec::*;
pub use views::*;
pub use webhooks::*;

use super::catalogue::Code;
use crate::domain::tariff::Tariff;
use crate::ids::{ChargerId, ConnectorId, PartnerId, RequestId, ReservationId, SessionId, SiteId};
use crate::persistence::{CreateOnce, Journal, JournalError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it back as `cursor` (events: `after`) for the rest; absent: there is no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Why the runtime did not do what was asked: a code of the catalogue, and what else the caller can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which entry of the catalogue.
    pub code: Code,
    /// When to try again; absent: the default of the code's class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// What is wrong with which member of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

impl Refusal {
    /// A refusal that names one member of the request: its path, what is wrong, and what is allowed.
    pub fn field(field: impl Into<String>, problem: impl Into<String>, allowed: impl Into<String>) -> Self {
        let detail = Detail { field: field.into(), problem: problem.into(), allowed: allowed.into() };
        Refusal { code: Code::InvalidField, retry_after: None, details: vec![detail] }
    }

    /// The same refusal with the time after which to try again.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Refusal { retry_after: Some(wait), ..self }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Refusal { code, retry_after: None, details: Vec::new() }
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Full => Code::JournalFull.into(),
            JournalError::Unavailable(_) | JournalError::Fenced => Code::Unavailable.into(),
            JournalError::Corrupt { key, why } => {
                tracing::error!(%key, %why, "a stored value cannot be read");
                Code::Internal.into()
            }
        }
    }
}

/// A start of charging that HTTP has checked and claimed (SE-1).
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The id that the session is to have: chosen once for a `request_id`, the key of idempotency.
    pub session_id: SessionId,
    /// The partner's name of the operation.
    pub request_id: RequestId,
    /// Where.
    pub charger_id: ChargerId,
    /// Which connector, 1 and up.
    pub connector_id: ConnectorId,
    /// For whom. Personal: never logged (OP-9).
    pub user: UserRef,
    /// When charging ends by itself.
    pub limits: Limits,
    /// The reservation that it ends (RS-3).
    pub reservation_id: Option<ReservationId>,
    /// Follows the call through logs, to the charger and back (OP-7).
    pub trace_id: String,
}

/// A stop of charging that HTTP has checked and claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// Which session.
    pub session_id: SessionId,
    /// The partner's name of the operation; repeated with the same one it is the same stop.
    pub request_id: RequestId,
    /// Follows the call through logs, to the charger and back (OP-7).
    pub trace_id: String,
}

/// Which operation is asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationRef {
    /// Its name.
    pub request_id: RequestId,
    /// What it was.
    pub kind: OperationKind,
    /// The session that it is about.
    pub session_id: SessionId,
}

/// Which sessions are listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionFilter {
    /// Of this user of the partner's.
    pub user_id: Option<String>,
    /// Only open, or only closed ones.
    pub open: Option<bool>,
    /// Of this charger (operators only).
    pub charger_id: Option<ChargerId>,
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// What an earlier page gave as `next`; opaque to HTTP. An unreadable one is refused with [`Refusal::field`].
    pub cursor: Option<String>,
    /// Most items, 1 to `api.page_max`.
    pub limit: usize,
}

/// What partners' calls need from the runtime.
#[async_trait]
pub trait PartnerPort:
    ReservationPort
    + OrderPort
    + AccountPort
    + StatementPort
    + TcecPort
    + CredentialPort
    + OnboardingPort
    + CataloguePort
    + WebhookPort
{
    /// Starts charging. Checks the true state again (SE-2), journals, and answers before the charger does. Repeated with
    /// the same session id it answers `Ok` again, whatever became of the session since.
    async fn start_session(&self, partner: &PartnerId, start: Start) -> Result<(), Refusal>;

    /// Stops charging; answers with the session's status once the wish is durable. Repeated with the same request id it
    /// is the same stop. [`Code::SessionUnknown`] for another partner's session.
    async fn stop_session(&self, partner: &PartnerId, stop: Stop) -> Result<SessionStatus, Refusal>;

    /// How far an operation is; `None`: the runtime has not seen it (yet).
    async fn operation(&self, partner: &PartnerId, which: &OperationRef) -> Result<Option<OperationState>, Refusal>;

    /// One session with its readings, or [`Code::SessionUnknown`].
    async fn session(&self, partner: &PartnerId, id: SessionId) -> Result<SessionView, Refusal>;

    /// Sessions, newest first.
    async fn sessions(
        &self,
        partner: &PartnerId,
        filter: SessionFilter,
        page: PageRequest,
    ) -> Result<Page<SessionView>, Refusal>;

    /// A site that the partner may see, or [`Code::NotFound`].
    async fn site(&self, partner: &PartnerId, id: &SiteId) -> Result<SiteView, Refusal>;

    /// The tariff in force now at a site that the partner may see: [`Code::NotFound`] if it may not, `tariff_unknown` if there
    /// is none.
    async fn site_tariff(&self, partner: &PartnerId, id: &SiteId) -> Result<Arc<Tariff>, Refusal>;

    /// The sites that the partner may see, by id.
    async fn sites(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<SiteView>, Refusal>;

    /// A charger that the partner may see, or [`Code::ChargerUnknown`].
    async fn charger(&self, partner: &PartnerId, id: &ChargerId) -> Result<ChargerView, Refusal>;

    /// The chargers that the partner may see, by id.
    async fn chargers(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<ChargerView>, Refusal>;

    /// Events as a webhook's body has them, oldest first. `next` is always given (EM-8).
    async fn events(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<serde_json::Value>, Refusal>;
}

/// What HTTP needs from the runtime in all.
pub trait Port: PartnerPort + OperatorPort {}

impl<P: PartnerPort + OperatorPort> Port for P {}

/// First value wins, durably: the part of [`Journal`] that idempotency needs (EM-5).
#[async_trait]
pub trait OnceStore: Send + Sync + 'static {
    /// See [`Journal::create_once`].
    async fn create_once(&self, key: &str, value: &[u8], ttl: Duration) -> Result<CreateOnce, JournalError>;
    /// See [`Journal::lookup_once`].
    async fn lookup_once(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError>;
    /// See [`Journal::remove_once`].
    async fn remove_once(&self, key: &str) -> Result<(), JournalError>;
}

#[async_trait]
impl<J: Journal + ?Sized> OnceStore for Arc<J> {
    async fn create_once(&self, key: &str, value: &[u8], ttl: Duration) -> Result<CreateOnce, JournalError> {
        (**self).create_once(key, value, ttl).await
    }
    async fn lookup_once(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        (**self).lookup_once(key).await
    }
    async fn remove_once(&self, key: &str) -> Result<(), JournalError> {
        (**self).remove_once(key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::journal::SharedJournal;

    #[test]
    fn any_journal_is_a_once_store_and_its_errors_are_the_catalogues() {
        // Compiled, not called: the way from the journal to idempotency.
        let _: fn(SharedJournal) -> Arc<dyn OnceStore> = |journal| Arc::new(journal);
        for (error, code) in [
            (JournalError::Full, Code::JournalFull),
            (JournalError::Unavailable("x".into()), Code::Unavailable),
            (JournalError::Fenced, Code::Unavailable),
            (JournalError::Corrupt { key: "k".into(), why: "w".into() }, Code::Internal),
        ] {
            assert_eq!(Refusal::from(error).code, code);
        }
    }
}
