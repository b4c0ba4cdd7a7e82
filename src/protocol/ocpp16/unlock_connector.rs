//! UnlockConnector (OCPP 1.6 §5.18): a stuck cable is let go.

use super::reader::Fields;
use super::words::words;
use crate::ids::ConnectorId;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// UnlockStatus (OCPP 1.6 §7.45).
    UnlockStatus { Unlocked, UnlockFailed, NotSupported }
);

/// UnlockConnector.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Which.
    pub connector_id: ConnectorId,
}

/// UnlockConnector.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether it is open.
    pub status: UnlockStatus,
}

pub(crate) const FIELDS: &[&str] = &["connectorId"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { connector_id: f.connector("connectorId")? })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", UnlockStatus::ALLOWED, UnlockStatus::read)? })
}
