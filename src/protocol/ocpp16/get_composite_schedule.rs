//! GetCompositeSchedule (OCPP 1.6 §5.7): what do all limits come to?

use super::charging_profile::{ChargingRateUnit, ChargingSchedule, SCHEDULE, i32, read_schedule};
use super::reader::Fields;
use super::words::words;
use crate::ids::ConnectorId;
use crate::protocol::ocppj::CallError;
use crate::protocol::wire_time::WireTime;
use serde::Serialize;

words!(
    /// GetCompositeScheduleStatus (OCPP 1.6 §7.26).
    GetCompositeScheduleStatus { Accepted, Rejected }
);

/// GetCompositeSchedule.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// 0: the grid connection.
    pub connector_id: ConnectorId,
    /// Seconds from now.
    pub duration: i32,
    /// In which unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charging_rate_unit: Option<ChargingRateUnit>,
}

/// GetCompositeSchedule.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether there is one.
    pub status: GetCompositeScheduleStatus,
    /// Of which connector.
    pub connector_id: Option<ConnectorId>,
    /// From when its times count.
    pub schedule_start: Option<WireTime>,
    /// The limits.
    pub charging_schedule: Option<ChargingSchedule>,
}

pub(crate) const FIELDS: &[&str] = &["connectorId", "duration", "chargingRateUnit"];
pub(crate) const ANSWER: &[&str] = &["status", "connectorId", "scheduleStart", "chargingSchedule"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        connector_id: f.connector("connectorId")?,
        duration: i32(f, "duration")?,
        charging_rate_unit: f.opt_choice("chargingRateUnit", ChargingRateUnit::ALLOWED, ChargingRateUnit::read)?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation {
        status: f.choice("status", GetCompositeScheduleStatus::ALLOWED, GetCompositeScheduleStatus::read)?,
        connector_id: f.spare("connectorId", |f| f.opt_connector("connectorId"))?,
        schedule_start: f.opt_time("scheduleStart")?,
        charging_schedule: f
            .spare("chargingSchedule", |f| f.opt_object("chargingSchedule", SCHEDULE, read_schedule))?,
    })
}
