//! ChangeAvailability (OCPP 1.6 §5.2): a connector is taken out of service or put back.

use super::reader::Fields;
use super::words::words;
use crate::ids::ConnectorId;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// AvailabilityType (OCPP 1.6 §7.4).
    AvailabilityType { Inoperative, Operative }
);
words!(
    /// AvailabilityStatus (OCPP 1.6 §7.3).
    AvailabilityStatus { Accepted, Rejected, Scheduled }
);

/// ChangeAvailability.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// 0: the charger with all its connectors.
    pub connector_id: ConnectorId,
    /// Out of service, or back.
    #[serde(rename = "type")]
    pub kind: AvailabilityType,
}

/// ChangeAvailability.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Scheduled: after the running transaction.
    pub status: AvailabilityStatus,
}

pub(crate) const FIELDS: &[&str] = &["connectorId", "type"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        connector_id: f.connector("connectorId")?,
        kind: f.choice("type", AvailabilityType::ALLOWED, AvailabilityType::read)?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", AvailabilityStatus::ALLOWED, AvailabilityStatus::read)? })
}
