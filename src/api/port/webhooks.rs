//! Webhook endpoints behind HTTP, for partners themselves and for operators (EM-8, EM-9). Owns the trait and its views; never
//! delivery.

use super::{Moment, Page, PageRequest, Refusal};
use crate::ids::{EndpointName, PartnerId, RequestId};
use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// The text `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// All of them, future ones too.
    All,
}

/// `"all"`, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Choice {
    /// The text `all`.
    All(Every),
    /// These.
    Only(Vec<String>),
}

/// What is to be changed about an endpoint, or how a new one is to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointChange {
    /// Where to; absent: as it is.
    pub url: Option<String>,
    /// Which event types; absent: as it is.
    pub events: Option<Choice>,
    /// Of which sites; absent: as it is.
    pub sites: Option<Choice>,
}

/// What went with an endpoint that was removed. The events stay in `GET /events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dropped {
    /// Events that were kept for it and not delivered yet.
    pub dropped: u64,
    /// Events that had been given up before.
    pub dead_letters: u64,
}

/// A URL that has not answered its challenge yet. It is sent nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnverifiedView {
    /// Since when.
    pub since: Moment,
    /// Challenges that were not answered rightly.
    pub failures: u16,
    /// When the next one goes out; absent: when you ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Moment>,
    /// What came of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The state of a webhook endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: EndpointName,
    /// Where to.
    pub url: String,
    /// Whether anything is sent, as far as nobody holds it back and its URL is verified.
    pub enabled: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// By whom: `operator`, `gone` (it answered 410), `failing` (every try had failed for too long).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_by: Option<String>,
    /// When it is asked next whether it is there again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_at: Option<Moment>,
    /// Set until its URL has answered the challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unverified: Option<UnverifiedView>,
    /// Whether the partner holds it back itself.
    #[serde(default)]
    pub paused: bool,
    /// Event types that are sent; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// Sites whose events are sent; absent: all. What has no site always is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<Vec<String>>,
    /// Share of failing tries among the newest, percent.
    pub failing_percent: u8,
    /// Events that wait.
    pub depth: u64,
    /// Age of the oldest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_age_s: Option<u64>,
    /// Events that were given up; replay sends them again.
    pub dead_letters: u64,
}

/// One try to deliver an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// Which event.
    pub event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    pub at: Moment,
    /// Which try, from 1.
    pub attempt: u32,
    /// `delivered`, or what went wrong.
    pub outcome: String,
    /// The endpoint's HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Moment>,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadView {
    /// Which event.
    pub event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its order key.
    pub order_key: String,
    /// When it happened.
    pub at: Moment,
    /// How many tries it had.
    pub attempts: u16,
    /// What came of the last one.
    pub last_outcome: String,
    /// When it was given up.
    pub dead_at: Moment,
}

/// What to send again: exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplayRequest {
    /// These events, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_ids: Vec<String>,
    /// Events from this moment on …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// … to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Moment>,
    /// All dead letters.
    #[serde(default)]
    pub all_dead: bool,
}

/// What is done with webhook endpoints. An endpoint that there is not is `webhook_missing` for the one called `default`, and
/// `not_found` for any other.
#[async_trait]
pub trait WebhookPort: Send + Sync + 'static {
    /// All endpoints of a partner, oldest first.
    async fn webhooks(&self, partner: &PartnerId) -> Result<Vec<WebhookView>, Refusal>;

    /// One endpoint.
    async fn webhook(&self, partner: &PartnerId, name: &EndpointName) -> Result<WebhookView, Refusal>;

    /// Makes an endpoint that signs with this secret. It is sent what happens from then on, once its URL has answered the
    /// challenge. `endpoint_exists` if there is one of this name with another secret: repeated it is the same endpoint.
    async fn make_webhook(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        order: EndpointChange,
        secret: SecretString,
    ) -> Result<(), Refusal>;

    /// Changes an endpoint. A new URL has to answer the challenge. `webhook_disabled` where an operator has stopped it and
    /// does not ask for this.
    async fn change_webhook(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        change: EndpointChange,
        by_operator: bool,
    ) -> Result<(), Refusal>;

    /// Takes an endpoint away for good. If it was after `since` that it was taken away, this is the same removal.
    async fn remove_webhook(&self, partner: &PartnerId, name: &EndpointName, since: Moment)
    -> Result<Dropped, Refusal>;

    /// Puts a new signing secret before the old ones, which sign too for `overlap`. Repeated it is the same secret.
    async fn rotate_webhook_secret(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        secret: SecretString,
        overlap: Duration,
    ) -> Result<(), Refusal>;

    /// Asks the endpoint at once: for the challenge, or whether it is there again. `webhook_disabled` where an operator
    /// has stopped it.
    async fn verify_webhook(&self, partner: &PartnerId, name: &EndpointName) -> Result<(), Refusal>;

    /// An operator vouches for the URL, which has not answered the challenge.
    async fn vouch_webhook(&self, partner: &PartnerId, name: &EndpointName) -> Result<(), Refusal>;

    /// Sends, or stops sending.
    async fn enable_webhook(&self, partner: &PartnerId, name: &EndpointName, on: bool) -> Result<(), Refusal>;

    /// Holds the endpoint back, or lets it go on; what happens meanwhile waits, for as long as events are kept.
    async fn pause_webhook(&self, partner: &PartnerId, name: &EndpointName, paused: bool) -> Result<(), Refusal>;

    /// Sends the endpoint a `webhook.test` event. Repeated with the same request id it may be sent twice.
    async fn test_webhook(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        request_id: &RequestId,
    ) -> Result<(), Refusal>;

    /// The log of attempts, newest first.
    async fn deliveries(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        page: PageRequest,
    ) -> Result<Page<DeliveryView>, Refusal>;

    /// Events that were given up, oldest first.
    async fn dead_letters(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        page: PageRequest,
    ) -> Result<Page<DeadView>, Refusal>;

    /// Sends events again; answers how many.
    async fn replay(&self, partner: &PartnerId, name: &EndpointName, replay: ReplayRequest) -> Result<u64, Refusal>;
}
