//! `query_token` (T/CEC 102.4 annex A), which both sides answer.

use super::values::{int, text};
use serde::{Deserialize, Serialize};

/// The request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TokenRequest {
    /// The caller.
    #[serde(rename = "OperatorID", deserialize_with = "text")]
    pub operator_id: String,
    /// What the callee gave it.
    #[serde(deserialize_with = "text")]
    pub operator_secret: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TokenAnswer {
    /// Whose it is: the caller.
    #[serde(rename = "OperatorID", default, deserialize_with = "text")]
    pub operator_id: String,
    /// 0 given, 1 not.
    #[serde(default, deserialize_with = "int")]
    pub succ_stat: i64,
    /// The token; of any length.
    #[serde(default, deserialize_with = "text")]
    pub access_token: String,
    /// How long it counts, seconds.
    #[serde(default, deserialize_with = "int")]
    pub token_available_time: i64,
    /// 0 none, 1 no such operator, 2 the secret is wrong, 3 to 99 own.
    #[serde(default, deserialize_with = "int")]
    pub fail_reason: i64,
}
