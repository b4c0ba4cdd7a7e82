//! Why a session ended (SE-6): the one table of reasons, and how they follow from what the charger said, what we asked,
//! and what was seen before. `docs/end-reasons.md` shows it; a test holds the two together.

use super::state::{Session, StopCause};
use crate::domain::charger::{Status, StopReason};
use crate::domain::fault::Cause;
use serde::{Deserialize, Serialize};

/// A battery at or above this counts as full, percent: many vehicles stop at 99.
const FULL_SOC: u8 = 99;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The user stopped it through the partner.
    UserStop,
    /// An operator stopped it.
    OperatorStop,
    /// The user stopped it at the charger: card or button.
    LocalStop,
    /// The energy asked for is reached.
    EnergyLimit,
    /// The state of charge asked for is reached.
    SocLimit,
    /// The time asked for is over.
    DurationLimit,
    /// The amount set aside, or asked for, is used up (SE-11).
    AmountLimit,
    /// It lasted too long (SE-10).
    MaxDuration,
    /// The battery is full.
    Full,
    /// The vehicle or its battery management ended it.
    Vehicle,
    /// The plug was pulled.
    PlugPulled,
    /// The charger failed.
    Fault,
    /// Somebody pressed the emergency stop.
    EmergencyStop,
    /// The charger lost power.
    PowerLoss,
    /// Its token may not charge.
    DeAuthorized,
    /// It began after it had been given up (SE-5).
    LateStart,
    /// The charger never came back (SE-9).
    ConnectionLost,
    /// The charger began another transaction at the same connector without ending this one.
    Superseded,
    /// The charger was reset by command.
    Reset,
    /// The charger restarted by itself.
    Reboot,
    /// The connector was unlocked by command.
    Unlock,
    /// Something else.
    Other,
}

/// Every reason, with what it follows from: the rows of `docs/end-reasons.md`.
pub const TABLE: [(EndReason, &str, &str); 22] = [
    (EndReason::UserStop, "the user stopped it through the partner", "`Remote` after the partner's stop"),
    (EndReason::OperatorStop, "an operator stopped it", "`Remote` after an operator's stop"),
    (EndReason::LocalStop, "the user stopped it at the charger", "`Local`, or no reason told"),
    (EndReason::EnergyLimit, "the energy asked for is reached", "`Remote` after our stop at the limit"),
    (EndReason::SocLimit, "the state of charge asked for is reached", "`Remote` after our stop at the limit"),
    (EndReason::DurationLimit, "the time asked for is over", "`Remote` after our stop at the limit"),
    (EndReason::AmountLimit, "the amount set aside or asked for is used up", "`Remote` after our stop at the limit"),
    (EndReason::MaxDuration, "it lasted too long", "`Remote` after our stop of an `Abnormal` session"),
    (EndReason::Full, "the battery is full", "inferred: `Other` or no reason, vehicle suspended, charge 99 % or more"),
    (
        EndReason::Vehicle,
        "the vehicle ended it",
        "inferred: `Other`, vehicle suspended; or as `fault`, with a cause of the vehicle",
    ),
    (EndReason::PlugPulled, "the plug was pulled", "`EVDisconnected`"),
    (
        EndReason::Fault,
        "the charger failed",
        "inferred: `Other`, `Local` or no reason while `Faulted`; `error` names the cause",
    ),
    (
        EndReason::EmergencyStop,
        "somebody pressed the emergency stop",
        "`EmergencyStop`, or inferred: as `fault`, with a vendor's code of that cause",
    ),
    (EndReason::PowerLoss, "the charger lost power", "`PowerLoss`"),
    (
        EndReason::DeAuthorized,
        "its token may not charge",
        "`DeAuthorized`, or `Remote` after our stop of such a session",
    ),
    (
        EndReason::LateStart,
        "it began after it had been given up",
        "`Remote` or `DeAuthorized` after our stop of a late start",
    ),
    (EndReason::ConnectionLost, "the charger never came back", "no StopTransaction: settled from the last reading"),
    (EndReason::Superseded, "another transaction began there", "no StopTransaction: settled from the last reading"),
    (EndReason::Reset, "the charger was reset", "`HardReset`, `SoftReset`"),
    (EndReason::Reboot, "the charger restarted by itself", "`Reboot`"),
    (EndReason::Unlock, "the connector was unlocked by command", "`UnlockCommand`"),
    (EndReason::Other, "something else", "`Other`, or `Remote` without a stop of ours"),
];

/// A reason, and whether it was inferred because OCPP 1.6 cannot say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// It does not follow from the charger's word alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
}

const fn told(reason: EndReason) -> End {
    End { reason, inferred: false }
}

const fn inferred(reason: EndReason) -> End {
    End { reason, inferred: true }
}

/// What our own stop makes of the end.
const fn of_cause(cause: StopCause) -> EndReason {
    match cause {
        StopCause::Partner => EndReason::UserStop,
        StopCause::Operator => EndReason::OperatorStop,
        StopCause::EnergyLimit => EndReason::EnergyLimit,
        StopCause::SocLimit => EndReason::SocLimit,
        StopCause::DurationLimit => EndReason::DurationLimit,
        StopCause::AmountLimit => EndReason::AmountLimit,
        StopCause::TooLong => EndReason::MaxDuration,
        StopCause::DeAuthorized => EndReason::DeAuthorized,
        StopCause::LateStart => EndReason::LateStart,
    }
}

/// Why a session ended whose charger told `reason`.
pub fn end_of(session: &Session, reason: Option<StopReason>) -> End {
    let cause = session.stop.as_ref().map(|stop| stop.cause);
    match reason {
        Some(StopReason::Remote) => cause.map_or(inferred(EndReason::Other), |cause| told(of_cause(cause))),
        Some(StopReason::DeAuthorized) if cause == Some(StopCause::LateStart) => told(EndReason::LateStart),
        Some(StopReason::DeAuthorized) => told(EndReason::DeAuthorized),
        Some(StopReason::EmergencyStop) => told(EndReason::EmergencyStop),
        Some(StopReason::EVDisconnected) => told(EndReason::PlugPulled),
        Some(StopReason::HardReset | StopReason::SoftReset) => told(EndReason::Reset),
        Some(StopReason::Reboot) => told(EndReason::Reboot),
        Some(StopReason::PowerLoss) => told(EndReason::PowerLoss),
        Some(StopReason::UnlockCommand) => told(EndReason::Unlock),
        Some(StopReason::Local) => of_fault(session).unwrap_or(told(EndReason::LocalStop)),
        Some(StopReason::Other) => of_fault(session)
            .or_else(|| of_vehicle(session))
            .or(cause.map(|cause| inferred(of_cause(cause))))
            .unwrap_or(told(EndReason::Other)),
        None => of_fault(session)
            .or(cause.map(|cause| inferred(of_cause(cause))))
            .or_else(|| of_vehicle(session).filter(|end| end.reason == EndReason::Full))
            .unwrap_or(told(EndReason::LocalStop)),
    }
}

fn of_fault(session: &Session) -> Option<End> {
    if session.seen != Some(Status::Faulted) {
        return None;
    }
    Some(inferred(match session.fault.as_ref().map(|fault| fault.meaning().cause) {
        Some(Cause::Vehicle) => EndReason::Vehicle,
        Some(Cause::EmergencyStop) => EndReason::EmergencyStop,
        Some(
            Cause::ConnectorLock
            | Cause::Insulation
            | Cause::OverTemperature
            | Cause::Internal
            | Cause::Other
            | Cause::Overload
            | Cause::OverVoltage
            | Cause::UnderVoltage
            | Cause::Meter
            | Cause::PowerSwitch
            | Cause::CardReader
            | Cause::Signal
            | Cause::Enclosure
            | Cause::ParkingLock,
        )
        | None => EndReason::Fault,
    }))
}

fn of_vehicle(session: &Session) -> Option<End> {
    let suspended = session.seen == Some(Status::SuspendedEv);
    let full = session.soc_percent.is_some_and(|soc| soc >= FULL_SOC);
    suspended.then(|| inferred(if full { EndReason::Full } else { EndReason::Vehicle }))
}
