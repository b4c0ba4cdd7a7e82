//! How a charger is shown: to partners, to operators, in rows. Owns no fact.

use super::device::Device;
use super::facts::{ErrorCode, Fault};
use super::state::{BootPolicy, Charger, Link, Maintenance};
use super::{Connector, Purpose, Status};
use crate::ids::{CommandId, ConnectorId, SessionId, SiteId, TransactionId};
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
    /// When it was learnt.
    pub status_at: String,
    /// The session there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Its transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<TransactionId>,
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
    /// What the device told of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
}

impl ErrorCode {
    /// The cause that a person understands (CH-8).
    pub const fn cause(self) -> &'static str {
        match self {
            ErrorCode::ConnectorLockFailure => "connector_lock",
            ErrorCode::EVCommunicationError => "vehicle",
            ErrorCode::GroundFailure => "insulation",
            ErrorCode::HighTemperature => "over_temperature",
            ErrorCode::InternalError | ErrorCode::ResetFailure | ErrorCode::LocalListConflict => "internal",
            ErrorCode::OtherError => "other",
            ErrorCode::OverCurrentFailure => "overload",
            ErrorCode::OverVoltage => "over_voltage",
            ErrorCode::PowerMeterFailure => "meter",
            ErrorCode::PowerSwitchFailure => "power_switch",
            ErrorCode::ReaderFailure => "card_reader",
            ErrorCode::UnderVoltage => "under_voltage",
            ErrorCode::WeakSignal => "signal",
        }
    }
}

impl Fault {
    /// As partners see it.
    pub fn view(&self) -> serde_json::Value {
        let mut view = serde_json::json!({"code": self.code, "cause": self.code.cause()});
        if let (Some(vendor), Some(members)) = (&self.vendor, view.as_object_mut()) {
            members.insert("vendor_code".to_owned(), vendor.to_string().into());
        }
        if let (Some(info), Some(members)) = (&self.info, view.as_object_mut()) {
            members.insert("info".to_owned(), info.to_string().into());
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
            status: connector.status,
            error: connector.fault.as_ref().map(|fault| fault.view()),
            status_at: connector.learnt_at.to_rfc3339(),
            session_id: live.map(|live| live.session),
            transaction_id: live.and_then(|live| live.transaction),
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
                Purpose::Operator(_) => "operator",
                Purpose::System => "system",
            },
            queued_at: pending.queued_at.to_rfc3339(),
        }
    }
}
