//! The head of the charger's queue: what an answer, a CALLERROR or a repetition does to it (OCPP 1.6 §3.7, CH-7).

use super::device::{CallKind, Device, Out};
use crate::history::{ChargerRecord, FactKind};
use crate::stats::Measure;
use crate::time::millis;
use serde_json::Value;

impl Device {
    pub(super) fn fact_confirmed(&mut self, payload: &Value, now_ms: i64) {
        let Some(head) = self.state.queue.front() else { return };
        let (local, kind, repeat) = (head.local, head.kind, head.repeat);
        let token_status = payload["idTagInfo"]["status"].as_str().map(str::to_owned);
        let transaction_id = match kind {
            FactKind::Start => match payload["transactionId"].as_i64() {
                Some(id) => id,
                None => return self.fact_refused("no transactionId in the answer", now_ms),
            },
            FactKind::Meter | FactKind::Stop => self.state.transaction_ids.get(&local).copied().unwrap_or(-1),
        };
        self.out.push(Out::Answered(match kind {
            FactKind::Start => Measure::StartTransaction,
            FactKind::Meter => Measure::Meter,
            FactKind::Stop => Measure::StopTransaction,
        }));
        if kind != FactKind::Meter || self.profile.record_meters {
            let (charger, token_status) = (self.spec.identity.clone(), token_status.clone());
            self.record(ChargerRecord::Acked { charger, local, kind, transaction_id, token_status });
        }
        self.dirty = true;
        if repeat && let Some(head) = self.state.queue.front_mut() {
            head.repeat = false; // it goes out once more
            if local % 2 == 0 {
                head.message_id = None;
            }
        } else {
            self.state.queue.pop_front();
        }
        match kind {
            FactKind::Start => {
                self.state.transaction_ids.insert(local, transaction_id);
                self.deauthorise(local, token_status.as_deref(), now_ms);
            }
            FactKind::Stop if !repeat => {
                self.state.transaction_ids.remove(&local);
            }
            FactKind::Meter | FactKind::Stop => {}
        }
    }

    /// StopTransactionOnInvalidId (SE-16).
    fn deauthorise(&mut self, local: u64, token_status: Option<&str>, now_ms: i64) {
        if token_status == Some("Accepted") || self.configured("StopTransactionOnInvalidId") != "true" {
            return;
        }
        let runs = |c: &super::state::Connector| c.running.as_ref().is_some_and(|r| r.local == local);
        if let Some(connector) = self.state.connectors.iter().position(runs) {
            self.stop(connector, "DeAuthorized", now_ms);
        }
    }

    pub(super) fn fact_refused(&mut self, code: &str, now_ms: i64) {
        let (attempts_max, wait) = (self.profile.transaction_attempts, millis(self.profile.retry_interval));
        let Some(head) = self.state.queue.front_mut() else { return };
        head.refusals += 1;
        head.not_before_ms = now_ms + wait * i64::from(head.refusals);
        let (local, kind, given_up) = (head.local, head.kind, head.refusals >= attempts_max);
        self.dirty = true;
        let charger = self.spec.identity.clone();
        self.record(ChargerRecord::Refused { charger: charger.clone(), local, kind, code: code.to_owned() });
        if given_up {
            self.state.queue.pop_front();
            if kind == FactKind::Start {
                self.state.transaction_ids.insert(local, -1);
            }
            self.record(ChargerRecord::Discarded { charger, local, kind });
        }
    }

    /// The charger's number of the transaction that the server knows under this id.
    pub(super) fn local_of(&self, transaction_id: i64) -> Option<u64> {
        self.state.transaction_ids.iter().find(|(_, id)| **id == transaction_id).map(|(local, _)| *local)
    }

    /// Asks for a triggered message; `false` when it cannot be queued.
    pub(super) fn trigger_named(&mut self, message: &str, connector: Option<usize>, now_ms: i64) -> &'static str {
        let in_range = connector.is_none_or(|c| c < self.state.connectors.len());
        let queued = match message {
            _ if !in_range => false,
            "BootNotification" => self.trigger(CallKind::Boot),
            "Heartbeat" => self.trigger(CallKind::Heartbeat),
            "StatusNotification" => {
                let all = 0..self.state.connectors.len();
                for i in all.filter(|i| connector.is_none_or(|c| c == *i)) {
                    self.state.connectors[i].told = None;
                }
                if connector.is_none() {
                    self.link.told_self = false;
                }
                true
            }
            "MeterValues" => {
                let runs = |i: &usize| self.state.connectors.get(*i).is_some_and(|c| c.running.is_some());
                match connector.filter(runs) {
                    Some(i) => {
                        self.sample(i, now_ms);
                        true
                    }
                    None => self.trigger(CallKind::FreeMeter),
                }
            }
            _ => return "NotImplemented",
        };
        if queued { "Accepted" } else { "Rejected" }
    }
}
