//! Heartbeat (OCPP 1.6 §4.6): a charger is there and wants to know the time.

use super::words::time;
use crate::clock::Timestamp;
use serde::Serialize;

/// Heartbeat.conf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// Our time, by which the charger sets its clock (CH-11).
    #[serde(serialize_with = "time")]
    pub current_time: Timestamp,
}
