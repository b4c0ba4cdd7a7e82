//! GetLocalListVersion (OCPP 1.6 §5.10): which local list does the charger hold?

use super::charging_profile::i32;
use super::reader::Fields;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

/// GetLocalListVersion.req: empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Request {}

/// GetLocalListVersion.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// 0: an empty list; −1: local lists are not supported.
    pub list_version: i32,
}

pub(crate) const FIELDS: &[&str] = &[];
pub(crate) const ANSWER: &[&str] = &["listVersion"];

pub(crate) fn read(_: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {})
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { list_version: i32(f, "listVersion")? })
}
