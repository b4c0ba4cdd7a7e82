//! ClearChargingProfile (OCPP 1.6 §5.5): limits that the charger holds are dropped.

use super::charging_profile::{ChargingProfilePurpose, opt_i32};
use super::reader::Fields;
use super::words::words;
use crate::ids::ConnectorId;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// ClearChargingProfileStatus (OCPP 1.6 §7.16).
    ClearChargingProfileStatus { Accepted, Unknown }
);

/// ClearChargingProfile.req: those that fit all members given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// This one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    /// Those of a connector; 0: of the charger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<ConnectorId>,
    /// Those of a purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charging_profile_purpose: Option<ChargingProfilePurpose>,
    /// Those of a level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_level: Option<i32>,
}

/// ClearChargingProfile.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Unknown: none fits.
    pub status: ClearChargingProfileStatus,
}

pub(crate) const FIELDS: &[&str] = &["id", "connectorId", "chargingProfilePurpose", "stackLevel"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        id: opt_i32(f, "id")?,
        connector_id: f.opt_connector("connectorId")?,
        charging_profile_purpose: f.opt_choice(
            "chargingProfilePurpose",
            ChargingProfilePurpose::ALLOWED,
            ChargingProfilePurpose::read,
        )?,
        stack_level: opt_i32(f, "stackLevel")?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation {
        status: f.choice("status", ClearChargingProfileStatus::ALLOWED, ClearChargingProfileStatus::read)?,
    })
}
