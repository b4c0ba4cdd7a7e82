//! What a charger's error code means (CH-8): its cause, how bad it is, what a person is told in Chinese and English, and
//! what the platform does. Owns the one table; never a charger's state. `docs/fault-codes.md` is made from it.
//!
//! Invariant: every error code of OCPP 1.6 has exactly one meaning here; a vendor's own code has one if the operator
//! gave it one (`[faults]` of `config.toml`), and then that one counts.

pub mod reference;

use crate::domain::charger::ErrorCode;
use crate::domain::charging::Level;
use serde::{Deserialize, Serialize};

/// The cause that a person understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The plug is not locked in its socket.
    ConnectorLock,
    /// The vehicle, its battery management or the talk with it.
    Vehicle,
    /// Current flows to earth.
    Insulation,
    /// Something is too hot.
    OverTemperature,
    /// The charger's own software or hardware.
    Internal,
    /// Something else.
    Other,
    /// Too much current.
    Overload,
    /// Too much voltage.
    OverVoltage,
    /// Too little voltage.
    UnderVoltage,
    /// The energy meter.
    Meter,
    /// The contactor: it may be welded.
    PowerSwitch,
    /// The card reader.
    CardReader,
    /// The radio.
    Signal,
    /// Somebody pressed the emergency stop.
    EmergencyStop,
    /// The housing: a door is open, water or smoke is inside, it fell over.
    Enclosure,
    /// The lock of the parking space or a barrier (CH-10).
    ParkingLock,
}

impl Cause {
    /// Every cause, in the order of the document.
    pub const ALL: [Cause; 16] = [
        Cause::ConnectorLock,
        Cause::Vehicle,
        Cause::Insulation,
        Cause::OverTemperature,
        Cause::Internal,
        Cause::Other,
        Cause::Overload,
        Cause::OverVoltage,
        Cause::UnderVoltage,
        Cause::Meter,
        Cause::PowerSwitch,
        Cause::CardReader,
        Cause::Signal,
        Cause::EmergencyStop,
        Cause::Enclosure,
        Cause::ParkingLock,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::ConnectorLock => "connector_lock",
            Cause::Vehicle => "vehicle",
            Cause::Insulation => "insulation",
            Cause::OverTemperature => "over_temperature",
            Cause::Internal => "internal",
            Cause::Other => "other",
            Cause::Overload => "overload",
            Cause::OverVoltage => "over_voltage",
            Cause::UnderVoltage => "under_voltage",
            Cause::Meter => "meter",
            Cause::PowerSwitch => "power_switch",
            Cause::CardReader => "card_reader",
            Cause::Signal => "signal",
            Cause::EmergencyStop => "emergency_stop",
            Cause::Enclosure => "enclosure",
            Cause::ParkingLock => "parking_lock",
        }
    }
}

/// What the platform does when the fault appears, besides showing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Nothing, unless the connector is `Faulted`: then an alert.
    Nothing,
    /// An alert.
    Alert,
    /// An alert and a ticket.
    Ticket,
    /// A remote reset first, where allowed (CH-9); a ticket where it is not, or when the fault is back.
    Reset,
}

impl Remedy {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Remedy::Nothing => "nothing",
            Remedy::Alert => "alert",
            Remedy::Ticket => "ticket",
            Remedy::Reset => "reset",
        }
    }
}

/// What an error code means, with texts of the table's or of an operator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning<T = &'static str> {
    /// Why.
    pub cause: Cause,
    /// How bad.
    pub severity: Level,
    /// What is done.
    pub remedy: Remedy,
    /// The connector takes no orders even if the charger still calls it free. `Faulted` always is out of offer.
    pub out_of_offer: bool,
    /// What a person is told.
    pub zh: T,
    /// What a person is told.
    pub en: T,
}

const fn meaning(
    kind: (Cause, Level, Remedy),
    out_of_offer: bool,
    zh: &'static str,
    en: &'static str,
) -> Meaning<&'static str> {
    Meaning { cause: kind.0, severity: kind.1, remedy: kind.2, out_of_offer, zh, en }
}

mod table {
    //! The rows, one an error code.

    use super::Cause as C;
    use super::Remedy as R;
    use super::{Meaning, meaning};
    use crate::domain::charging::Level::{Critical, Info, Warning};

    pub(super) const CONNECTOR_LOCK_FAILURE: Meaning = meaning(
        (C::ConnectorLock, Warning, R::Alert),
        true,
        "充电枪未锁好，请拔出后重新插枪。",
        "The plug is not locked. Please unplug it and plug it in again.",
    );
    pub(super) const EV_COMMUNICATION_ERROR: Meaning = meaning(
        (C::Vehicle, Warning, R::Alert),
        false,
        "充电桩与车辆通信异常，请重新插枪或检查车辆。",
        "The charger cannot talk to the vehicle. Please plug in again or check the vehicle.",
    );
    pub(super) const GROUND_FAILURE: Meaning = meaning(
        (C::Insulation, Critical, R::Ticket),
        true,
        "检测到绝缘或接地故障，为了安全请勿触碰，请更换其他充电枪。",
        "An insulation fault was found. For your safety do not touch the plug, and use another connector.",
    );
    pub(super) const HIGH_TEMPERATURE: Meaning = meaning(
        (C::OverTemperature, Critical, R::Ticket),
        true,
        "充电桩温度过高，请更换其他充电枪。",
        "The charger is too hot. Please use another connector.",
    );
    pub(super) const INTERNAL_ERROR: Meaning = meaning(
        (C::Internal, Warning, R::Reset),
        true,
        "充电桩内部故障，请更换其他充电枪。",
        "The charger has an internal fault. Please use another one.",
    );
    pub(super) const LOCAL_LIST_CONFLICT: Meaning = meaning(
        (C::Internal, Info, R::Nothing),
        false,
        "充电桩的本地名单需要同步，不影响充电。",
        "The charger's list of cards has to be renewed. Charging is not affected.",
    );
    pub(super) const OTHER_ERROR: Meaning = meaning(
        (C::Other, Warning, R::Alert),
        false,
        "充电桩报告故障，如无法充电请更换其他充电枪。",
        "The charger reports a fault. If it does not charge, please use another connector.",
    );
    pub(super) const OVER_CURRENT_FAILURE: Meaning = meaning(
        (C::Overload, Critical, R::Ticket),
        true,
        "充电电流过大，已停止充电，请更换其他充电枪。",
        "The current is too high. Charging is stopped; please use another connector.",
    );
    pub(super) const OVER_VOLTAGE: Meaning = meaning(
        (C::OverVoltage, Warning, R::Alert),
        true,
        "电压过高，请稍后再试或更换其他充电枪。",
        "The voltage is too high. Please try later or use another connector.",
    );
    pub(super) const POWER_METER_FAILURE: Meaning = meaning(
        (C::Meter, Critical, R::Ticket),
        true,
        "电表故障，无法计量，请更换其他充电枪。",
        "The energy meter fails, so nothing can be measured. Please use another connector.",
    );
    pub(super) const POWER_SWITCH_FAILURE: Meaning = meaning(
        (C::PowerSwitch, Critical, R::Ticket),
        true,
        "充电桩接触器故障，为了安全请更换其他充电枪。",
        "The charger's power switch fails. For your safety please use another connector.",
    );
    pub(super) const READER_FAILURE: Meaning = meaning(
        (C::CardReader, Warning, R::Ticket),
        false,
        "读卡器故障，请使用手机启动充电。",
        "The card reader fails. Please start with your phone.",
    );
    pub(super) const RESET_FAILURE: Meaning = meaning(
        (C::Internal, Warning, R::Ticket),
        true,
        "充电桩重启失败，请更换其他充电枪。",
        "The charger could not restart. Please use another one.",
    );
    pub(super) const UNDER_VOLTAGE: Meaning = meaning(
        (C::UnderVoltage, Warning, R::Alert),
        true,
        "电压过低，请稍后再试或更换其他充电枪。",
        "The voltage is too low. Please try later or use another connector.",
    );
    pub(super) const WEAK_SIGNAL: Meaning = meaning(
        (C::Signal, Info, R::Nothing),
        false,
        "充电桩网络信号弱，启动或停止可能较慢。",
        "The charger's radio signal is weak. Starting and stopping may take longer.",
    );
}

/// The table: what each error code of OCPP 1.6 means.
pub const fn meaning_of(code: ErrorCode) -> Meaning<&'static str> {
    match code {
        ErrorCode::ConnectorLockFailure => table::CONNECTOR_LOCK_FAILURE,
        ErrorCode::EVCommunicationError => table::EV_COMMUNICATION_ERROR,
        ErrorCode::GroundFailure => table::GROUND_FAILURE,
        ErrorCode::HighTemperature => table::HIGH_TEMPERATURE,
        ErrorCode::InternalError => table::INTERNAL_ERROR,
        ErrorCode::LocalListConflict => table::LOCAL_LIST_CONFLICT,
        ErrorCode::OtherError => table::OTHER_ERROR,
        ErrorCode::OverCurrentFailure => table::OVER_CURRENT_FAILURE,
        ErrorCode::OverVoltage => table::OVER_VOLTAGE,
        ErrorCode::PowerMeterFailure => table::POWER_METER_FAILURE,
        ErrorCode::PowerSwitchFailure => table::POWER_SWITCH_FAILURE,
        ErrorCode::ReaderFailure => table::READER_FAILURE,
        ErrorCode::ResetFailure => table::RESET_FAILURE,
        ErrorCode::UnderVoltage => table::UNDER_VOLTAGE,
        ErrorCode::WeakSignal => table::WEAK_SIGNAL,
    }
}

/// A parking lock or barrier that does not work (CH-10).
pub const PARKING_LOCK: Meaning<&'static str> = meaning(
    (Cause::ParkingLock, Level::Warning, Remedy::Ticket),
    true,
    "地锁或道闸故障，请更换其他车位。",
    "The parking lock or barrier does not work. Please use another space.",
);

/// What `NoError` or no error means while the connector is `Faulted`.
pub const UNNAMED: Meaning<&'static str> = meaning_of(ErrorCode::OtherError);

impl Meaning<&'static str> {
    /// The same with texts of its own, to be kept.
    pub fn kept(&self) -> Meaning<Box<str>> {
        Meaning {
            cause: self.cause,
            severity: self.severity,
            remedy: self.remedy,
            out_of_offer: self.out_of_offer,
            zh: self.zh.into(),
            en: self.en.into(),
        }
    }
}

impl Meaning<Box<str>> {
    /// The same, borrowed.
    pub fn lent(&self) -> Meaning<&str> {
        Meaning {
            cause: self.cause,
            severity: self.severity,
            remedy: self.remedy,
            out_of_offer: self.out_of_offer,
            zh: &self.zh,
            en: &self.en,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_both_texts_and_a_consistent_meaning() {
        for code in ErrorCode::ALL {
            let Meaning { severity, remedy, out_of_offer, zh, en, .. } = meaning_of(code);
            assert!(en.is_ascii() && en.ends_with('.') && en.len() <= 160, "{code:?}: {en}");
            assert!(zh.ends_with('。') && zh.chars().all(|c| !c.is_ascii_alphabetic()), "{code:?}: {zh}");
            assert!(remedy != Remedy::Nothing || !out_of_offer, "{code:?} leaves the offer and nobody is told");
            assert!(severity != Level::Critical || (out_of_offer && remedy == Remedy::Ticket), "{code:?}");
        }
    }

    #[test]
    fn causes_are_written_as_they_are_shown() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
        for remedy in [Remedy::Nothing, Remedy::Alert, Remedy::Ticket, Remedy::Reset] {
            assert_eq!(serde_json::to_value(remedy).unwrap(), remedy.as_str());
        }
    }
}
