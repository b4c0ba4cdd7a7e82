//! Limits that a charger holds (OCPP 1.6 §3.13, §7.8) and what makes one of them good. Owns the neutral shape and its
//! rules, which are checked before anything is sent; never what a charger does with it.

use super::check::Flaw;
use super::device::{Limits, Units};
use crate::clock::Timestamp;
use crate::ids::{ConnectorId, TransactionId};
use serde::{Deserialize, Serialize};

/// What a profile limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the specification's own words")]
pub enum ProfilePurpose {
    ChargePointMaxProfile,
    TxDefaultProfile,
    TxProfile,
}

/// How its times are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the specification's own words")]
pub enum ProfileKind {
    Absolute,
    Recurring,
    Relative,
}

/// How often a recurring one begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the specification's own words")]
pub enum Recurrency {
    Daily,
    Weekly,
}

impl Recurrency {
    /// Its length in seconds.
    const fn seconds(self) -> i32 {
        match self {
            Recurrency::Daily => 86_400,
            Recurrency::Weekly => 7 * 86_400,
        }
    }
}

/// The unit of limits: ampere a phase, or watt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the specification's own words")]
pub enum RateUnit {
    A,
    W,
}

/// One step of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Seconds from the schedule's start.
    pub start_s: i32,
    /// Tenths of the schedule's unit.
    pub limit_tenths: i64,
    /// Phases that may be used; `None`: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<i32>,
}

/// Limits over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Seconds; `None`: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<i32>,
    /// When it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Of the limits.
    pub unit: RateUnit,
    /// The limits.
    pub periods: Vec<Period>,
    /// Below this rate charging wastes energy, tenths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_rate_tenths: Option<i64>,
}

/// A charging profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargingProfile {
    /// Its number at the charger.
    pub id: i32,
    /// For which transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    /// The highest of a purpose counts.
    pub stack_level: i32,
    /// What it limits.
    pub purpose: ProfilePurpose,
    /// How its times are meant.
    pub kind: ProfileKind,
    /// Of a recurring one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrency: Option<Recurrency>,
    /// From when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Timestamp>,
    /// The limits.
    pub schedule: Schedule,
}

/// A profile that the charger has accepted, as far as stacking goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Its number.
    pub id: i32,
    /// Where.
    pub connector: ConnectorId,
    /// What it limits.
    pub purpose: ProfilePurpose,
    /// Its level.
    pub stack_level: i32,
}

impl Installed {
    /// Whether a profile of that place takes this one's place (OCPP 1.6 §5.16.2): same number, or same purpose and level
    /// at the same connector.
    fn gives_way_to(&self, newer: &Installed) -> bool {
        let place = |of: &Installed| (of.connector, of.purpose, of.stack_level);
        self.id == newer.id || place(self) == place(newer)
    }
}

/// For what a profile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// SetChargingProfile at a connector; the transaction that runs there, if one does.
    Set(ConnectorId, Option<TransactionId>),
    /// Within RemoteStartTransaction.
    Start,
}

/// What is known of the charger.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its own limits.
    pub limits: &'a Limits,
    /// What it holds.
    pub installed: &'a [Installed],
}

/// Everything that is wrong with a profile. `at` is the path of the profile in the payload.
pub fn check(profile: &ChargingProfile, way: Way, known: Known<'_>, at: &str) -> Vec<Flaw> {
    let mut found = Vec::new();
    purpose(profile, way, at, &mut found);
    times(profile, at, &mut found);
    periods(&profile.schedule, known.limits, at, &mut found);
    let level = format!("{at}.stackLevel");
    let max = known.limits.stack_level_max.unwrap_or(i32::MAX);
    if !(0..=max).contains(&profile.stack_level) {
        let allowed =
            format!("0 to {max}{}", known.limits.of(known.limits.stack_level_max, "ChargeProfileMaxStackLevel"));
        found.push(Flaw::bad(level, format!("is {}", profile.stack_level), allowed));
    }
    if let (Way::Set(connector, _), Some(max)) = (way, known.limits.profiles_max) {
        let newer = Installed { id: profile.id, connector, purpose: profile.purpose, stack_level: profile.stack_level };
        let others = known.installed.iter().filter(|one| !one.gives_way_to(&newer)).count();
        if i32::try_from(others).unwrap_or(i32::MAX) >= max {
            let problem = format!("is one more than the charger holds: it has {others}");
            let allowed = format!("{max} (its MaxChargingProfilesInstalled); clear one first, or replace one");
            found.push(Flaw::state(at.to_owned(), problem, allowed));
        }
    }
    found
}

/// Purpose, connector and transaction fit each other (§3.13.1, §5.11, §5.16.4).
fn purpose(profile: &ChargingProfile, way: Way, at: &str, found: &mut Vec<Flaw>) {
    let field = format!("{at}.chargingProfilePurpose");
    let transaction = format!("{at}.transactionId");
    match (profile.purpose, way) {
        (ProfilePurpose::TxProfile, Way::Start) => {
            if profile.transaction.is_some() {
                found.push(Flaw::bad(transaction, "is given", "none: the transaction has not begun"));
            }
        }
        (ProfilePurpose::ChargePointMaxProfile | ProfilePurpose::TxDefaultProfile, Way::Start) => {
            found.push(Flaw::bad(field, format!("is {:?}", profile.purpose), "TxProfile within a remote start"));
        }
        (ProfilePurpose::TxProfile, Way::Set(ConnectorId(0), _)) => {
            found.push(Flaw::bad("connectorId", "is 0 for a TxProfile", "the connector of the transaction"));
        }
        (ProfilePurpose::TxProfile, Way::Set(connector, None)) => {
            let problem = format!("is TxProfile, and no transaction runs on connector {}", connector.0);
            found.push(Flaw::state(field, problem, "a running transaction, or a profile within the remote start"));
        }
        (ProfilePurpose::TxProfile, Way::Set(_, Some(running))) => {
            if let Some(other) = profile.transaction.filter(|id| *id != running) {
                found.push(Flaw::state(
                    transaction,
                    format!("is {}", other.0),
                    format!("{}, which runs there", running.0),
                ));
            }
        }
        (ProfilePurpose::ChargePointMaxProfile, Way::Set(connector, _)) if connector.0 != 0 => {
            let problem = format!("is {} for a ChargePointMaxProfile", connector.0);
            found.push(Flaw::bad("connectorId", problem, "0: the charger as a whole"));
        }
        (ProfilePurpose::ChargePointMaxProfile | ProfilePurpose::TxDefaultProfile, Way::Set(..)) => {}
    }
    if profile.transaction.is_some() && profile.purpose != ProfilePurpose::TxProfile {
        found.push(Flaw::bad(format!("{at}.transactionId"), "is given", "only with a TxProfile"));
    }
    if (profile.kind, profile.purpose) == (ProfileKind::Relative, ProfilePurpose::ChargePointMaxProfile) {
        let allowed = "Absolute or Recurring: a charger as a whole has no start of charging";
        found.push(Flaw::bad(format!("{at}.chargingProfileKind"), "is Relative", allowed));
    }
}

/// Kind, recurrence, start and validity fit each other (§3.13.2, §7.8, §7.10).
fn times(profile: &ChargingProfile, at: &str, found: &mut Vec<Flaw>) {
    let (recurrency, start) = (format!("{at}.recurrencyKind"), format!("{at}.chargingSchedule.startSchedule"));
    match (profile.kind, profile.recurrency) {
        (ProfileKind::Recurring, None) => found.push(Flaw::bad(recurrency, "is missing", "Daily or Weekly")),
        (ProfileKind::Absolute | ProfileKind::Relative, Some(_)) => {
            found.push(Flaw::bad(recurrency, "is given", "only with the kind Recurring"));
        }
        (ProfileKind::Recurring, Some(_)) | (ProfileKind::Absolute | ProfileKind::Relative, None) => {}
    }
    match (profile.kind, profile.schedule.start) {
        (ProfileKind::Relative, Some(_)) => {
            found.push(Flaw::bad(start, "is given", "none with the kind Relative: it begins with the charging"));
        }
        (ProfileKind::Absolute | ProfileKind::Recurring, None) => {
            found.push(Flaw::bad(start, "is missing", "a date-time with the kinds Absolute and Recurring"));
        }
        (ProfileKind::Relative, None) | (ProfileKind::Absolute | ProfileKind::Recurring, Some(_)) => {}
    }
    let duration = profile.schedule.duration_s;
    if let (Some(recurrency), Some(duration)) = (profile.recurrency, duration)
        && duration > recurrency.seconds()
    {
        let allowed = format!("1 to {} with {recurrency:?}", recurrency.seconds());
        found.push(Flaw::bad(format!("{at}.chargingSchedule.duration"), format!("is {duration}"), allowed));
    }
    if let (Some(from), Some(to)) = (profile.valid_from, profile.valid_to)
        && from >= to
    {
        found.push(Flaw::bad(format!("{at}.validTo"), "is not after validFrom", "a later moment"));
    }
}

/// A schedule is in order (§7.13, §7.14).
fn periods(schedule: &Schedule, limits: &Limits, at: &str, found: &mut Vec<Flaw>) {
    let list = format!("{at}.chargingSchedule.chargingSchedulePeriod");
    let max = limits.periods_max.unwrap_or(i32::MAX);
    let count = i32::try_from(schedule.periods.len()).unwrap_or(i32::MAX);
    if !(1..=max.max(1)).contains(&count) {
        let allowed = format!("1 to {}{}", max.max(1), limits.of(limits.periods_max, "ChargingScheduleMaxPeriods"));
        found.push(Flaw::bad(list.clone(), format!("has {count} entries"), allowed));
    }
    let mut before = -1;
    for (n, period) in schedule.periods.iter().enumerate() {
        let field = |name: &str| format!("{list}[{n}].{name}");
        if n == 0 && period.start_s != 0 {
            found.push(Flaw::bad(field("startPeriod"), format!("is {}", period.start_s), "0 in the first entry"));
        } else if period.start_s <= before {
            let problem = format!("is {} after {before}", period.start_s);
            found.push(Flaw::bad(field("startPeriod"), problem, "rising from entry to entry"));
        }
        before = before.max(period.start_s);
        if period.limit_tenths < 0 {
            found.push(Flaw::bad(field("limit"), "is negative", "0 and more"));
        }
        if let Some(phases) = period.phases.filter(|phases| !(1..=3).contains(phases)) {
            found.push(Flaw::bad(field("numberPhases"), format!("is {phases}"), "1 to 3"));
        }
    }
    let field = |name: &str| format!("{at}.chargingSchedule.{name}");
    if let Some(duration) = schedule.duration_s.filter(|duration| *duration <= before.max(0)) {
        let allowed = format!("more than {}, where the last period begins", before.max(0));
        found.push(Flaw::bad(field("duration"), format!("is {duration}"), allowed));
    }
    if schedule.min_rate_tenths.is_some_and(|rate| rate < 0) {
        found.push(Flaw::bad(field("minChargingRate"), "is negative", "0 and more"));
    }
    unit(Some(schedule.unit), limits, &field("chargingRateUnit"), found);
}

/// The unit is one that the charger knows.
pub(super) fn unit(unit: Option<RateUnit>, limits: &Limits, field: &str, found: &mut Vec<Flaw>) {
    let wanted = unit.map(|unit| match unit {
        RateUnit::A => Units::CURRENT,
        RateUnit::W => Units::POWER,
    });
    if let (Some(unit), Some(wanted), Some(known)) = (unit, wanted, limits.units)
        && !known.has(wanted)
    {
        let allowed = format!("{} (its ChargingScheduleAllowedChargingRateUnit)", known.words());
        found.push(Flaw::state(field.to_owned(), format!("is {unit:?}, which the charger does not know"), allowed));
    }
}

/// What the charger holds once it has accepted a profile.
pub fn with(installed: &[Installed], newer: Installed) -> Vec<Installed> {
    let kept = installed.iter().filter(|one| !one.gives_way_to(&newer)).copied();
    kept.chain(std::iter::once(newer)).collect()
}

/// What it holds once it has cleared those that fit.
pub fn without(
    installed: &[Installed],
    id: Option<i32>,
    connector: Option<ConnectorId>,
    purpose: Option<ProfilePurpose>,
    stack_level: Option<i32>,
) -> Vec<Installed> {
    let fits = |one: &Installed| match id {
        // With a number the rest does not count (§5.5).
        Some(id) => one.id == id,
        None => {
            connector.is_none_or(|connector| one.connector == connector)
                && purpose.is_none_or(|purpose| one.purpose == purpose)
                && stack_level.is_none_or(|level| one.stack_level == level)
        }
    };
    installed.iter().filter(|one| !fits(one)).copied().collect()
}
