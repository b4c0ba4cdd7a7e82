//! How a charger is shown: to partners, to operators, in rows. Owns no fact.

use super::device::Device;
use super::facts::Fault;
use super::lock::Lock;
use super::state::{BootPolicy, Charger, Link, Maintenance};
use super::{Connector, Purpose, ResetTried, Status};
use crate::ids::{CommandId, ConnectorId, ReservationId, SessionId, SiteId, TransactionId};
use serde::Serialize;

/// A connector as shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectorView {
    /// Which.
    pub connector_id: ConnectorId,
    /// Its status.
    pub status: Status,
    /// Its fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<serde_json::Value>,
    /// The parking lock or barrier before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<serde_json::Value>,
    /// When it was learnt.
    pub status_at: String,
    /// The session there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Its transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<TransactionId>,
    /// The reservation that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<ReservationId>,
}

/// A waiting command as shown to operators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommandView {
    /// Which.
    pub command_id: CommandId,
    /// The action.
    pub kind: &'static str,
    /// `Queued` or `Sent`.
    pub state: &'static str,
    /// For whom.
    pub purpose: &'static str,
    /// Since when.
    pub queued_at: String,
}

/// A charger as shown to operators; partners get its first half.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Which.
    pub charger_id: String,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_id: Option<SiteId>,
    /// As journaled: the shell's own view is newer.
    pub online: bool,
    /// Its connectors.
    pub connectors: Vec<ConnectorView>,
    /// The charger as a whole.
    pub status: Status,
    /// What it may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_policy: Option<BootPolicy>,
    /// Its last boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<serde_json::Value>,
    /// When that was.
    #[serde(skip)]
    pub booted_at: Option<crate::clock::Timestamp>,
    /// Out of offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// What waits.
    pub commands: Vec<CommandView>,
    /// The last reset that the rules tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetTried>,
    /// What the device told of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
}

impl Fault {
    /// As everybody sees it: code, cause, severity, both texts, and what the vendor said.
    pub fn view(&self) -> serde_json::Value {
        let meaning = self.meaning();
        let mut view = serde_json::json!({"code": self.code, "cause": meaning.cause, "severity": meaning.severity,
            "message_en": meaning.en, "message_zh": meaning.zh});
        if let (Some(vendor), Some(members)) = (&self.vendor, view.as_object_mut()) {
            members.insert("vendor_code".to_owned(), vendor.to_string().into());
        }
        if let (Some(info), Some(members)) = (&self.info, view.as_object_mut()) {
            members.insert("info".to_owned(), info.to_string().into());
        }
        view
    }
}

impl Lock {
    /// As everybody sees it: what it is, how it stands since when, and how far the last order is.
    pub fn view(&self) -> serde_json::Value {
        let mut view = serde_json::json!({"kind": self.kind, "state": self.state, "at": self.at.to_rfc3339()});
        if let Some(members) = view.as_object_mut() {
            members.extend(self.vehicle.map(|vehicle| ("vehicle_present".to_owned(), vehicle.into())));
            members.extend(self.order.as_ref().map(|order| {
                let order = serde_json::json!({"action": order.action, "result": order.result,
                    "at": order.at.to_rfc3339(), "attempt": order.attempt});
                ("order".to_owned(), order)
            }));
        }
        view
    }
}

impl Charger {
    /// The connectors as shown.
    pub fn connector_views(&self) -> Vec<ConnectorView> {
        (1..).map(ConnectorId).zip(&self.connectors).map(|(id, connector)| self.connector_view(id, connector)).collect()
    }

    fn connector_view(&self, connector_id: ConnectorId, connector: &Connector) -> ConnectorView {
        let live = self.live_on(connector_id);
        ConnectorView {
            connector_id,
            status: self.shown_status(connector_id),
            error: self.fault_at(connector_id).map(Fault::view),
            lock: self.lock_at(connector_id).map(Lock::view),
            status_at: connector.learnt_at.to_rfc3339(),
            session_id: live.map(|live| live.session),
            transaction_id: live.and_then(|live| live.transaction),
            reservation_id: self.held(connector_id).map(|hold| hold.reservation),
        }
    }

    /// The charger as shown to operators.
    pub fn view(&self, charger_id: &str) -> View {
        let boot = self.boot.as_ref();
        View {
            charger_id: charger_id.to_owned(),
            site_id: self.registration.as_ref().map(|registration| registration.site.clone()),
            online: matches!(self.link, Link::Up { .. }),
            connectors: self.connector_views(),
            status: self.whole.status,
            boot_policy: self.registration.as_ref().map(|registration| registration.boot),
            boot: boot.map(|b| serde_json::json!({"at": b.at.to_rfc3339(), "status": b.status, "charger": b.fact})),
            booted_at: boot.map(|boot| boot.at),
            maintenance: self.maintenance.as_deref().cloned(),
            commands: self.queue.iter().map(CommandView::from).collect(),
            reset: self.care.as_ref().and_then(|care| care.last.clone()),
            device: self.device.as_deref().cloned(),
        }
    }
}

impl From<&super::Pending> for CommandView {
    fn from(pending: &super::Pending) -> Self {
        CommandView {
            command_id: pending.id,
            kind: pending.call.action(),
            state: if pending.sent.is_some() { "Sent" } else { "Queued" },
            purpose: match pending.purpose {
                Purpose::Start(_) => "start",
                Purpose::Stop(_) => "stop",
                Purpose::Hold(_) => "hold",
                Purpose::Operator(_) => "operator",
                Purpose::System => "system",
            },
            queued_at: pending.queued_at.to_rfc3339(),
        }
    }
}
