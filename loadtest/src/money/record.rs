//! What users with accounts did and were told, as lines of a history. Owns the record types.

use serde::{Deserialize, Serialize};

/// What was asked of the partner API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// `POST /users/{user}/top-ups`.
    TopUp,
    /// `POST /sessions`.
    Start,
    /// `POST /sessions` with a reservation.
    Arrive,
    /// `POST /sessions/{id}/stop`.
    Stop,
    /// `POST /orders/{id}/extend`.
    Extend,
    /// `POST /reservations`.
    Reserve,
    /// `POST /reservations/{id}/cancel`.
    Cancel,
    /// `POST /reservations/{id}/complaint`.
    Complain,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum MoneyRecord {
    /// About to be asked for the first time.
    Asked {
        /// What.
        ask: Ask,
        /// The idempotency key.
        request_id: String,
        /// For whom.
        user: String,
    },
    /// An answer that binds.
    Answered {
        /// What.
        ask: Ask,
        /// The idempotency key.
        request_id: String,
        /// The HTTP status.
        http: u16,
        /// What it made, if it was taken: a session, reservation or top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// `error.code`, if it was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// None came: it may have happened.
    Unknown {
        /// What.
        ask: Ask,
        /// The idempotency key.
        request_id: String,
        /// The last error.
        reason: String,
    },
    /// A user has paid at the gateway.
    Paid {
        /// Who.
        user: String,
        /// For which intent.
        top_up_id: String,
        /// The gateway's name of the payment.
        transaction: String,
        /// Minor units.
        minor: i64,
        /// A second payment of the same intent: it has to go back.
        second: bool,
        /// The gateway will not call: it has to be asked.
        silent: bool,
    },
    /// The gateway has told of it, and this is how it ended.
    Callback {
        /// Which payment.
        transaction: String,
        /// It was answered 2xx.
        acknowledged: bool,
        /// The last status.
        http: Option<u16>,
    },
}
