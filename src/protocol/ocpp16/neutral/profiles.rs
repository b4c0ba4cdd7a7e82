//! Charging profiles between the wire and the rules.

use crate::domain::charger::smart_charging::{
    ChargingProfile, Period, ProfileKind, ProfilePurpose, RateUnit, Recurrency, Schedule,
};
use crate::ids::TransactionId;
use crate::protocol::ocpp16::charging_profile::{self as wire, Tenths};

pub(super) fn purpose(purpose: &wire::ChargingProfilePurpose) -> Option<ProfilePurpose> {
    use wire::ChargingProfilePurpose as Wire;
    match purpose {
        Wire::ChargePointMaxProfile => Some(ProfilePurpose::ChargePointMaxProfile),
        Wire::TxDefaultProfile => Some(ProfilePurpose::TxDefaultProfile),
        Wire::TxProfile => Some(ProfilePurpose::TxProfile),
        // Refused by a strict reading.
        Wire::Unlisted(_) => None,
    }
}

pub(super) fn purpose_to_wire(purpose: ProfilePurpose) -> wire::ChargingProfilePurpose {
    use wire::ChargingProfilePurpose as Wire;
    match purpose {
        ProfilePurpose::ChargePointMaxProfile => Wire::ChargePointMaxProfile,
        ProfilePurpose::TxDefaultProfile => Wire::TxDefaultProfile,
        ProfilePurpose::TxProfile => Wire::TxProfile,
    }
}

pub(super) fn unit(unit: &wire::ChargingRateUnit) -> Option<RateUnit> {
    match unit {
        wire::ChargingRateUnit::A => Some(RateUnit::A),
        wire::ChargingRateUnit::W => Some(RateUnit::W),
        wire::ChargingRateUnit::Unlisted(_) => None,
    }
}

pub(super) fn unit_to_wire(unit: RateUnit) -> wire::ChargingRateUnit {
    match unit {
        RateUnit::A => wire::ChargingRateUnit::A,
        RateUnit::W => wire::ChargingRateUnit::W,
    }
}

/// A profile as read; `None`: it has a word that the specification does not have.
pub(super) fn profile(profile: wire::ChargingProfile) -> Option<ChargingProfile> {
    use wire::{ChargingProfileKind as Kind, RecurrencyKind as Wire};
    let kind = match profile.charging_profile_kind {
        Kind::Absolute => ProfileKind::Absolute,
        Kind::Recurring => ProfileKind::Recurring,
        Kind::Relative => ProfileKind::Relative,
        Kind::Unlisted(_) => return None,
    };
    let recurrency = match profile.recurrency_kind {
        None => None,
        Some(Wire::Daily) => Some(Recurrency::Daily),
        Some(Wire::Weekly) => Some(Recurrency::Weekly),
        Some(Wire::Unlisted(_)) => return None,
    };
    let schedule = profile.charging_schedule;
    let periods = schedule.charging_schedule_period.into_iter().map(|period| Period {
        start_s: period.start_period,
        limit_tenths: period.limit.0,
        phases: period.number_phases,
    });
    Some(ChargingProfile {
        id: profile.charging_profile_id,
        transaction: profile.transaction_id.map(TransactionId),
        stack_level: profile.stack_level,
        purpose: purpose(&profile.charging_profile_purpose)?,
        kind,
        recurrency,
        valid_from: profile.valid_from,
        valid_to: profile.valid_to,
        schedule: Schedule {
            duration_s: schedule.duration,
            start: schedule.start_schedule,
            unit: unit(&schedule.charging_rate_unit)?,
            periods: periods.collect(),
            min_rate_tenths: schedule.min_charging_rate.map(|rate| rate.0),
        },
    })
}

/// A profile as written.
pub(super) fn profile_to_wire(profile: &ChargingProfile) -> wire::ChargingProfile {
    let schedule = &profile.schedule;
    let periods = schedule.periods.iter().map(|period| wire::ChargingSchedulePeriod {
        start_period: period.start_s,
        limit: Tenths(period.limit_tenths),
        number_phases: period.phases,
    });
    wire::ChargingProfile {
        charging_profile_id: profile.id,
        transaction_id: profile.transaction.map(|transaction| transaction.0),
        stack_level: profile.stack_level,
        charging_profile_purpose: purpose_to_wire(profile.purpose),
        charging_profile_kind: match profile.kind {
            ProfileKind::Absolute => wire::ChargingProfileKind::Absolute,
            ProfileKind::Recurring => wire::ChargingProfileKind::Recurring,
            ProfileKind::Relative => wire::ChargingProfileKind::Relative,
        },
        recurrency_kind: profile.recurrency.map(|recurrency| match recurrency {
            Recurrency::Daily => wire::RecurrencyKind::Daily,
            Recurrency::Weekly => wire::RecurrencyKind::Weekly,
        }),
        valid_from: profile.valid_from,
        valid_to: profile.valid_to,
        charging_schedule: wire::ChargingSchedule {
            duration: schedule.duration_s,
            start_schedule: schedule.start,
            charging_rate_unit: unit_to_wire(schedule.unit),
            charging_schedule_period: periods.collect(),
            min_charging_rate: schedule.min_rate_tenths.map(Tenths),
        },
    }
}
