//! GetDiagnostics (OCPP 1.6 §5.9): the charger uploads its logs. Which locations are allowed is not decided here
//! (control 19).

use super::charging_profile::{moment, opt_i32};
use super::reader::Fields;
use super::words::opt_time;
use crate::clock::Timestamp;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

/// GetDiagnostics.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The directory to upload to, a URI.
    pub location: String,
    /// How often to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// Seconds between tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<i32>,
    /// The oldest entry wanted.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "opt_time")]
    pub start_time: Option<Timestamp>,
    /// The newest entry wanted.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "opt_time")]
    pub stop_time: Option<Timestamp>,
}

/// GetDiagnostics.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The file that will be uploaded; none: there is nothing.
    pub file_name: Option<String>,
}

pub(crate) const FIELDS: &[&str] = &["location", "retries", "retryInterval", "startTime", "stopTime"];
pub(crate) const ANSWER: &[&str] = &["fileName"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        location: f.text("location", usize::MAX)?,
        retries: opt_i32(f, "retries")?,
        retry_interval: opt_i32(f, "retryInterval")?,
        start_time: moment(f, "startTime")?,
        stop_time: moment(f, "stopTime")?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { file_name: f.opt_text("fileName", 255)? })
}
