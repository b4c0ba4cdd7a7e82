//! OCPP 1.6 payloads that the charger sends. Pure builders.

use super::behaviour::ChargerSpec;
use super::state::Status;
use crate::time::rfc3339;
use serde_json::{Value, json};

/// BootNotification.
pub(super) fn boot(spec: &ChargerSpec) -> Value {
    json!({
        "chargePointVendor": "Chargeline",
        "chargePointModel": format!("Simulated-{}", spec.scripts.len()),
        "chargePointSerialNumber": spec.identity.chars().take(25).collect::<String>(),
        "firmwareVersion": "1.0.0",
    })
}

/// StatusNotification; connector 0 is the charger itself.
pub(super) fn status(connector: usize, status: Status, fault: Option<&str>, now_ms: i64) -> Value {
    json!({
        "connectorId": connector,
        "status": status.as_str(),
        "errorCode": fault.unwrap_or("NoError"),
        "timestamp": rfc3339(now_ms),
    })
}

/// StartTransaction.
pub(super) fn start(connector: usize, id_tag: &str, meter_wh: i64, now_ms: i64) -> Value {
    json!({"connectorId": connector, "idTag": id_tag, "meterStart": meter_wh, "timestamp": rfc3339(now_ms)})
}

/// What a sample shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// The register, Wh.
    pub(super) register_wh: i64,
    /// The power, W.
    pub(super) power_w: i64,
    /// The state of charge, percent.
    pub(super) soc_percent: Option<i64>,
    /// ms since 1970.
    pub(super) at_ms: i64,
}

fn register(value: &str, context: &str) -> Value {
    json!({"value": value, "context": context, "measurand": "Energy.Active.Import.Register", "unit": "Wh"})
}

fn sampled(sample: Sample, context: &str) -> Vec<Value> {
    let mut values = vec![
        register(&sample.register_wh.to_string(), context),
        json!({"value": sample.power_w.to_string(), "context": context,
               "measurand": "Power.Active.Import", "unit": "W"}),
    ];
    if let Some(soc) = sample.soc_percent {
        values.push(json!({"value": soc.to_string(), "context": context, "measurand": "SoC", "unit": "Percent"}));
    }
    values
}

/// MeterValues of a transaction, without its id.
pub(super) fn meter(connector: usize, sample: Sample) -> Value {
    let values = sampled(sample, "Sample.Periodic");
    json!({"connectorId": connector, "meterValue": [{"timestamp": rfc3339(sample.at_ms), "sampledValue": values}]})
}

/// The same with one of several kinds of rubbish in the register's place (C10).
pub(super) fn rubbish(connector: usize, sample: Sample, which: u32) -> Value {
    let bad = match which % 5 {
        0 => json!({"value": "-500", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}),
        1 => json!({"value": "NaN", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}),
        2 => json!({"value": "99999999999999999999", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}),
        3 => json!({"value": "0.001", "measurand": "Energy.Active.Import.Register", "unit": "kWh"}),
        _ => json!({"value": "1e12", "measurand": "Power.Active.Import", "unit": "W"}),
    };
    json!({"connectorId": connector, "meterValue": [{"timestamp": rfc3339(sample.at_ms), "sampledValue": [bad]}]})
}

/// MeterValues outside a transaction.
pub(super) fn free_meter(connector: usize, register_wh: i64, now_ms: i64) -> Value {
    let value = register(&register_wh.to_string(), "Trigger");
    json!({"connectorId": connector, "meterValue": [{"timestamp": rfc3339(now_ms), "sampledValue": [value]}]})
}

/// StopTransaction, without the transaction's id.
pub(super) fn stop(reason: &str, id_tag: Option<&str>, begin: (i64, i64), end: Sample) -> Value {
    let (begin_ms, begin_wh) = begin;
    let mut body = json!({
        "meterStop": end.register_wh,
        "timestamp": rfc3339(end.at_ms),
        "reason": reason,
        "transactionData": [
            {"timestamp": rfc3339(begin_ms), "sampledValue": [register(&begin_wh.to_string(), "Transaction.Begin")]},
            {"timestamp": rfc3339(end.at_ms), "sampledValue": sampled(end, "Transaction.End")},
        ],
    });
    if let Some(id_tag) = id_tag {
        body["idTag"] = json!(id_tag);
    }
    body
}
