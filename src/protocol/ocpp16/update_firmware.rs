//! UpdateFirmware (OCPP 1.6 §5.19): the charger fetches and installs firmware. Which locations are allowed is not decided
//! here (control 19).

use super::charging_profile::opt_i32;
use super::reader::Fields;
use super::words::time;
use crate::clock::Timestamp;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

/// UpdateFirmware.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Where to fetch it, a URI.
    pub location: String,
    /// How often to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// From when it may be fetched.
    #[serde(serialize_with = "time")]
    pub retrieve_date: Timestamp,
    /// Seconds between tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<i32>,
}

/// UpdateFirmware.conf: empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {}

pub(crate) const FIELDS: &[&str] = &["location", "retries", "retrieveDate", "retryInterval"];
pub(crate) const ANSWER: &[&str] = &[];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        location: f.text("location", usize::MAX)?,
        retries: opt_i32(f, "retries")?,
        retrieve_date: f.required("retrieveDate", f.time("retrieveDate")?.parsed)?,
        retry_interval: opt_i32(f, "retryInterval")?,
    })
}

pub(crate) fn read_answer(_: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation {})
}
