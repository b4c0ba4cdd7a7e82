//! Reset (OCPP 1.6 §5.14): the charger is asked to restart.

use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// ResetType (OCPP 1.6 §7.41).
    ResetType { Hard, Soft }
);
words!(
    /// ResetStatus (OCPP 1.6 §7.40).
    ResetStatus { Accepted, Rejected }
);

/// Reset.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Soft ends transactions in good order first.
    #[serde(rename = "type")]
    pub kind: ResetType,
}

/// Reset.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether it will restart.
    pub status: ResetStatus,
}

pub(crate) const FIELDS: &[&str] = &["type"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { kind: f.choice("type", ResetType::ALLOWED, ResetType::read)? })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", ResetStatus::ALLOWED, ResetStatus::read)? })
}
