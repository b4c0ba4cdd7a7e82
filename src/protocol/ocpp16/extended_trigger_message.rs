//! ExtendedTriggerMessage (OCPP 1.6 security white paper §6.1): as TriggerMessage, with the messages of the extension.

use super::reader::Fields;
use super::words::words;
use crate::ids::ConnectorId;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// MessageTriggerEnumType.
    MessageTrigger {
        BootNotification,
        LogStatusNotification,
        FirmwareStatusNotification,
        Heartbeat,
        MeterValues,
        SignChargePointCertificate,
        StatusNotification
    }
);
words!(
    /// TriggerMessageStatusEnumType.
    TriggerMessageStatus { Accepted, Rejected, NotImplemented }
);

/// ExtendedTriggerMessage.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Which message.
    pub requested_message: MessageTrigger,
    /// About which connector; none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<ConnectorId>,
}

/// ExtendedTriggerMessage.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether it will be sent.
    pub status: TriggerMessageStatus,
}

pub(crate) const FIELDS: &[&str] = &["requestedMessage", "connectorId"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        requested_message: f.choice("requestedMessage", MessageTrigger::ALLOWED, MessageTrigger::read)?,
        connector_id: f.opt_connector("connectorId")?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", TriggerMessageStatus::ALLOWED, TriggerMessageStatus::read)? })
}
