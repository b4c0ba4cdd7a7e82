//! The answers of the partner API as far as this tool reads them; other members are ignored.

use crate::time::parse_rfc3339;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A session as the API and the events show it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub session_id: String,
    /// The idempotency key of the start, if a partner started it.
    #[serde(default)]
    pub request_id: Option<String>,
    /// The charger.
    pub charger_id: String,
    /// The connector, 1, 2, ….
    #[serde(default)]
    pub connector_id: u16,
    /// `Starting`, `Charging`, `StopPending`, `Ended`, `Failed`, `Abnormal`.
    pub status: String,
    /// OCPP's transaction id.
    #[serde(default, deserialize_with = "number")]
    pub transaction_id: Option<i64>,
    /// Energy so far, Wh.
    #[serde(default)]
    pub energy_wh: i64,
    /// Power now, W.
    #[serde(default)]
    pub power_w: Option<i64>,
    /// Seconds so far.
    #[serde(default)]
    pub duration_s: i64,
    /// The register at the start, Wh.
    #[serde(default)]
    pub meter_start_wh: Option<i64>,
    /// The register at the end, Wh.
    #[serde(default)]
    pub meter_stop_wh: Option<i64>,
    /// Why it ended.
    #[serde(default)]
    pub end_reason: Option<String>,
    /// What is unusual about it.
    #[serde(default)]
    pub flags: Vec<String>,
    /// When the charger began it, RFC 3339.
    #[serde(default)]
    pub started_at: Option<String>,
    /// When it was over, RFC 3339.
    #[serde(default)]
    pub ended_at: Option<String>,
}

impl Session {
    /// Whether it is over, one way or the other.
    pub fn is_over(&self) -> bool {
        self.status == "Ended" || self.status == "Failed"
    }
}

fn number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Ok(match Option::<Value>::deserialize(d)? {
        Some(Value::Number(n)) => n.as_i64(),
        Some(Value::String(s)) => s.parse().ok(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    })
}

/// The outcome of a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The idempotency key.
    pub request_id: String,
    /// `start` or `stop`.
    pub kind: String,
    /// `Pending`, `Succeeded` or `Failed`.
    pub status: String,
    /// The session that it made or stopped.
    #[serde(default)]
    pub session_id: Option<String>,
}

/// An event: a webhook's body, or an item of `GET /events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its stable id.
    pub id: String,
    /// `session.started`, ….
    #[serde(rename = "type")]
    pub event_type: String,
    /// RFC 3339.
    #[serde(default)]
    pub timestamp: String,
    /// What it is ordered within.
    #[serde(default)]
    pub order_key: Option<String>,
    /// Its place there, from 1.
    #[serde(default)]
    pub sequence: Option<u64>,
    /// What it tells.
    #[serde(default)]
    pub data: Value,
}

impl Event {
    /// The moment of its creation, ms since 1970; 0 when it says none.
    pub fn created_ms(&self) -> i64 {
        parse_rfc3339(&self.timestamp).unwrap_or(0)
    }

    /// The session it is about.
    pub fn session_id(&self) -> Option<&str> {
        self.data["session_id"].as_str()
    }
}
