//! What is asked of the message log, and what is shown of it (OP-4).

use super::Moment;
use crate::ids::ChargerId;
use serde::Serialize;
use serde_json::Value;

/// Which OCPP frames.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageSearch {
    /// Whose.
    pub charger_id: ChargerId,
    /// From when on; `None`: as far as the log reaches.
    pub from: Option<Moment>,
    /// Until when; `None`: now.
    pub to: Option<Moment>,
    /// Calls of this action, and their answers.
    pub action: Option<String>,
    /// Frames with this text in them.
    pub text: Option<String>,
    /// As it happened, instead of backwards.
    pub oldest_first: bool,
}

/// One OCPP frame, a run of heartbeats, or the begin or end of a connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MessageView {
    /// When.
    pub at: Moment,
    /// `in`: from the charger; `out`: to it; `link`: the connection.
    pub direction: &'static str,
    /// Of a call: its action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The OCPP message id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The frame, if it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<Value>,
    /// What it is otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How many heartbeats came in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeats: Option<u32>,
    /// When the last of them came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// Secrets or tokens were struck out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// It was longer than is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}
