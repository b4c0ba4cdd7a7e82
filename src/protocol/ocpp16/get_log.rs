//! GetLog (OCPP 1.6 security white paper §6.1): the charger uploads its diagnostics or security log. Which locations are
//! allowed is not decided here (control 19).

use super::charging_profile::{i32, moment, opt_i32};
use super::reader::Fields;
use super::words::{Text, opt_time, words};
use crate::clock::Timestamp;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// LogEnumType.
    LogType { DiagnosticsLog, SecurityLog }
);
words!(
    /// LogStatusEnumType.
    LogStatus { Accepted, Rejected, AcceptedCanceled }
);

/// LogParametersType.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogParameters {
    /// Where to upload it, a URI.
    pub remote_location: Text<512>,
    /// The oldest entry wanted.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "opt_time")]
    pub oldest_timestamp: Option<Timestamp>,
    /// The newest entry wanted.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "opt_time")]
    pub latest_timestamp: Option<Timestamp>,
}

/// GetLog.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Which log.
    pub log_type: LogType,
    /// What LogStatusNotification names it by.
    pub request_id: i32,
    /// How often to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// Seconds between tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<i32>,
    /// What of it, and where to.
    pub log: LogParameters,
}

/// GetLog.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// AcceptedCanceled: an upload that was under way is given up for it.
    pub status: LogStatus,
    /// The file that will be uploaded.
    pub filename: Option<String>,
}

pub(crate) const FIELDS: &[&str] = &["log", "logType", "requestId", "retries", "retryInterval"];
pub(crate) const ANSWER: &[&str] = &["status", "filename"];
const LOG: &[&str] = &["remoteLocation", "oldestTimestamp", "latestTimestamp"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let log = f.opt_object("log", LOG, |f| {
        Ok(LogParameters {
            remote_location: Text::cut(&f.text("remoteLocation", 512)?),
            oldest_timestamp: moment(f, "oldestTimestamp")?,
            latest_timestamp: moment(f, "latestTimestamp")?,
        })
    })?;
    Ok(Request {
        log_type: f.choice("logType", LogType::ALLOWED, LogType::read)?,
        request_id: i32(f, "requestId")?,
        retries: opt_i32(f, "retries")?,
        retry_interval: opt_i32(f, "retryInterval")?,
        log: f.required("log", log)?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation {
        status: f.choice("status", LogStatus::ALLOWED, LogStatus::read)?,
        filename: f.spare("filename", |f| f.opt_text("filename", 255))?,
    })
}
