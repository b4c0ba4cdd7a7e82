//! What is known of one session: the fold of its events. Owns the shape and its bounds; decides nothing.

use super::pricing::Shown;
use super::reasons::End;
use crate::clock::Timestamp;
use crate::domain::charger::{Fault, Sample, Status as ConnectorStatus, StopReason, TokenRef, UserRef, WireTime};
use crate::ids::{ConnectorId, PartnerId, RequestId, ReservationId, TransactionId};
use serde::{Deserialize, Serialize};

/// Readings kept of a session; past it every other one is dropped and the spacing doubles. 96 are one each quarter of
/// an hour of a day, below 10 kB in the final row; the journal has them all.
pub(super) const READINGS_MAX: usize = 96;

/// Stop requests whose result is awaited. More than a user's impatience makes.
pub(super) const REQUESTS_MAX: usize = 8;

/// SE-15: these, and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Asked for; the charger has not begun.
    Starting,
    /// The charger has begun and not ended.
    Charging,
    /// Told to stop, without success so far (SE-7).
    StopPending,
    /// Over.
    Ended,
    /// Never began for us (SE-4).
    Failed,
    /// Open, and something is wrong with it (SE-10).
    Abnormal,
}

/// When to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// At this energy, Wh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<u32>,
    /// After this time, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u32>,
    /// At this amount, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u32>,
    /// At this state of charge, percent, where the charger tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<u8>,
}

/// Why we stop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StopCause {
    /// The partner asked.
    Partner,
    /// An operator asked.
    Operator,
    /// The energy asked for is reached.
    EnergyLimit,
    /// The state of charge asked for is reached.
    SocLimit,
    /// The time asked for is over.
    DurationLimit,
    /// The amount set aside, or asked for, would be exceeded (SE-11).
    AmountLimit,
    /// It lasted too long (SE-10).
    TooLong,
    /// Its token may not charge.
    DeAuthorized,
    /// It began after it had been given up (SE-5).
    LateStart,
}

/// What a reader of a session must know. A bit each in [`Flags`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Flag {
    /// A device time could not be believed; ours was used (CH-11).
    ClockImplausible,
    /// A register went backwards (SE-14).
    MeterBackwards,
    /// A register jumped beyond any power (SE-14).
    EnergyImplausible,
    /// A measurement was no number (CH-1).
    ReadingUnreadable,
    /// Time without readings (SE-9).
    ReadingGap,
    /// Samples were missed while charging (SE-9).
    SamplesMissed,
    /// The final register is missing; the last reading stands for it (SE-9).
    Estimated,
    /// It began after it had been given up (SE-5).
    LateStart,
    /// The charger's account came after it was settled (SE-8).
    SettledLate,
    /// Readings came after its end (CH-7).
    ReadingsAfterStop,
    /// Its stop came before its start (CH-7).
    StopBeforeStart,
    /// Its end is before its start by the charger's clock (CH-11).
    EndBeforeStart,
    /// Its stop named no transaction (CH-7).
    TransactionIdMissing,
    /// A message id was used before with other content (CH-7).
    MessageIdReused,
    /// A message broke its schema but could be read (CH-1).
    SchemaBroken,
    /// The charger called its only connector 0.
    ConnectorZero,
    /// It ran at a connector that is not registered.
    ConnectorUnknown,
    /// It ran at another connector than the one asked for.
    OtherConnector,
    /// It was begun with a token that may not charge.
    DeAuthorized,
    /// It arrived with a charger's backlog (CH-7).
    Backlog,
    /// It lasted too long (SE-10).
    TooLong,
    /// The vehicle takes no energy.
    SuspendedByVehicle,
    /// The charger gives no energy.
    SuspendedByCharger,
    /// Readings were thinned to the bound.
    ReadingsThinned,
    /// Its start was told twice, at two registers (CH-7).
    StartContradicted,
}

impl Flag {
    /// Every flag, in the order of their bits.
    pub const ALL: [Flag; 25] = [
        Flag::ClockImplausible,
        Flag::MeterBackwards,
        Flag::EnergyImplausible,
        Flag::ReadingUnreadable,
        Flag::ReadingGap,
        Flag::SamplesMissed,
        Flag::Estimated,
        Flag::LateStart,
        Flag::SettledLate,
        Flag::ReadingsAfterStop,
        Flag::StopBeforeStart,
        Flag::EndBeforeStart,
        Flag::TransactionIdMissing,
        Flag::MessageIdReused,
        Flag::SchemaBroken,
        Flag::ConnectorZero,
        Flag::ConnectorUnknown,
        Flag::OtherConnector,
        Flag::DeAuthorized,
        Flag::Backlog,
        Flag::TooLong,
        Flag::SuspendedByVehicle,
        Flag::SuspendedByCharger,
        Flag::ReadingsThinned,
        Flag::StartContradicted,
    ];
}

/// A set of flags. Journaled as the list of its events, in snapshots as bits in the order of [`Flag::ALL`], which only
/// ever grows at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(u32);

impl Flags {
    /// Whether it is set.
    pub fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    pub(super) fn set(&mut self, flag: Flag, on: bool) {
        match on {
            true => self.0 |= 1 << flag as u8,
            false => self.0 &= !(1 << flag as u8),
        }
    }

    /// Those that are set.
    pub fn list(self) -> Vec<Flag> {
        Flag::ALL.into_iter().filter(|flag| self.has(*flag)).collect()
    }
}

/// Why a session failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code.
    pub code: Box<str>,
    /// One sentence.
    pub message: Box<str>,
    /// The start is certain never to have reached the charger.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
}

impl Failure {
    fn new(code: &str, message: &str, unsent: bool) -> Self {
        Failure { code: code.into(), message: message.into(), unsent }
    }

    /// Check the plug (SE-4).
    pub fn plug_not_connected() -> Self {
        Self::new("plug_not_connected", "the vehicle is not plugged in: check the plug and try again", false)
    }

    /// The charger said no.
    pub fn refused(status: ConnectorStatus) -> Self {
        Self::new("charger_refused", &format!("the charger refused to start; its connector is {status:?}"), false)
    }

    /// The charger answered with an error.
    pub fn call_error(code: &str, description: &str) -> Self {
        let (code, description) = (code.escape_debug(), description.escape_debug());
        Self::new("charger_refused", &format!("the charger answered {code}: {description}"), false)
    }

    /// The socket went before the command was sent.
    pub fn offline() -> Self {
        Self::new("charger_offline", "the charger went offline before it could be told to start", true)
    }

    /// Stopped before it was sent.
    pub fn cancelled() -> Self {
        Self::new("cancelled", "stopped before the charger was told to start", true)
    }

    /// No money could be set aside (SE-3): the account's own code says why.
    pub fn funds(code: &str) -> Self {
        let message = match code {
            "insufficient_funds" => "there is too little in the account",
            "unpaid_order" => "an earlier order is not paid",
            "user_blocked" => "the user may not start",
            _ => "the account refused to set an amount aside",
        };
        let code = Self::FUNDS.into_iter().find(|known| *known == code).unwrap_or("funds_refused");
        Self::new(code, message, true)
    }

    /// The codes of [`Failure::funds`].
    pub const FUNDS: [&'static str; 4] = ["insufficient_funds", "unpaid_order", "user_blocked", "funds_refused"];

    /// Another vehicle began there first.
    pub fn occupied() -> Self {
        Self::new("connector_occupied", "another charging began at this connector first", false)
    }

    /// No confirmation in time (SE-4).
    pub fn no_confirmation() -> Self {
        Self::new("no_confirmation", "the charger did not begin in time; a late start will be stopped", false)
    }

    /// Every code, for the error catalogue.
    pub const CODES: [&'static str; 10] = [
        "plug_not_connected",
        "charger_refused",
        "charger_offline",
        "cancelled",
        "connector_occupied",
        "no_confirmation",
        "insufficient_funds",
        "unpaid_order",
        "user_blocked",
        "funds_refused",
    ];
}

/// Whose local session it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The token's pseudonym.
    pub token: TokenRef,
    /// The partner and user who hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<(PartnerId, UserRef)>,
}

/// A transaction's start, as its charger hands it to the session.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Its id.
    pub transaction: TransactionId,
    /// Where.
    pub connector: ConnectorId,
    /// The register.
    pub meter_start_wh: i64,
    /// When, by the charger's clock.
    pub at: WireTime,
    /// What is odd about it.
    pub flags: Vec<Flag>,
    /// Whose, if it is a local one.
    pub owner: Option<Owner>,
    /// The reservation that it ends (RS-3).
    pub reservation: Option<ReservationId>,
    /// What its user was shown, if it is a local one.
    pub shown: Option<Shown>,
}

/// A transaction's end, as its charger hands it to the session.
#[derive(Debug, Clone)]
pub struct Ending {
    /// The register; `None`: not told or unreadable.
    pub meter_stop_wh: Option<i64>,
    /// When, by the charger's clock.
    pub at: WireTime,
    /// Why.
    pub reason: Option<StopReason>,
    /// `transactionData`.
    pub data: Vec<Sample>,
    /// What is odd about it.
    pub flags: Vec<Flag>,
}

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When: the charger's time if plausible, else ours.
    pub at: Timestamp,
    /// The register, Wh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<i64>,
    /// W.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<i32>,
    /// Percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<u8>,
}

/// A stop under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// Why: the first cause stands.
    pub cause: StopCause,
    /// How often it was sent since the charger was last connected; one more once it is tried slowly.
    pub attempts: u8,
    /// When to try again; `None`: on reconnect.
    pub next_due: Option<Timestamp>,
    /// The partner's requests whose result is awaited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RequestId>,
}

/// How long silence is borne, as it was configured when the transaction began. Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Before samples count as missed.
    pub missed_ms: u64,
    /// Before it is settled.
    pub settle_ms: u64,
    /// Before it is settled when its connector is free again.
    pub vanished_ms: u64,
}

/// One session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// `None`: it never was, or is forgotten.
    pub status: Option<Status>,
    /// Who is told.
    pub partner: Option<PartnerId>,
    /// The partner's name of the start.
    pub request: Option<RequestId>,
    /// For whom: a pseudonym.
    pub user: Option<UserRef>,
    /// The user's personal data, sealed (OP-9).
    pub sealed: Option<Box<str>>,
    /// The reservation that it ends or ended: two orders, linked (SE-15).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationId>,
    /// What its user was shown: it has an order, and is billed so (MO-2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// What is set aside for it, minor units (SE-11).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funds: Option<i64>,
    /// The user knows that it is nearly used up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub funds_warned: bool,
    /// The token of a local session: a pseudonym.
    pub token: Option<TokenRef>,
    /// Where; 0 before it is anywhere.
    pub connector: ConnectorId,
    /// When it was asked for, or began.
    pub created_at: Timestamp,
    /// When to stop.
    pub limits: Limits,
    /// When the start is given up.
    pub start_due: Option<Timestamp>,
    /// Its transaction.
    pub transaction: Option<TransactionId>,
    /// When it began: the charger's time if plausible.
    pub started_at: Option<Timestamp>,
    /// The register then.
    pub meter_start_wh: i64,
    /// The highest plausible register.
    pub register_wh: i64,
    /// The final register as told.
    pub meter_stop_wh: Option<i64>,
    /// The last power.
    pub power_w: Option<i32>,
    /// The last state of charge.
    pub soc_percent: Option<u8>,
    /// When the last reading came, by our clock.
    pub heard_at: Timestamp,
    /// When the last reading was taken.
    pub read_at: Timestamp,
    /// The same by the charger's own clock, where that is not plausible (CH-11).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// What is kept of the readings.
    pub readings: Vec<Reading>,
    /// The least time between two of them, ms; doubles when they are thinned.
    pub spacing_ms: i64,
    /// How long silence is borne.
    pub patience: Patience,
    /// When samples count as missed.
    pub missed_due: Option<Timestamp>,
    /// When it is settled without its stop.
    pub settle_due: Option<Timestamp>,
    /// When it is settled because its connector is free.
    pub vanished_due: Option<Timestamp>,
    /// When it is too long.
    pub max_due: Option<Timestamp>,
    /// When the time asked for is over.
    pub duration_due: Option<Timestamp>,
    /// A stop under way.
    pub stop: Option<Box<Stopping>>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub end: Option<End>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What its connector last said.
    pub seen: Option<ConnectorStatus>,
    /// With what fault.
    pub fault: Option<Box<Fault>>,
    /// What is odd about it.
    pub flags: Flags,
    /// Notices sent so far: contiguous from 1.
    pub sequence: u64,
    /// When its partner last heard of its progress.
    pub progress_at: Option<Timestamp>,
    /// When it leaves memory.
    pub forget_due: Option<Timestamp>,
    /// Signed records so far.
    #[serde(skip_serializing_if = "is_zero")]
    pub signed: u16,
    /// Cases raised.
    pub raised: u32,
}

/// Most meters sign nothing.
const fn is_zero(count: &u16) -> bool {
    *count == 0
}

impl Session {
    /// The charger has begun its transaction and not ended it.
    pub fn is_running(&self) -> bool {
        self.transaction.is_some() && self.ended_at.is_none()
    }

    /// It is not over (SE-15).
    pub fn is_open(&self) -> bool {
        match self.status {
            Some(Status::Starting | Status::Charging | Status::StopPending | Status::Abnormal) => true,
            Some(Status::Ended | Status::Failed) | None => false,
        }
    }

    /// Energy so far, Wh: never negative, never less than before.
    pub fn energy_wh(&self) -> u64 {
        u64::try_from(self.register_wh.saturating_sub(self.meter_start_wh)).unwrap_or(0)
    }
}
