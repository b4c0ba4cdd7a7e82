//! Operations of partners: which there are, and how far one is (EM-5). Owns the names; never what an operation does.

use super::Moment;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a write was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// `POST /sessions`.
    Start,
    /// `POST /sessions/{session_id}/stop`.
    Stop,
    /// `POST /reservations`.
    Reserve,
    /// `POST /reservations/{reservation_id}/cancel`.
    CancelReservation,
    /// `POST /reservations/{reservation_id}/complaint`.
    Complaint,
    /// `POST /webhook/test`.
    WebhookTest,
    /// `POST /webhook/replay`.
    Replay,
    /// `POST /webhook/pause`.
    PauseWebhook,
    /// `POST /webhook/resume`.
    ResumeWebhook,
    /// `POST /webhook/subscription`.
    Subscribe,
    /// `POST /webhooks/endpoints`.
    MakeEndpoint,
    /// `POST /webhooks/endpoints/{name}`.
    ChangeEndpoint,
    /// `POST /webhooks/endpoints/{name}/remove`.
    RemoveEndpoint,
    /// `POST /webhooks/endpoints/{name}/secret`.
    RotateEndpointSecret,
    /// `POST /webhooks/endpoints/{name}/verify`.
    VerifyEndpoint,
    /// `POST /orders/{order_id}/extend`.
    ExtendOrder,
    /// `POST /orders/{order_id}/pay`.
    PayOrder,
    /// `POST /orders/{order_id}/contest`.
    ContestOrder,
    /// `POST /keys`.
    MakeKey,
    /// `POST /keys/{key_id}/rotate`.
    RotateKey,
    /// `POST /keys/{key_id}/revoke`.
    RevokeKey,
    /// `POST /keys/{key_id}/networks`.
    AllowKey,
    /// `POST /users/{user_id}/top-ups`.
    TopUp,
    /// `POST /users/{user_id}/debts/pay`.
    DebtPayment,
    /// A write about a statement.
    Statement,
    /// A write about an application.
    Application,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum OperationStatus {
    /// Taken; the charger has not said yet.
    Pending,
    /// Charging began; or the stop was accepted, or the session is over.
    Succeeded,
    /// It did not.
    Failed,
}

/// What the runtime knows of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationState {
    /// How far.
    pub status: OperationStatus,
    /// Why it failed.
    pub error: Option<super::Refusal>,
    /// When that became known.
    pub at: Moment,
}
