//! The read models that follow from a charger's events: `charger/<id>`, `status/<id>`, `command/<charger>/<id>`, `alert`,
//! `ticket`; `report`, `security-event`, `configuration`, `configuration-change`, `certificate-request`. Owns their shape.

use super::calls::{Outcome, Purpose};
use super::configuration::Told as Configuration;
use super::reports::{ReportKind, SECURITY_EVENTS_KEPT, severity};
use super::state::{Charger, Done, Pending};
use super::{Event, Link};
use crate::clock::Timestamp;
use crate::domain::charging::case::{self, row};
use crate::domain::entity::Row;

/// The rows that follow from a step's events.
pub fn project<'a>(partition: &str, charger: &Charger, events: impl Iterator<Item = &'a Event>) -> Vec<Row> {
    let mut rows = Vec::new();
    let (mut registration, mut status) = (false, false);
    for event in events {
        match event {
            Event::Registered { .. } => (registration, status) = (true, true),
            Event::MaintenanceSet(_) | Event::Booted { .. } => registration = true,
            Event::StatusChanged { .. }
            | Event::WentOffline { .. }
            | Event::StatusReturned { .. }
            | Event::LinkUp { .. }
            | Event::LinkDown { .. } => status = true,
            Event::CommandQueued(pending) => rows.extend(queued(partition, pending)),
            Event::CommandDone(done) | Event::CommandAnsweredLate(done) => {
                rows.extend(done.operator.then(|| over(partition, done)));
            }
            Event::Raised(raised) => rows.extend(case::rows(raised)),
            Event::Reported { kind, status, request, at } => rows.push(report(partition, *kind, status, *request, *at)),
            Event::SecurityEvent { number, kind, info, device_at, at, .. } => {
                rows.push(security_event(partition, *number, kind, (info, device_at, *at)));
            }
            Event::CertificateRequested { csr, at, .. } => {
                let value = serde_json::json!({"csr": csr, "at": at.to_rfc3339()});
                rows.push(row("certificate-request", partition.to_owned(), &value));
            }
            Event::ConfigurationRead { at, told, .. } => rows.push(configuration(partition, *at, told)),
            Event::ConfigurationChanged { key, value, status, by, at } => {
                let value = serde_json::json!({"key": key, "value": value, "status": status, "by": by,
                    "at": at.to_rfc3339()});
                rows.push(row("configuration-change", format!("{partition}/{key}"), &value));
            }
            Event::TransactionsJumped { .. }
            | Event::OfflineMoved { .. }
            | Event::Troubled { .. }
            | Event::Configured { .. }
            | Event::CommandSent { .. }
            | Event::CommandRequeued { .. }
            | Event::Claimed(_)
            | Event::StartAccepted { .. }
            | Event::TransactionBegan { .. }
            | Event::TransactionEnded { .. }
            | Event::StopOrphaned(_)
            | Event::StopJoined { .. }
            | Event::ReadingsStrayed { .. }
            | Event::Released { .. }
            | Event::StartForgotten { .. }
            | Event::ClockDoubted { .. }
            | Event::FirmwareStatus(_)
            | Event::DiagnosticsStatus(_)
            | Event::ConfigurationSame { .. }
            | Event::LocalList(_)
            | Event::Profiles { .. }
            | Event::Minted { .. } => {}
        }
    }
    if registration {
        rows.push(registration_row(partition, charger));
    }
    if status {
        rows.push(status_row(partition, charger));
    }
    rows
}

/// How far a transfer is.
fn report(partition: &str, kind: ReportKind, status: &str, request: Option<i32>, at: Timestamp) -> Row {
    let value = serde_json::json!({"status": status, "request_id": request, "at": at.to_rfc3339()});
    row("report", format!("{partition}/{}", kind.name()), &value)
}

/// A security event, in the ring of those that are kept.
fn security_event(partition: &str, number: u32, kind: &str, of: (&Option<Box<str>>, &str, Timestamp)) -> Row {
    let (info, device_at, at) = of;
    let value = serde_json::json!({"number": number, "type": kind, "info": info, "device_at": device_at,
        "at": at.to_rfc3339(), "critical": severity(kind).is_some()});
    row("security-event", format!("{partition}/{:02}", number % SECURITY_EVENTS_KEPT), &value)
}

fn configuration(partition: &str, at: Timestamp, told: &Configuration) -> Row {
    let value = serde_json::json!({"at": at.to_rfc3339(), "keys": told.keys, "unknown": told.unknown});
    row("configuration", partition.to_owned(), &value)
}

fn registration_row(partition: &str, charger: &Charger) -> Row {
    let boot = charger.boot.as_ref();
    let value = serde_json::json!({"charger_id": partition, "registration": charger.registration,
        "maintenance": charger.maintenance, "boot": boot.map(|boot| boot.status),
        "vendor": boot.map(|boot| &boot.fact.vendor), "model": boot.map(|boot| &boot.fact.model)});
    row("charger", partition.to_owned(), &value)
}

fn status_row(partition: &str, charger: &Charger) -> Row {
    let connectors: Vec<_> = charger
        .connector_views()
        .into_iter()
        .map(|view| {
            serde_json::json!({"connector_id": view.connector_id, "status": view.status, "error": view.error,
                "status_at": view.status_at})
        })
        .collect();
    let value = serde_json::json!({"charger_id": partition, "online": matches!(charger.link, Link::Up { .. }),
        "status": charger.whole.status, "connectors": connectors});
    row("status", partition.to_owned(), &value)
}

fn queued(partition: &str, pending: &Pending) -> Option<Row> {
    let Purpose::Operator(by) = &pending.purpose else { return None };
    let value = serde_json::json!({"command_id": pending.id, "kind": pending.call.action(), "call": pending.call,
        "by": by, "queued_at": pending.queued_at.to_rfc3339()});
    Some(row("command", format!("{partition}/{}", pending.id), &value))
}

/// The result has a row of its own beside the command's, so that neither need be read to write the other.
fn over(partition: &str, done: &Done) -> Row {
    let mut value = serde_json::json!({"state": done.outcome.name(), "at": done.at.to_rfc3339()});
    if let Some(members) = value.as_object_mut() {
        match &done.outcome {
            Outcome::Answered { payload, .. } => {
                members.insert("payload".to_owned(), payload.to_string().into());
            }
            Outcome::CallError { code, description } => {
                members.insert("code".to_owned(), code.to_string().into());
                members.insert("description".to_owned(), description.to_string().into());
            }
            Outcome::TimedOut | Outcome::LinkLost | Outcome::Offline | Outcome::Moot => {}
        }
    }
    row("command-result", format!("{partition}/{}", done.id), &value)
}
