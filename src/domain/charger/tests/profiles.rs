//! What makes a charging profile good (OCPP 1.6 §3.13, §7.8): one rule a line.

use crate::clock::Timestamp;
use crate::domain::charger::device::{Limits, Units};
use crate::domain::charger::smart_charging::{
    ChargingProfile, Installed, Known, Period, ProfileKind, ProfilePurpose, RateUnit, Recurrency, Schedule, Way, check,
    with, without,
};
use crate::ids::{ConnectorId, TransactionId};

fn period(start_s: i32, limit_tenths: i64) -> Period {
    Period { start_s, limit_tenths, phases: None }
}

fn profile(purpose: ProfilePurpose) -> ChargingProfile {
    let schedule = Schedule {
        duration_s: Some(3600),
        start: Some(Timestamp(0)),
        unit: RateUnit::A,
        periods: vec![period(0, 160), period(1800, 80)],
        min_rate_tenths: None,
    };
    ChargingProfile {
        id: 1,
        transaction: None,
        stack_level: 0,
        purpose,
        kind: ProfileKind::Absolute,
        recurrency: None,
        valid_from: None,
        valid_to: None,
        schedule,
    }
}

fn limits() -> Limits {
    Limits {
        units: Some(Units::read("Current")),
        stack_level_max: Some(3),
        periods_max: Some(4),
        profiles_max: Some(2),
        ..Limits::default()
    }
}

/// The fields that are wrong, each with whether it is the charger's state.
fn found(profile: &ChargingProfile, way: Way, installed: &[Installed]) -> Vec<(String, bool)> {
    let known = Known { limits: &limits(), installed };
    check(profile, way, known, "p").into_iter().map(|flaw| (flaw.field, flaw.state)).collect()
}

const CHARGER: Way = Way::Set(ConnectorId(0), None);
const IDLE: Way = Way::Set(ConnectorId(1), None);
const BUSY: Way = Way::Set(ConnectorId(1), Some(TransactionId(7)));

#[test]
fn purpose_connector_and_transaction_fit_each_other() {
    use ProfilePurpose::{ChargePointMaxProfile, TxDefaultProfile, TxProfile};
    for (purpose, transaction, way, wrong) in [
        (ChargePointMaxProfile, None, CHARGER, None),
        (ChargePointMaxProfile, None, IDLE, Some(("connectorId", false))),
        (ChargePointMaxProfile, None, Way::Start, Some(("p.chargingProfilePurpose", false))),
        (TxDefaultProfile, None, CHARGER, None),
        (TxDefaultProfile, None, BUSY, None),
        (TxDefaultProfile, Some(7), BUSY, Some(("p.transactionId", false))),
        (TxDefaultProfile, None, Way::Start, Some(("p.chargingProfilePurpose", false))),
        (TxProfile, None, BUSY, None),
        (TxProfile, Some(7), BUSY, None),
        (TxProfile, Some(8), BUSY, Some(("p.transactionId", true))),
        (TxProfile, None, IDLE, Some(("p.chargingProfilePurpose", true))),
        (TxProfile, None, CHARGER, Some(("connectorId", false))),
        (TxProfile, None, Way::Start, None),
        (TxProfile, Some(7), Way::Start, Some(("p.transactionId", false))),
    ] {
        let tried = ChargingProfile { transaction: transaction.map(TransactionId), ..profile(purpose) };
        let wrong: Vec<_> = wrong.into_iter().map(|(field, state)| (field.to_owned(), state)).collect();
        assert_eq!(found(&tried, way, &[]), wrong, "{purpose:?} {transaction:?} {way:?}");
    }
}

#[test]
fn kind_recurrence_start_and_validity_fit_each_other() {
    type Change = fn(&mut ChargingProfile);
    let cases: [(Change, Option<&str>); 12] = [
        (|_| {}, None),
        (|p| p.schedule.start = None, Some("p.chargingSchedule.startSchedule")),
        (|p| p.recurrency = Some(Recurrency::Daily), Some("p.recurrencyKind")),
        (|p| p.kind = ProfileKind::Recurring, Some("p.recurrencyKind")),
        (|p| (p.kind, p.recurrency) = (ProfileKind::Recurring, Some(Recurrency::Daily)), None),
        (
            |p| {
                (p.kind, p.recurrency) = (ProfileKind::Recurring, Some(Recurrency::Daily));
                p.schedule.duration_s = Some(86_401);
            },
            Some("p.chargingSchedule.duration"),
        ),
        (
            |p| {
                (p.kind, p.recurrency) = (ProfileKind::Recurring, Some(Recurrency::Weekly));
                p.schedule.duration_s = Some(604_800);
            },
            None,
        ),
        (|p| p.kind = ProfileKind::Relative, Some("p.chargingSchedule.startSchedule")),
        (|p| (p.kind, p.schedule.start) = (ProfileKind::Relative, None), None),
        (|p| (p.valid_from, p.valid_to) = (Some(Timestamp(5)), Some(Timestamp(5))), Some("p.validTo")),
        (|p| (p.valid_from, p.valid_to) = (Some(Timestamp(5)), Some(Timestamp(6))), None),
        (
            |p| {
                p.purpose = ProfilePurpose::ChargePointMaxProfile;
                (p.kind, p.schedule.start) = (ProfileKind::Relative, None);
            },
            Some("p.chargingProfileKind"),
        ),
    ];
    for (n, (change, wrong)) in cases.into_iter().enumerate() {
        let mut tried = profile(ProfilePurpose::TxDefaultProfile);
        change(&mut tried);
        let wrong: Vec<_> = wrong.into_iter().map(|field| (field.to_owned(), false)).collect();
        assert_eq!(found(&tried, CHARGER, &[]), wrong, "case {n}");
    }
}

#[test]
fn periods_rise_from_zero_within_the_chargers_limits() {
    type Change = fn(&mut Schedule);
    let list = "p.chargingSchedule.chargingSchedulePeriod";
    let cases: [(Change, &str); 11] = [
        (|s| s.periods.clear(), ""),
        (|s| s.periods = (0..5).map(|n| period(n, 1)).collect(), ""),
        (|s| s.periods[0].start_s = 1, "[0].startPeriod"),
        (|s| s.periods[1].start_s = 0, "[1].startPeriod"),
        (|s| s.periods.push(period(1800, 1)), "[2].startPeriod"),
        (|s| s.periods[1].limit_tenths = -1, "[1].limit"),
        (|s| s.periods[1].phases = Some(0), "[1].numberPhases"),
        (|s| s.periods[1].phases = Some(4), "[1].numberPhases"),
        (|s| s.duration_s = Some(1800), "duration"),
        (|s| s.min_rate_tenths = Some(-1), "minChargingRate"),
        (|s| s.unit = RateUnit::W, "chargingRateUnit"),
    ];
    for (change, wrong) in cases {
        let mut tried = profile(ProfilePurpose::TxDefaultProfile);
        change(&mut tried.schedule);
        let field = if wrong.is_empty() || wrong.starts_with('[') {
            list.to_owned() + wrong
        } else {
            format!("p.chargingSchedule.{wrong}")
        };
        assert_eq!(found(&tried, CHARGER, &[]), [(field, wrong == "chargingRateUnit")], "{wrong}");
    }
    let endless = ChargingProfile {
        schedule: Schedule {
            duration_s: None,
            periods: vec![period(0, 0)],
            ..profile(ProfilePurpose::TxProfile).schedule
        },
        ..profile(ProfilePurpose::TxDefaultProfile)
    };
    assert_eq!(found(&endless, CHARGER, &[]), []);
}

#[test]
fn levels_and_the_number_of_profiles_are_the_chargers() {
    let level = |stack_level| ChargingProfile { stack_level, id: 9, ..profile(ProfilePurpose::TxDefaultProfile) };
    for (stack_level, wrong) in [(-1, true), (0, false), (3, false), (4, true)] {
        assert_eq!(!found(&level(stack_level), CHARGER, &[]).is_empty(), wrong, "{stack_level}");
    }
    let at = |id, stack_level| Installed {
        id,
        connector: ConnectorId(0),
        purpose: ProfilePurpose::TxDefaultProfile,
        stack_level,
    };
    let full = [at(1, 0), at(2, 1)];
    assert_eq!(found(&level(2), CHARGER, &full), [("p".to_owned(), true)], "a third of two");
    assert_eq!(found(&level(1), CHARGER, &full), [], "it takes the place of the second");
    assert_eq!(found(&ChargingProfile { id: 1, ..level(2) }, CHARGER, &full), [], "it takes the place of the first");
    assert_eq!(with(&full, at(9, 1)), [at(1, 0), at(9, 1)]);
    assert_eq!(with(&full, at(1, 5)), [at(2, 1), at(1, 5)]);
}

#[test]
fn what_is_cleared_fits_all_that_is_given() {
    let at =
        |id, connector, purpose, stack_level| Installed { id, connector: ConnectorId(connector), purpose, stack_level };
    let held = [
        at(1, 0, ProfilePurpose::ChargePointMaxProfile, 0),
        at(2, 1, ProfilePurpose::TxDefaultProfile, 0),
        at(3, 1, ProfilePurpose::TxDefaultProfile, 1),
    ];
    for (id, connector, purpose, level, left) in [
        (Some(2), None, None, None, vec![1, 3]),
        (Some(2), Some(0), None, Some(9), vec![1, 3]),
        (None, Some(1), None, None, vec![1]),
        (None, None, Some(ProfilePurpose::TxDefaultProfile), Some(1), vec![1, 2]),
        (None, None, None, None, vec![]),
        (Some(7), None, None, None, vec![1, 2, 3]),
    ] {
        let ids: Vec<_> = without(&held, id, connector.map(ConnectorId), purpose, level).iter().map(|p| p.id).collect();
        assert_eq!(ids, left, "{id:?} {connector:?} {purpose:?} {level:?}");
    }
}
