//! ChargingProfile (OCPP 1.6 §7.8) and its schedule: limits that a charger holds.

use super::reader::Fields;
use super::start_transaction::I32;
use super::words::{opt_time, words};
use crate::clock::Timestamp;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// ChargingProfilePurposeType (OCPP 1.6 §7.11).
    ChargingProfilePurpose { ChargePointMaxProfile, TxDefaultProfile, TxProfile }
);
words!(
    /// ChargingProfileKindType (OCPP 1.6 §7.10).
    ChargingProfileKind { Absolute, Recurring, Relative }
);
words!(
    /// RecurrencyKindType (OCPP 1.6 §7.38).
    RecurrencyKind { Daily, Weekly }
);
words!(
    /// ChargingRateUnitType (OCPP 1.6 §7.12).
    ChargingRateUnit { A, W }
);

/// A limit in tenths of a unit, as the schema wants it (`multipleOf` 0.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenths(pub i64);

impl Serialize for Tenths {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0 % 10 == 0 {
            return s.serialize_i64(self.0 / 10);
        }
        // Exact for every limit that makes sense: the shortest decimal of n/10 has one digit after the point.
        s.serialize_f64(self.0 as f64 / 10.0)
    }
}

/// ChargingSchedulePeriod (OCPP 1.6 §7.14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingSchedulePeriod {
    /// Seconds from the start of the schedule.
    pub start_period: i32,
    /// The limit in the schedule's unit.
    pub limit: Tenths,
    /// How many phases may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_phases: Option<i32>,
}

/// ChargingSchedule (OCPP 1.6 §7.13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingSchedule {
    /// Seconds; none: without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<i32>,
    /// When an absolute schedule begins.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "opt_time")]
    pub start_schedule: Option<Timestamp>,
    /// The unit of the limits.
    pub charging_rate_unit: ChargingRateUnit,
    /// The limits in order of time.
    pub charging_schedule_period: Vec<ChargingSchedulePeriod>,
    /// Below this rate the vehicle would charge inefficiently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_charging_rate: Option<Tenths>,
}

/// ChargingProfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingProfile {
    /// Its number at the charger.
    pub charging_profile_id: i32,
    /// The transaction that it is for (SetChargingProfile only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<i32>,
    /// Higher levels win.
    pub stack_level: i32,
    /// What it limits.
    pub charging_profile_purpose: ChargingProfilePurpose,
    /// How its times are meant.
    pub charging_profile_kind: ChargingProfileKind,
    /// How it recurs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrency_kind: Option<RecurrencyKind>,
    /// From when.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "opt_time")]
    pub valid_from: Option<Timestamp>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "opt_time")]
    pub valid_to: Option<Timestamp>,
    /// The limits.
    pub charging_schedule: ChargingSchedule,
}

pub(crate) const FIELDS: &[&str] = &[
    "chargingProfileId",
    "transactionId",
    "stackLevel",
    "chargingProfilePurpose",
    "chargingProfileKind",
    "recurrencyKind",
    "validFrom",
    "validTo",
    "chargingSchedule",
];
pub(crate) const SCHEDULE: &[&str] =
    &["duration", "startSchedule", "chargingRateUnit", "chargingSchedulePeriod", "minChargingRate"];
const PERIOD: &[&str] = &["startPeriod", "limit", "numberPhases"];

/// An optional 32-bit number.
pub(crate) fn opt_i32(f: &Fields<'_, '_>, name: &str) -> Result<Option<i32>, CallError> {
    Ok(f.opt_integer(name, I32)?.and_then(|n| i32::try_from(n).ok()))
}

/// A required 32-bit number.
pub(crate) fn i32(f: &Fields<'_, '_>, name: &str) -> Result<i32, CallError> {
    // Within 32 bits by the range.
    f.integer(name, I32).map(|n| i32::try_from(n).unwrap_or(0))
}

/// An optional moment.
pub(crate) fn moment(f: &Fields<'_, '_>, name: &str) -> Result<Option<Timestamp>, CallError> {
    Ok(f.opt_time(name)?.and_then(|time| time.parsed))
}

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<ChargingProfile, CallError> {
    let schedule = f.opt_object("chargingSchedule", SCHEDULE, read_schedule)?;
    Ok(ChargingProfile {
        charging_profile_id: i32(f, "chargingProfileId")?,
        transaction_id: opt_i32(f, "transactionId")?,
        stack_level: i32(f, "stackLevel")?,
        charging_profile_purpose: f.choice(
            "chargingProfilePurpose",
            ChargingProfilePurpose::ALLOWED,
            ChargingProfilePurpose::read,
        )?,
        charging_profile_kind: f.choice(
            "chargingProfileKind",
            ChargingProfileKind::ALLOWED,
            ChargingProfileKind::read,
        )?,
        recurrency_kind: f.opt_choice("recurrencyKind", RecurrencyKind::ALLOWED, RecurrencyKind::read)?,
        valid_from: moment(f, "validFrom")?,
        valid_to: moment(f, "validTo")?,
        charging_schedule: f.required("chargingSchedule", schedule)?,
    })
}

pub(crate) fn read_schedule(f: &Fields<'_, '_>) -> Result<ChargingSchedule, CallError> {
    Ok(ChargingSchedule {
        duration: opt_i32(f, "duration")?,
        start_schedule: moment(f, "startSchedule")?,
        charging_rate_unit: f.choice("chargingRateUnit", ChargingRateUnit::ALLOWED, ChargingRateUnit::read)?,
        charging_schedule_period: f.list("chargingSchedulePeriod", 0, |value, at| {
            let f = Fields::open(value, at, f.reading, PERIOD)?;
            Ok(ChargingSchedulePeriod {
                start_period: i32(&f, "startPeriod")?,
                limit: f.tenths("limit")?,
                number_phases: opt_i32(&f, "numberPhases")?,
            })
        })?,
        min_charging_rate: f.opt_tenths("minChargingRate")?,
    })
}
