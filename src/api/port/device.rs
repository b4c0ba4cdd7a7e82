//! What a charger tells of itself, as operators see it. Owns the shapes.

use super::Moment;
use serde::{Deserialize, Serialize};

/// What a charger told of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationView>,
    /// Its local list of tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_list: Option<LocalListView>,
    /// Charging profiles that it accepted: `{"id", "connector", "purpose", "stack_level"}`.
    #[serde(default)]
    pub profiles: Vec<serde_json::Value>,
    /// How transfers go, the last word of each kind.
    #[serde(default)]
    pub reports: Vec<ReportView>,
    /// Security events, newest first.
    #[serde(default)]
    pub security_events: Vec<SecurityEventView>,
    /// When it last asked for a certificate that was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_requested_at: Option<Moment>,
}

/// A charger's settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationView {
    /// When they were last read; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Moment>,
    /// As read: `{"key", "value"?, "readonly"?}`.
    #[serde(default)]
    pub keys: Vec<serde_json::Value>,
    /// Those that are not as they should be.
    #[serde(default)]
    pub differences: Vec<DifferenceView>,
    /// What was changed, one a key: `{"key", "value", "status", "by", "at"}`.
    #[serde(default)]
    pub changes: Vec<serde_json::Value>,
    /// Keys whose change counts after a restart of the charger.
    #[serde(default)]
    pub reboot_required: Vec<String>,
}

/// A setting that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceView {
    /// Which.
    pub key: String,
    /// What it should be.
    pub wanted: String,
    /// What it is, if the charger has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// `other` (can be changed), `read_only`, `absent` (the charger did not name it).
    pub why: String,
    /// What the charger answered when it was to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<String>,
}

/// The versions of a charger's local list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalListView {
    /// The last version sent; 0: none.
    pub sent: i32,
    /// The last version accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<i32>,
    /// What the charger said: 0 is an empty list, -1 none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<i32>,
    /// The version that the next list gets if the command names none.
    pub next: i32,
}

/// How a transfer goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportView {
    /// `firmware`, `signed_firmware`, `diagnostics` or `log`.
    #[serde(default)]
    pub kind: String,
    /// The charger's word.
    pub status: String,
    /// Of which request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<i32>,
    /// When it said so.
    pub at: Moment,
}

/// A security event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityEventView {
    /// Counts those of this charger.
    pub number: u32,
    /// Of what kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// More of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// When, by the charger's clock, as it wrote it.
    pub device_at: String,
    /// When it came.
    pub at: Moment,
    /// Whether the white paper calls that kind critical.
    pub critical: bool,
}
