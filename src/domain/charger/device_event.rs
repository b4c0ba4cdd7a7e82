//! What the device told of itself, and what it folds to. Owns the journaled form and the rows: members are only added, with
//! a default (RT-6).

use super::configuration::Told as Configuration;
use super::device::{Device, INSTALLED_MAX, Limits, LocalList};
use super::reports::{ReportKind, SECURITY_EVENTS_KEPT, severity};
use super::smart_charging::Installed;
use crate::clock::Timestamp;
use crate::domain::charging::case::row;
use crate::domain::entity::Row;
use serde::{Deserialize, Serialize};

/// What the device told of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DeviceEvent {
    /// How a transfer of firmware, diagnostics or a log goes.
    Reported {
        /// Of which.
        kind: ReportKind,
        /// The charger's word.
        status: Box<str>,
        /// Of which request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<i32>,
        /// When.
        at: Timestamp,
    },
    /// SecurityEventNotification.
    SecurityEvent {
        /// Counts them.
        number: u32,
        /// Of what kind.
        kind: Box<str>,
        /// More of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        info: Option<Box<str>>,
        /// When, as the charger wrote it.
        device_at: Box<str>,
        /// When it came.
        at: Timestamp,
    },
    /// Operators were told of something that may come again at once.
    Alerted {
        /// Print of what.
        print: u64,
        /// When.
        at: Timestamp,
    },
    /// SignCertificate: the request was handed over.
    CertificateRequested {
        /// PEM.
        csr: Box<str>,
        /// Its print.
        print: u64,
        /// When.
        at: Timestamp,
    },
    /// The configuration was read and is another than before.
    ConfigurationRead {
        /// When.
        at: Timestamp,
        /// Its print.
        print: u64,
        /// What of it limits commands.
        limits: Limits,
        /// All of it.
        told: Configuration,
    },
    /// The configuration was read and is as before.
    ConfigurationSame {
        /// When.
        at: Timestamp,
    },
    /// A setting was changed, or not.
    ConfigurationChanged {
        /// Which.
        key: Box<str>,
        /// To what.
        value: Box<str>,
        /// The charger's word.
        status: Box<str>,
        /// `operator` or `system`.
        by: Box<str>,
        /// When.
        at: Timestamp,
    },
    /// The versions of the local list.
    LocalList(LocalList),
    /// The profiles that the charger holds.
    Profiles {
        /// All of them.
        installed: Vec<Installed>,
    },
}

impl Device {
    /// Folds an event in. Total.
    pub(super) fn fold(&mut self, event: &DeviceEvent) {
        match event {
            DeviceEvent::SecurityEvent { number, .. } => self.security_events = *number,
            DeviceEvent::Alerted { print, at } => self.alerted = Some((*print, *at)),
            DeviceEvent::CertificateRequested { print, at, .. } => self.csr = Some((*print, *at)),
            DeviceEvent::ConfigurationRead { at, print, limits, .. } => {
                (self.read_at, self.configuration, self.limits) = (*at, *print, *limits);
            }
            DeviceEvent::ConfigurationSame { at } => self.read_at = *at,
            DeviceEvent::ConfigurationChanged { key, value, status, .. } => self.changed(key, value, status),
            DeviceEvent::LocalList(list) => self.list = *list,
            DeviceEvent::Profiles { installed } => {
                let surplus = installed.len().saturating_sub(INSTALLED_MAX);
                self.installed = installed[surplus..].into();
            }
            // Its row says it all.
            DeviceEvent::Reported { .. } => {}
        }
    }

    /// A changed setting may be one of the limits.
    fn changed(&mut self, key: &str, value: &str, status: &str) {
        if status == "Accepted" {
            self.limits.take(key, value);
        }
    }
}

/// The row of an event: it is too large for the state, or only people want it.
pub(super) fn project(partition: &str, event: &DeviceEvent) -> Option<Row> {
    match event {
        DeviceEvent::Reported { kind, status, request, at } => {
            let value = serde_json::json!({"status": status, "request_id": request, "at": at.to_rfc3339()});
            Some(row("report", format!("{partition}/{}", kind.name()), &value))
        }
        DeviceEvent::SecurityEvent { number, kind, info, device_at, at, .. } => {
            let value = serde_json::json!({"number": number, "type": kind, "info": info, "device_at": device_at,
                "at": at.to_rfc3339(), "critical": severity(kind).is_some()});
            Some(row("security-event", format!("{partition}/{:02}", number % SECURITY_EVENTS_KEPT), &value))
        }
        DeviceEvent::CertificateRequested { csr, at, .. } => {
            let value = serde_json::json!({"csr": csr, "at": at.to_rfc3339()});
            Some(row("certificate-request", partition.to_owned(), &value))
        }
        DeviceEvent::ConfigurationRead { at, told, .. } => {
            let value = serde_json::json!({"at": at.to_rfc3339(), "keys": told.keys, "unknown": told.unknown});
            Some(row("configuration", partition.to_owned(), &value))
        }
        DeviceEvent::ConfigurationChanged { key, value, status, by, at } => {
            let value = serde_json::json!({"key": key, "value": value, "status": status, "by": by,
                "at": at.to_rfc3339()});
            Some(row("configuration-change", format!("{partition}/{key}"), &value))
        }
        DeviceEvent::Alerted { .. }
        | DeviceEvent::ConfigurationSame { .. }
        | DeviceEvent::LocalList(_)
        | DeviceEvent::Profiles { .. } => None,
    }
}
