//! Checks, starts, statuses and stops of charging (T/CEC 102.3 §6.2 to §6.9). Owns the members.

use super::station::PolicyInfo;
use super::values::{ChinaTime, decimal, decimal_or_none, int, text};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// `query_equip_auth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthQuery {
    /// The caller's name of the exchange.
    #[serde(deserialize_with = "text")]
    pub equip_auth_seq: String,
    /// Which.
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3")]
pub struct AuthAnswer {
    #[serde(deserialize_with = "text")]
    pub equip_auth_seq: String,
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    #[serde(deserialize_with = "int")]
    pub succ_stat: i64,
    #[serde(deserialize_with = "int")]
    pub fail_reason: i64,
}

/// `query_equip_business_policy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyQuery {
    /// The caller's name of the exchange.
    #[serde(deserialize_with = "text")]
    pub equip_biz_seq: String,
    /// Which.
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3")]
pub struct PolicyAnswer {
    #[serde(deserialize_with = "text")]
    pub equip_biz_seq: String,
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    #[serde(deserialize_with = "int")]
    pub succ_stat: i64,
    #[serde(deserialize_with = "int")]
    pub fail_reason: i64,
    #[serde(deserialize_with = "int")]
    pub sum_period: i64,
    pub policy_infos: Vec<PolicyInfo>,
}

/// `query_start_charge`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartCharge {
    /// The caller's name of the session, and the key of idempotency.
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    /// Where.
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    /// What else the QR code said.
    #[serde(rename = "QRCode", default, deserialize_with = "text")]
    pub qr_code: String,
    /// Private: the user's phone.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub phone_num: String,
    /// Private: the vehicle's plate.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub plate_num: String,
    /// Private: what the user can spend, yuan.
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Decimal>,
}

impl std::fmt::Debug for StartCharge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StartCharge({} at {}, …)", self.start_charge_seq, self.connector_id)
    }
}

/// Its answer. `SuccStat` 0 means taken, not happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3")]
pub struct StartAnswer {
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    #[serde(deserialize_with = "int")]
    pub start_charge_seq_stat: i64,
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    #[serde(deserialize_with = "int")]
    pub succ_stat: i64,
    #[serde(deserialize_with = "int")]
    pub fail_reason: i64,
}

/// `notification_start_charge_result`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3")]
pub struct StartResult {
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    #[serde(deserialize_with = "int")]
    pub start_charge_seq_stat: i64,
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    pub start_time: ChinaTime,
    #[serde(default, deserialize_with = "text")]
    pub ident_code: String,
    /// Private: why it failed.
    #[serde(default, deserialize_with = "int")]
    pub fail_reason: i64,
}

/// `query_equip_charge_status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ChargeStatusQuery {
    /// Which session.
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
}

/// Its answer, and the body of `notification_equip_charge_status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3; TotalPower is energy in kWh, EndTime the time of the sample")]
pub struct ChargeStatus {
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    #[serde(deserialize_with = "int")]
    pub start_charge_seq_stat: i64,
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    #[serde(deserialize_with = "int")]
    pub connector_status: i64,
    #[serde(with = "decimal")]
    pub current_a: Decimal,
    #[serde(with = "decimal")]
    pub voltage_a: Decimal,
    #[serde(with = "decimal")]
    pub soc: Decimal,
    pub start_time: ChinaTime,
    pub end_time: ChinaTime,
    #[serde(with = "decimal")]
    pub total_power: Decimal,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub elec_money: Option<Decimal>,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub sevice_money: Option<Decimal>,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub total_money: Option<Decimal>,
    #[serde(default, deserialize_with = "int")]
    pub sum_period: i64,
    #[serde(default)]
    pub charge_details: Vec<super::order::ChargeDetail>,
}

/// `query_stop_charge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StopCharge {
    /// Which session.
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    /// Where it is.
    #[serde(rename = "ConnectorID", default, deserialize_with = "text")]
    pub connector_id: String,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3")]
pub struct StopAnswer {
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    #[serde(deserialize_with = "int")]
    pub start_charge_seq_stat: i64,
    #[serde(deserialize_with = "int")]
    pub succ_stat: i64,
    #[serde(deserialize_with = "int")]
    pub fail_reason: i64,
}

/// `notification_stop_charge_result`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3")]
pub struct StopResult {
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    #[serde(deserialize_with = "int")]
    pub start_charge_seq_stat: i64,
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    #[serde(deserialize_with = "int")]
    pub succ_stat: i64,
    #[serde(deserialize_with = "int")]
    pub fail_reason: i64,
}

/// The answer to a notification about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Taken {
    /// Which session.
    #[serde(default, deserialize_with = "text")]
    pub start_charge_seq: String,
    /// 0 taken, 1 not.
    #[serde(default, deserialize_with = "int")]
    pub succ_stat: i64,
    /// Why not.
    #[serde(default, deserialize_with = "int")]
    pub fail_reason: i64,
}
