//! The read models that follow from a charger's events: `charger/<id>`, `status/<id>`, `command/<charger>/<id>`, `alert`,
//! `ticket`; `report`, `security-event`, `configuration`, `configuration-change`, `certificate-request`. Owns their shape.

use super::calls::{Outcome, Purpose};
use super::state::{Charger, Done, Pending};
use super::{Event, Link, device_event};
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
            | Event::Lock(_)
            | Event::Hold(_)
            | Event::Stay(_)
            | Event::FundsReady { .. }
            | Event::LinkDown { .. } => status = true,
            Event::CommandQueued(pending) => rows.extend(queued(partition, pending)),
            Event::CommandDone(done) | Event::CommandAnsweredLate(done) => {
                rows.extend(done.operator.then(|| over(partition, done)));
            }
            Event::Raised(raised) => rows.extend(case::rows(raised)),
            Event::Device(event) => rows.extend(device_event::project(partition, event)),
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
            | Event::Care(_)
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
                "status_at": view.status_at, "lock": view.lock})
        })
        .collect();
    let value = serde_json::json!({"charger_id": partition, "online": matches!(charger.link, Link::Up { .. }),
        "status": charger.whole.status, "connectors": connectors});
    row("status", partition.to_owned(), &value)
}

fn queued(partition: &str, pending: &Pending) -> Option<Row> {
    let Purpose::Operator(by) = &pending.purpose else { return None };
    let call = pending.call.shown();
    let value = serde_json::json!({"command_id": pending.id, "kind": call.action(), "call": call,
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
