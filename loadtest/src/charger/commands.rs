//! What the server may ask of the charger (OCPP 1.6 §5, and §4 of Remote Trigger). One function an action.

use super::behaviour::Behaviour;
use super::device::{Device, Out};
use super::wire;
use crate::history::ChargerRecord;
use serde_json::{Value, json};
use std::time::Duration;

/// A configuration key: its name, its default, whether the server may change it.
const KEYS: [(&str, &str, bool); 14] = [
    ("HeartbeatInterval", "300", true),
    ("MeterValueSampleInterval", "0", true),
    ("ConnectionTimeOut", "30", true),
    ("StopTransactionOnInvalidId", "true", true),
    ("StopTransactionOnEVSideDisconnect", "true", true),
    ("AuthorizeRemoteTxRequests", "false", true),
    ("LocalPreAuthorize", "false", true),
    ("LocalAuthorizeOffline", "true", true),
    ("TransactionMessageAttempts", "5", true),
    ("TransactionMessageRetryInterval", "5", true),
    ("WebSocketPingInterval", "60", true),
    ("MeterValuesSampledData", "Energy.Active.Import.Register,Power.Active.Import,SoC", true),
    ("NumberOfConnectors", "1", false),
    ("SupportedFeatureProfiles", "Core,RemoteTrigger", false),
];
/// From the answer to a Reset to the power cycle: long enough for the stops to go out.
const RESET_AFTER_MS: i64 = 500;
/// How long a power cycle takes.
const REBOOT_MS: i64 = 1_500;

impl Device {
    /// The value of a configuration key; empty when there is no such key.
    pub(super) fn configured(&self, key: &str) -> &str {
        match self.state.configuration.get(key) {
            Some(value) => value,
            None => KEYS.iter().find(|(name, ..)| *name == key).map_or("", |(_, default, _)| default),
        }
    }

    /// A CALL of the server.
    pub(super) fn called(&mut self, id: &str, action: &str, p: &Value, now_ms: i64) {
        let answer = match action {
            "RemoteStartTransaction" => self.remote_start(p, now_ms),
            "RemoteStopTransaction" => Some(self.remote_stop(p, now_ms)),
            "TriggerMessage" => {
                let message = p["requestedMessage"].as_str().unwrap_or_default().to_owned();
                let connector = p["connectorId"].as_u64().and_then(|c| usize::try_from(c.saturating_sub(1)).ok());
                Some(json!({"status": self.trigger_named(&message, connector, now_ms)}))
            }
            "Reset" => Some(self.reset(p, now_ms)),
            "GetConfiguration" => Some(self.get_configuration(p)),
            "ChangeConfiguration" => Some(self.change_configuration(p)),
            "ChangeAvailability" => Some(self.change_availability(p)),
            "UnlockConnector" => Some(self.unlock(p, now_ms)),
            "ClearCache" => Some(json!({"status": "Accepted"})),
            "DataTransfer" => Some(match p["vendorId"].as_str() {
                Some("Chargeline") => json!({"status": "Accepted", "data": p["data"].as_str().unwrap_or_default()}),
                Some(_) | None => json!({"status": "UnknownVendorId"}),
            }),
            _ => {
                let text = wire::error(id, "NotImplemented", "");
                self.out.push(Out::Frame { text, call: false });
                None
            }
        };
        if let Some(answer) = answer {
            // The answer comes first: what it sets off (a StartTransaction, say) follows it.
            let frame = Out::Frame { text: wire::result(id, &answer), call: false };
            self.out.push(frame);
        }
    }

    fn remote_start(&mut self, p: &Value, now_ms: i64) -> Option<Value> {
        let id_tag = p["idTag"].as_str().unwrap_or_default().to_owned();
        let asked = p["connectorId"].as_u64().and_then(|c| usize::try_from(c).ok()).and_then(|c| c.checked_sub(1));
        let connector = asked.or_else(|| (0..self.state.connectors.len()).find(|i| self.is_free(*i)));
        let free = connector.filter(|i| self.is_free(*i));
        let answer = match free.map(|i| (i, self.script(i))) {
            None | Some((_, Behaviour::RefusesStart)) => "Rejected",
            Some((_, Behaviour::SilentOnStart)) => "silent",
            Some((_, Behaviour::NeverStarts)) => "Accepted",
            Some((i, Behaviour::StartsLate(delay))) => {
                self.expect_car(i, &id_tag, delay, now_ms);
                "Accepted"
            }
            Some((
                i,
                Behaviour::Normal
                | Behaviour::DropsInCharge { .. }
                | Behaviour::LosesAnswer
                | Behaviour::RepeatsMessages
                | Behaviour::RubbishReadings
                | Behaviour::FaultsInCharge { .. }
                | Behaviour::UnplugsInCharge { .. },
            )) => {
                self.expect_car(i, &id_tag, Duration::ZERO, now_ms);
                "Accepted"
            }
        };
        let (charger, connector) = (self.spec.identity.clone(), u16::try_from(connector.unwrap_or(0) + 1).unwrap_or(0));
        self.record(ChargerRecord::RemoteStart { charger, connector, id_tag, answer: answer.to_owned() });
        (answer != "silent").then(|| json!({"status": answer}))
    }

    fn remote_stop(&mut self, p: &Value, now_ms: i64) -> Value {
        let transaction_id = p["transactionId"].as_i64().unwrap_or(-1);
        let local = self.local_of(transaction_id);
        let runs = |c: &super::state::Connector| c.running.as_ref().is_some_and(|r| Some(r.local) == local);
        let connector = self.state.connectors.iter().position(runs);
        let answer = if connector.is_some() { "Accepted" } else { "Rejected" };
        let charger = self.spec.identity.clone();
        self.record(ChargerRecord::RemoteStop { charger, transaction_id, answer: answer.to_owned() });
        if let Some(connector) = connector {
            self.stop(connector, "Remote", now_ms);
        }
        json!({"status": answer})
    }

    fn reset(&mut self, p: &Value, now_ms: i64) -> Value {
        let reason = if p["type"] == "Hard" { "HardReset" } else { "SoftReset" };
        for connector in 0..self.state.connectors.len() {
            self.stop(connector, reason, now_ms);
        }
        self.link.reboots = true;
        self.link.cut_at_ms = Some(now_ms + RESET_AFTER_MS);
        self.link.offline_until_ms = now_ms + RESET_AFTER_MS + REBOOT_MS;
        json!({"status": "Accepted"})
    }

    fn get_configuration(&self, p: &Value) -> Value {
        let entry = |(name, _, writable): &(&str, &str, bool)| {
            let connectors = self.state.connectors.len().to_string();
            let value = if *name == "NumberOfConnectors" { &connectors } else { self.configured(name) };
            json!({"key": name, "readonly": !writable, "value": value})
        };
        let Some(asked) = p["key"].as_array().filter(|k| !k.is_empty()) else {
            return json!({"configurationKey": KEYS.iter().map(entry).collect::<Vec<_>>()});
        };
        let names: Vec<&str> = asked.iter().filter_map(Value::as_str).collect();
        let known: Vec<Value> = KEYS.iter().filter(|(name, ..)| names.contains(name)).map(entry).collect();
        let unknown: Vec<&&str> = names.iter().filter(|n| !KEYS.iter().any(|(name, ..)| name == *n)).collect();
        json!({"configurationKey": known, "unknownKey": unknown})
    }

    fn change_configuration(&mut self, p: &Value) -> Value {
        let (Some(key), Some(value)) = (p["key"].as_str(), p["value"].as_str()) else {
            return json!({"status": "Rejected"});
        };
        let status = match KEYS.iter().find(|(name, ..)| *name == key) {
            None => "NotSupported",
            Some((_, _, false)) => "Rejected",
            Some((_, default, true)) if default.parse::<i64>().is_ok() && value.parse::<i64>().is_err() => "Rejected",
            Some((_, _, true)) => {
                self.state.configuration.insert(key.to_owned(), value.to_owned());
                if let ("HeartbeatInterval", Ok(s)) = (key, value.parse()) {
                    self.state.heartbeat_s = s;
                }
                self.dirty = true;
                "Accepted"
            }
        };
        json!({"status": status})
    }

    fn change_availability(&mut self, p: &Value) -> Value {
        let inoperative = p["type"] == "Inoperative";
        let asked = p["connectorId"].as_u64().and_then(|c| usize::try_from(c).ok()).unwrap_or(0);
        let mut status = "Accepted";
        for (i, c) in self.state.connectors.iter_mut().enumerate().filter(|(i, _)| asked == 0 || asked == i + 1) {
            tracing::debug!(connector = i + 1, inoperative, "availability");
            if inoperative && c.running.is_some() {
                c.inoperative_next = true;
                status = "Scheduled";
            } else {
                (c.inoperative, c.inoperative_next) = (inoperative, false);
            }
        }
        self.dirty = true;
        json!({"status": status})
    }

    fn unlock(&mut self, p: &Value, now_ms: i64) -> Value {
        let asked = p["connectorId"].as_u64().and_then(|c| usize::try_from(c).ok()).and_then(|c| c.checked_sub(1));
        match asked.filter(|i| *i < self.state.connectors.len()) {
            Some(connector) => {
                self.stop(connector, "UnlockCommand", now_ms);
                json!({"status": "Unlocked"})
            }
            None => json!({"status": "NotSupported"}),
        }
    }
}
