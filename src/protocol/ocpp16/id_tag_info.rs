//! IdTagInfo (OCPP 1.6 §7.27): what holds for a token.

use super::words::{IdTag, opt_time, words};
use crate::clock::Timestamp;
use serde::Serialize;

words!(
    /// AuthorizationStatus (OCPP 1.6 §7.2).
    AuthorizationStatus { Accepted, Blocked, Expired, Invalid, ConcurrentTx }
);

/// IdTagInfo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdTagInfo {
    /// When the token should leave the charger's cache.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "opt_time")]
    pub expiry_date: Option<Timestamp>,
    /// The group of tokens that may stop each other's transactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id_tag: Option<IdTag>,
    /// Whether it may charge.
    pub status: AuthorizationStatus,
}

impl IdTagInfo {
    /// A status and nothing else.
    pub fn only(status: AuthorizationStatus) -> Self {
        IdTagInfo { expiry_date: None, parent_id_tag: None, status }
    }
}
