//! Stations, their statuses and statistics (T/CEC 102.2). Owns the members; never where the facts come from.

use super::values::{ChinaTime, decimal, decimal_or_none, int, text, time_or_none};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most ids in one `query_station_status`.
pub const STATION_IDS_MAX: usize = 50;

/// `query_stations_info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StationsQuery {
    /// Only what changed after it.
    #[serde(default, deserialize_with = "time_or_none", skip_serializing_if = "Option::is_none")]
    pub last_query_time: Option<ChinaTime>,
    /// From 1; 0 or absent: 1.
    #[serde(default, deserialize_with = "int")]
    pub page_no: i64,
    /// 0 or absent: 10.
    #[serde(default, deserialize_with = "int")]
    pub page_size: i64,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StationsPage {
    /// Which page.
    #[serde(deserialize_with = "int")]
    pub page_no: i64,
    /// Of how many.
    #[serde(deserialize_with = "int")]
    pub page_count: i64,
    /// Stations on all pages.
    #[serde(deserialize_with = "int")]
    pub item_size: i64,
    /// Those of this page.
    pub station_infos: Vec<StationInfo>,
}

/// A station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.2")]
pub struct StationInfo {
    #[serde(rename = "StationID", deserialize_with = "text")]
    pub station_id: String,
    #[serde(rename = "OperatorID", deserialize_with = "text")]
    pub operator_id: String,
    #[serde(rename = "EquipmentOwnerID", deserialize_with = "text")]
    pub equipment_owner_id: String,
    pub station_name: String,
    pub country_code: String,
    #[serde(deserialize_with = "text")]
    pub area_code: String,
    pub address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station_tel: Option<String>,
    #[serde(deserialize_with = "text")]
    pub service_tel: String,
    #[serde(deserialize_with = "int")]
    pub station_type: i64,
    #[serde(deserialize_with = "int")]
    pub station_status: i64,
    #[serde(deserialize_with = "int")]
    pub park_nums: i64,
    #[serde(with = "decimal")]
    pub station_lng: Decimal,
    #[serde(with = "decimal")]
    pub station_lat: Decimal,
    #[serde(deserialize_with = "int")]
    pub construction: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busine_hours: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub electricity_fee: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_fee: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub park_fee: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    #[serde(default, deserialize_with = "int")]
    pub support_order: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    pub equipment_infos: Vec<EquipmentInfo>,
}

/// A charger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.2")]
pub struct EquipmentInfo {
    #[serde(rename = "EquipmentID", deserialize_with = "text")]
    pub equipment_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equipment_model: Option<String>,
    #[serde(deserialize_with = "int")]
    pub equipment_type: i64,
    #[serde(with = "decimal")]
    pub power: Decimal,
    pub connector_infos: Vec<ConnectorInfo>,
}

/// A connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.2")]
pub struct ConnectorInfo {
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_name: Option<String>,
    #[serde(deserialize_with = "int")]
    pub connector_type: i64,
    #[serde(deserialize_with = "int")]
    pub voltage_upper_limits: i64,
    #[serde(deserialize_with = "int")]
    pub voltage_lower_limits: i64,
    #[serde(deserialize_with = "int")]
    pub current: i64,
    #[serde(with = "decimal")]
    pub power: Decimal,
    #[serde(deserialize_with = "int")]
    pub national_standard: i64,
}

/// `query_station_status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusQuery {
    /// At most [`STATION_IDS_MAX`].
    #[serde(rename = "StationIDs")]
    pub station_ids: Vec<String>,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatusAnswer {
    /// Stations in it.
    #[serde(deserialize_with = "int")]
    pub total: i64,
    /// Them.
    pub station_status_infos: Vec<StationStatus>,
}

/// A station's connectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StationStatus {
    /// Whose.
    #[serde(rename = "OperatorID", default, deserialize_with = "text")]
    pub operator_id: String,
    /// Which.
    #[serde(rename = "StationID", deserialize_with = "text")]
    pub station_id: String,
    /// Its connectors.
    pub connector_status_infos: Vec<ConnectorStatusInfo>,
}

/// A connector's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConnectorStatusInfo {
    /// Which.
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    /// 0 off-line, 1 idle, 2 occupied, 3 charging, 4 reserved, 255 fault.
    #[serde(deserialize_with = "int")]
    pub status: i64,
    /// 0 unknown, 10 free, 50 occupied.
    #[serde(default, deserialize_with = "int")]
    pub park_status: i64,
    /// 0 unknown, 10 unlocked, 50 locked.
    #[serde(default, deserialize_with = "int")]
    pub lock_status: i64,
}

/// `notification_stationStatus`, in whichever form it came.
///
/// # Errors
/// When it is neither an object nor an array of them under either name.
pub fn pushed_statuses(data: &Value) -> Result<Vec<ConnectorStatusInfo>, super::Refused> {
    let found = data.get("ConnectorStatusInfo").or_else(|| data.get("ConnectorStatusInfos"));
    let list = match found {
        Some(Value::Array(items)) => items.clone(),
        Some(one @ Value::Object(_)) => vec![one.clone()],
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
            return Err(super::Refused::member("ConnectorStatusInfo", "is missing", "an object or an array of them"));
        }
    };
    list.into_iter().map(super::envelope::members).collect()
}

/// The answer to it: 0 taken, 1 ignored, and not to be sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatusTaken {
    /// 0 or 1.
    #[serde(deserialize_with = "int")]
    pub status: i64,
}

/// `query_station_stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatsQuery {
    /// Which station.
    #[serde(rename = "StationID", deserialize_with = "text")]
    pub station_id: String,
    /// From then on, as written: a date or a time.
    #[serde(deserialize_with = "text")]
    pub start_time: String,
    /// Until then; a date means the end of that day.
    #[serde(deserialize_with = "text")]
    pub end_time: String,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatsAnswer {
    /// The figures.
    pub station_stats: StationStats,
}

/// Energy of a station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.2; energy in kWh")]
pub struct StationStats {
    #[serde(rename = "StationID", deserialize_with = "text")]
    pub station_id: String,
    pub start_time: String,
    pub end_time: String,
    #[serde(with = "decimal")]
    pub station_electricity: Decimal,
    pub equipment_stats_infos: Vec<EquipmentStats>,
}

/// Energy of a charger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.2; energy in kWh")]
pub struct EquipmentStats {
    #[serde(rename = "EquipmentID", deserialize_with = "text")]
    pub equipment_id: String,
    #[serde(with = "decimal")]
    pub equipment_electricity: Decimal,
    pub connector_stats_infos: Vec<ConnectorStats>,
}

/// Energy of a connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "named as in T/CEC 102.2; energy in kWh")]
pub struct ConnectorStats {
    #[serde(rename = "ConnectorID", deserialize_with = "text")]
    pub connector_id: String,
    #[serde(with = "decimal")]
    pub connector_electricity: Decimal,
}

/// The prices of a part of the day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyInfo {
    /// `HHmmss`; it lasts until the next one's, the last until midnight.
    #[serde(deserialize_with = "text")]
    pub start_time: String,
    /// Yuan for a kWh.
    #[serde(with = "decimal")]
    pub elec_price: Decimal,
    /// Yuan for a kWh.
    #[serde(with = "decimal_or_none", default, skip_serializing_if = "Option::is_none")]
    pub sevice_price: Option<Decimal>,
}
