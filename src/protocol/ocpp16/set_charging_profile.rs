//! SetChargingProfile (OCPP 1.6 §5.16): a limit is given to the charger to hold.

use super::charging_profile::{self, ChargingProfile};
use super::reader::Fields;
use super::words::words;
use crate::ids::ConnectorId;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// ChargingProfileStatus (OCPP 1.6 §7.9).
    ChargingProfileStatus { Accepted, Rejected, NotSupported }
);

/// SetChargingProfile.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// 0: the charger as a whole.
    pub connector_id: ConnectorId,
    /// The limit.
    pub cs_charging_profiles: ChargingProfile,
}

/// SetChargingProfile.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether it is held.
    pub status: ChargingProfileStatus,
}

pub(crate) const FIELDS: &[&str] = &["connectorId", "csChargingProfiles"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let profile = f.opt_object("csChargingProfiles", charging_profile::FIELDS, charging_profile::read)?;
    Ok(Request {
        connector_id: f.connector("connectorId")?,
        cs_charging_profiles: f.required("csChargingProfiles", profile)?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", ChargingProfileStatus::ALLOWED, ChargingProfileStatus::read)? })
}
