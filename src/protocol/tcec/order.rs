//! Orders and their reconciliation (T/CEC 102.3 §6.10, §6.11). Owns the members.

use super::values::{ChinaTime, decimal, decimal_or_none, int, text};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Most periods in an order, a status or a policy.
pub const PERIODS_MAX: usize = 32;

/// A part of an order at one price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3; money in yuan, energy in kWh")]
pub struct ChargeDetail {
    pub detail_start_time: ChinaTime,
    pub detail_end_time: ChinaTime,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub elec_price: Option<Decimal>,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub sevice_price: Option<Decimal>,
    #[serde(with = "decimal")]
    pub detail_power: Decimal,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub detail_elec_money: Option<Decimal>,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub detail_sevice_money: Option<Decimal>,
}

/// `notification_charge_order_info`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3; money in yuan, energy in kWh")]
pub struct OrderInfo {
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    pub start_time: ChinaTime,
    pub end_time: ChinaTime,
    #[serde(with = "decimal")]
    pub total_power: Decimal,
    #[serde(with = "decimal")]
    pub total_elec_money: Decimal,
    #[serde(with = "decimal")]
    pub total_sevice_money: Decimal,
    #[serde(with = "decimal")]
    pub total_money: Decimal,
    /// 0 by hand, 1 by the partner, 2 by the BMS, 3 fault, 4 disconnected, 5 to 99 own.
    #[serde(deserialize_with = "int")]
    pub stop_reason: i64,
    #[serde(default, deserialize_with = "int")]
    pub sum_period: i64,
    #[serde(default)]
    pub charge_details: Vec<ChargeDetail>,
}

/// Its answer: 0 accepted, 1 disputed, 2 to 99 own. All of them end the delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3")]
pub struct OrderTaken {
    #[serde(default, deserialize_with = "text")]
    pub start_charge_seq: String,
    #[serde(rename = "ConnectorID", default, deserialize_with = "text")]
    pub connector_id: String,
    #[serde(deserialize_with = "int")]
    pub confirm_result: i64,
}

/// An order in a reconciliation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3; money in yuan, energy in kWh")]
pub struct CheckedOrder {
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    #[serde(with = "decimal")]
    pub total_power: Decimal,
    #[serde(with = "decimal")]
    pub total_money: Decimal,
}

/// `check_charge_orders`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3; money in yuan, energy in kWh")]
pub struct CheckOrders {
    #[serde(deserialize_with = "text")]
    pub check_order_seq: String,
    pub start_time: ChinaTime,
    pub end_time: ChinaTime,
    #[serde(deserialize_with = "int")]
    pub order_count: i64,
    #[serde(with = "decimal")]
    pub total_order_power: Decimal,
    #[serde(with = "decimal")]
    pub total_order_money: Decimal,
    #[serde(default)]
    pub charge_orders: Vec<CheckedOrder>,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3; money in yuan, energy in kWh")]
pub struct CheckAnswer {
    #[serde(default, deserialize_with = "text")]
    pub check_order_seq: String,
    #[serde(default, deserialize_with = "int")]
    pub total_dispute_order: i64,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub total_dispute_power: Option<Decimal>,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub total_dispute_money: Option<Decimal>,
    #[serde(default)]
    pub dispute_orders: Option<Vec<DisputedOrder>>,
}

/// An order that the partner has otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.3; money in yuan, energy in kWh")]
pub struct DisputedOrder {
    #[serde(deserialize_with = "text")]
    pub start_charge_seq: String,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub total_power: Option<Decimal>,
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub total_money: Option<Decimal>,
    /// 1 no such transaction, 2 amount, 3 energy, 4 to 99 own.
    #[serde(default, deserialize_with = "int")]
    pub dispute_reason: i64,
}
