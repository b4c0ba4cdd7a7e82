//! SignedUpdateFirmware (OCPP 1.6 security white paper §6.1): the charger fetches firmware and installs it if its signature
//! is good. Which locations are allowed is not decided here (control 19).

use super::certificates::CERTIFICATE_MAX;
use super::charging_profile::{i32, moment, opt_i32};
use super::reader::Fields;
use super::words::{Text, opt_time, time, words};
use crate::clock::Timestamp;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// UpdateFirmwareStatusEnumType.
    UpdateFirmwareStatus { Accepted, Rejected, AcceptedCanceled, InvalidCertificate, RevokedCertificate }
);

/// FirmwareType.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Firmware {
    /// Where to fetch it, a URI.
    pub location: Text<512>,
    /// From when it may be fetched.
    #[serde(serialize_with = "time")]
    pub retrieve_date_time: Timestamp,
    /// From when it may be installed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "opt_time")]
    pub install_date_time: Option<Timestamp>,
    /// By whom it is signed, PEM.
    pub signing_certificate: Text<CERTIFICATE_MAX>,
    /// Base64.
    pub signature: Text<800>,
}

/// SignedUpdateFirmware.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// How often to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// Seconds between tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<i32>,
    /// What SignedFirmwareStatusNotification names it by.
    pub request_id: i32,
    /// What.
    pub firmware: Firmware,
}

/// SignedUpdateFirmware.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// AcceptedCanceled: an update that was under way is given up for it.
    pub status: UpdateFirmwareStatus,
}

pub(crate) const FIELDS: &[&str] = &["retries", "retryInterval", "requestId", "firmware"];
pub(crate) const ANSWER: &[&str] = &["status"];
const FIRMWARE: &[&str] = &["location", "retrieveDateTime", "installDateTime", "signingCertificate", "signature"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let firmware = f.opt_object("firmware", FIRMWARE, |f| {
        Ok(Firmware {
            location: Text::cut(&f.text("location", 512)?),
            retrieve_date_time: f.required("retrieveDateTime", f.time("retrieveDateTime")?.parsed)?,
            install_date_time: moment(f, "installDateTime")?,
            signing_certificate: Text::cut(&f.text("signingCertificate", CERTIFICATE_MAX)?),
            signature: Text::cut(&f.text("signature", 800)?),
        })
    })?;
    Ok(Request {
        retries: opt_i32(f, "retries")?,
        retry_interval: opt_i32(f, "retryInterval")?,
        request_id: i32(f, "requestId")?,
        firmware: f.required("firmware", firmware)?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", UpdateFirmwareStatus::ALLOWED, UpdateFirmwareStatus::read)? })
}
