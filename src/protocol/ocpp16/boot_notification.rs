//! BootNotification (OCPP 1.6 §4.2): a charger presents itself.

use super::reader::Fields;
use super::words::{time, words};
use crate::clock::Timestamp;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// RegistrationStatus (OCPP 1.6 §7.37).
    RegistrationStatus { Accepted, Pending, Rejected }
);

/// BootNotification.req.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the specification's own names")]
pub struct Request {
    pub charge_point_vendor: String,
    pub charge_point_model: String,
    pub charge_point_serial_number: Option<String>,
    pub charge_box_serial_number: Option<String>,
    pub firmware_version: Option<String>,
    pub iccid: Option<String>,
    pub imsi: Option<String>,
    pub meter_type: Option<String>,
    pub meter_serial_number: Option<String>,
}

/// BootNotification.conf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// Whether the charger may work.
    pub status: RegistrationStatus,
    /// Our time, by which the charger sets its clock (CH-11).
    #[serde(serialize_with = "time")]
    pub current_time: Timestamp,
    /// Seconds: the heartbeat interval if accepted, else the least wait before the next boot.
    pub interval: u32,
}

pub(crate) const FIELDS: &[&str] = &[
    "chargePointVendor",
    "chargePointModel",
    "chargePointSerialNumber",
    "chargeBoxSerialNumber",
    "firmwareVersion",
    "iccid",
    "imsi",
    "meterType",
    "meterSerialNumber",
];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        charge_point_vendor: f.text("chargePointVendor", 20)?,
        charge_point_model: f.text("chargePointModel", 20)?,
        charge_point_serial_number: f.opt_text("chargePointSerialNumber", 25)?,
        charge_box_serial_number: f.opt_text("chargeBoxSerialNumber", 25)?,
        firmware_version: f.opt_text("firmwareVersion", 50)?,
        iccid: f.opt_text("iccid", 20)?,
        imsi: f.opt_text("imsi", 20)?,
        meter_type: f.opt_text("meterType", 25)?,
        meter_serial_number: f.opt_text("meterSerialNumber", 25)?,
    })
}
