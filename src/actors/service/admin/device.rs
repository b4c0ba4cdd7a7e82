//! What a charger told of itself, put together from its rows and its state (CH-6). Owns the view, no fact.

use crate::actors::service::{Service, corrupt};
use crate::api::port::{
    ConfigurationView, DeviceView, DifferenceView, LocalListView, Moment, Refusal, ReportView, SecurityEventView,
};
use crate::clock::Timestamp;
use crate::domain::charger::ReportKind;
use crate::domain::charger::configuration::{Difference, Key, Told, differences, wanted};
use crate::domain::charger::device::Device;
use crate::domain::charging::Policy;
use crate::ids::ChargerId;
use crate::persistence::StoredRow;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Rows of one charger read at once: more than the rings and the longest configurations have.
const ROWS_MAX: usize = 1024;

/// A row of `configuration`.
#[derive(Debug, Deserialize)]
struct ConfigurationRow {
    keys: Vec<Key>,
    #[serde(default)]
    unknown: Vec<Box<str>>,
}

/// A row of `configuration-change`.
#[derive(Debug, Deserialize)]
struct ChangeRow {
    key: String,
    value: String,
    status: String,
    by: String,
    at: Moment,
}

/// A row of `certificate-request`.
#[derive(Debug, Deserialize)]
struct RequestRow {
    at: Moment,
}

async fn read_one<T: DeserializeOwned>(service: &Service, table: &str, key: &str) -> Result<Option<T>, Refusal> {
    let row = service.journal.row(table, key).await?;
    row.map(|row| serde_json::from_slice(&row).map_err(|error| corrupt(table, key, &error))).transpose()
}

async fn read_all<T: DeserializeOwned>(service: &Service, table: &str, id: &ChargerId) -> Result<Vec<T>, Refusal> {
    let rows = service.journal.rows(table, &format!("{id}/"), None, ROWS_MAX).await?;
    let read = |row: &StoredRow| serde_json::from_slice(&row.value).map_err(|error| corrupt(table, &row.key, &error));
    rows.iter().map(read).collect()
}

/// Everything that a charger told of itself.
pub(super) async fn view(
    service: &Service,
    id: &ChargerId,
    known: Device,
    booted_at: Option<Timestamp>,
) -> Result<DeviceView, Refusal> {
    let mut reports = Vec::new();
    for kind in ReportKind::ALL {
        let name = kind.name();
        let report: Option<ReportView> = read_one(service, "report", &format!("{id}/{name}")).await?;
        reports.extend(report.map(|report| ReportView { kind: name.to_owned(), ..report }));
    }
    let mut security_events: Vec<SecurityEventView> = read_all(service, "security-event", id).await?;
    security_events.sort_by_key(|event| std::cmp::Reverse(event.number));
    let list = known.list;
    let local_list = (list != Default::default()).then(|| LocalListView {
        sent: list.sent,
        accepted: list.accepted,
        told: list.told,
        next: list.next(),
    });
    let request: Option<RequestRow> = read_one(service, "certificate-request", id.as_str()).await?;
    let profiles = known.installed.iter().map(|one| {
        serde_json::json!({"id": one.id, "connector": one.connector, "purpose": one.purpose,
            "stack_level": one.stack_level})
    });
    Ok(DeviceView {
        profiles: profiles.collect(),
        configuration: configuration(service, id, &known, booted_at).await?,
        local_list,
        reports,
        security_events,
        certificate_requested_at: request.map(|request| request.at),
    })
}

async fn configuration(
    service: &Service,
    id: &ChargerId,
    known: &Device,
    booted_at: Option<Timestamp>,
) -> Result<Option<ConfigurationView>, Refusal> {
    let read: Option<ConfigurationRow> = read_one(service, "configuration", id.as_str()).await?;
    let changes: Vec<ChangeRow> = read_all(service, "configuration-change", id).await?;
    if read.is_none() && changes.is_empty() {
        return Ok(None);
    }
    let told = read.map_or_else(Told::default, |read| Told { keys: read.keys, unknown: read.unknown });
    let policy = Policy::from(&*service.configuration.live.current());
    Ok(Some(compared(told, &changes, &wanted(&policy), (known, booted_at))))
}

/// The settings as they are now: as read, with what was changed since.
fn compared(
    told: Told,
    changes: &[ChangeRow],
    wanted: &[(Box<str>, Box<str>)],
    (known, booted_at): (&Device, Option<Timestamp>),
) -> ConfigurationView {
    let read_at = known.read_at;
    let mut keys: BTreeMap<Box<str>, Key> = told.keys.into_iter().map(|key| (key.key.clone(), key)).collect();
    for change in changes.iter().filter(|change| change.at.0 >= read_at && change.status == "Accepted") {
        let entry = keys.entry(change.key.as_str().into());
        let entry = entry.or_insert_with(|| Key { key: change.key.as_str().into(), value: None, readonly: false });
        entry.value = Some(change.value.as_str().into());
    }
    let now = Told { keys: keys.into_values().collect(), unknown: told.unknown };
    let differing = differences(&now, wanted).into_iter().map(|(key, why)| {
        let actual = now.keys.iter().find(|known| known.key == key).and_then(|known| known.value.as_deref());
        DifferenceView {
            wanted: wanted.iter().find(|(of, _)| *of == key).map_or(String::new(), |(_, value)| value.to_string()),
            actual: actual.map(str::to_owned),
            why: match why {
                Difference::Other => "other",
                Difference::ReadOnly => "read_only",
                Difference::Absent => "absent",
            }
            .to_owned(),
            correction: changes.iter().find(|change| *change.key == *key).map(|change| change.status.clone()),
            key: key.into(),
        }
    });
    let waits =
        |change: &&ChangeRow| change.status == "RebootRequired" && booted_at.is_none_or(|booted| change.at.0 > booted);
    ConfigurationView {
        read_at: (read_at != Timestamp::default()).then_some(Moment(read_at)),
        differences: differing.collect(),
        reboot_required: changes.iter().filter(waits).map(|change| change.key.clone()).collect(),
        changes: changes.iter().map(shown).collect(),
        keys: now.keys.iter().map(|key| serde_json::json!(key)).collect(),
    }
}

fn shown(change: &ChangeRow) -> serde_json::Value {
    serde_json::json!({"key": change.key, "value": change.value, "status": change.status, "by": change.by,
        "at": change.at})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str, value: &str, readonly: bool) -> Key {
        Key { key: key.into(), value: Some(value.into()), readonly }
    }

    fn change(key: &str, value: &str, status: &str, at: i64) -> ChangeRow {
        let (key, value, status) = (key.to_owned(), value.to_owned(), status.to_owned());
        ChangeRow { key, value, status, by: "system".to_owned(), at: Moment(Timestamp(at)) }
    }

    #[test]
    fn what_was_changed_since_the_last_reading_counts_and_what_waits_for_a_restart_is_said() {
        let told =
            Told { keys: vec![key("A", "1", false), key("B", "1", true), key("C", "1", false)], ..Told::default() };
        let wanted = ["A", "B", "C", "D"].map(|key| (key.into(), "2".into()));
        let changes = [
            change("A", "2", "Accepted", 20),
            change("C", "2", "RebootRequired", 20),
            change("D", "2", "NotSupported", 20),
            change("E", "9", "RebootRequired", 5),
        ];
        let known = Device { read_at: Timestamp(10), ..Device::default() };
        let view = compared(told, &changes, &wanted, (&known, Some(Timestamp(6))));
        let found: Vec<_> =
            view.differences.iter().map(|d| (&*d.key, &*d.why, d.actual.as_deref(), d.correction.as_deref())).collect();
        assert_eq!(
            found,
            [
                ("B", "read_only", Some("1"), None),
                ("C", "other", Some("1"), Some("RebootRequired")),
                ("D", "absent", None, Some("NotSupported")),
            ]
        );
        assert_eq!(view.reboot_required, ["C"], "E has been through a restart");
    }
}
