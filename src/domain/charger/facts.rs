//! What a charger says, in neutral terms near to OCPP 1.6. Owns the shapes between the protocol room and the rules;
//! nothing here is trusted: numbers may be absurd, times wrong, texts hostile.

use crate::clock::Timestamp;
use crate::config::charger::Charger as Limits;
use crate::domain::fault::{Meaning, meaning_of};
use crate::ids::{ConnectorId, PartnerId, TransactionId};
use serde::{Deserialize, Serialize};

/// Device times before this are no times: clocks that never were set start at 1970 or 2000 (CH-11).
const OLDEST: Timestamp = Timestamp(1_577_836_800_000);

/// A time as the charger wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireTime {
    /// As received.
    pub raw: Box<str>,
    /// As read; `None`: unreadable.
    pub at: Option<Timestamp>,
}

impl WireTime {
    /// The time, if it can be believed (CH-11).
    pub fn plausible(&self, now: Timestamp, limits: &Limits) -> Option<Timestamp> {
        let oldest = OLDEST.max(now - limits.clock_behind);
        self.at.filter(|at| *at >= oldest && *at <= now + limits.clock_ahead)
    }

    /// Whether it tells of the past: then it says nothing about the present (CH-7).
    pub fn is_backlog(&self, now: Timestamp, limits: &Limits) -> bool {
        self.plausible(now, limits).is_some_and(|at| at < now - limits.backlog_after)
    }
}

/// The state of a connector as shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Status {
    /// Free.
    Available,
    /// A vehicle is there or a user authorised, no energy yet.
    Preparing,
    /// Energy flows or may flow.
    Charging,
    /// The vehicle takes none.
    #[serde(rename = "SuspendedEV")]
    SuspendedEv,
    /// The charger gives none.
    #[serde(rename = "SuspendedEVSE")]
    SuspendedEvse,
    /// The transaction is over, the vehicle still there.
    Finishing,
    /// Held for someone.
    Reserved,
    /// Out of offer.
    Unavailable,
    /// Broken.
    Faulted,
    /// Not known right now (CH-4).
    #[default]
    Unknown,
}

/// OCPP 1.6 `ChargePointErrorCode`. What is none of them is `OtherError` with the text as vendor code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the specification's own")]
pub enum ErrorCode {
    ConnectorLockFailure,
    EVCommunicationError,
    GroundFailure,
    HighTemperature,
    InternalError,
    LocalListConflict,
    OtherError,
    OverCurrentFailure,
    OverVoltage,
    PowerMeterFailure,
    PowerSwitchFailure,
    ReaderFailure,
    ResetFailure,
    UnderVoltage,
    WeakSignal,
}

impl ErrorCode {
    /// Every code, in the order of the specification's names.
    pub const ALL: [ErrorCode; 15] = [
        ErrorCode::ConnectorLockFailure,
        ErrorCode::EVCommunicationError,
        ErrorCode::GroundFailure,
        ErrorCode::HighTemperature,
        ErrorCode::InternalError,
        ErrorCode::LocalListConflict,
        ErrorCode::OtherError,
        ErrorCode::OverCurrentFailure,
        ErrorCode::OverVoltage,
        ErrorCode::PowerMeterFailure,
        ErrorCode::PowerSwitchFailure,
        ErrorCode::ReaderFailure,
        ErrorCode::ResetFailure,
        ErrorCode::UnderVoltage,
        ErrorCode::WeakSignal,
    ];
}

/// A fault as the charger told it (CH-8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// OCPP's code.
    pub code: ErrorCode,
    /// The vendor's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Box<str>>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Box<str>>,
    /// What the vendor's code was known to mean when it was told; it counts instead of the code's own meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<Box<Meaning<Box<str>>>>,
}

impl Fault {
    /// A fault as told, before anything is known of its vendor's code.
    pub fn told(code: ErrorCode, vendor: Option<Box<str>>, info: Option<Box<str>>) -> Self {
        Fault { code, vendor, info, meaning: None }
    }

    /// What it means.
    pub fn meaning(&self) -> Meaning<&str> {
        self.meaning.as_ref().map_or_else(|| meaning_of(self.code), |meaning| meaning.lent())
    }

    /// Whether both tell the same; what they were known to mean and the free text may differ.
    pub fn same_code(&self, other: &Fault) -> bool {
        self.code == other.code && self.vendor == other.vendor
    }
}

/// BootNotification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFact {
    /// `chargePointVendor`.
    pub vendor: Box<str>,
    /// `chargePointModel`.
    pub model: Box<str>,
    /// `chargePointSerialNumber`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Box<str>>,
    /// `firmwareVersion`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Box<str>>,
    /// `meterType` and `meterSerialNumber`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<Box<str>>,
    /// `iccid` or `imsi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modem: Option<Box<str>>,
}

/// StatusNotification.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusFact {
    /// 0: the charger as a whole.
    pub connector: ConnectorId,
    /// Its status.
    pub status: Status,
    /// Its fault; `None` for `NoError`.
    pub fault: Option<Fault>,
    /// The vendor's code beside `NoError`: a fault where it is known to mean one.
    pub remark: Option<Box<str>>,
    /// When, if told.
    pub at: Option<WireTime>,
}

/// The pseudonym of an RFID token: its text is personal (OP-9).
pub type TokenRef = Box<str>;

/// The pseudonym of a partner's user (OP-9).
pub type UserRef = Box<str>;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// May charge.
    Accepted,
    /// Reported lost, or its owner is blocked.
    Blocked,
    /// No longer valid.
    Expired,
    /// Not to be used, or not now.
    Invalid,
    /// Nobody knows it; `Invalid` on the wire.
    Unknown,
}

/// What the shell knows of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its pseudonym.
    pub reference: TokenRef,
    /// What it may do.
    pub verdict: Verdict,
    /// The partner and user who hold it.
    pub owner: Option<(PartnerId, UserRef)>,
}

/// An idTag in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// Has the form of our remote starts' tags ([`super::remote_tag::looks_like`]); not personal.
    Remote(Box<str>),
    /// Any other, looked up.
    Token(TokenInfo),
}

impl Tag {
    /// What a message's identity is compared by.
    pub fn print(&self) -> u64 {
        match self {
            Tag::Remote(text) => print(&["remote", text]),
            Tag::Token(info) => print(&["token", &info.reference]),
        }
    }
}

/// A 64-bit FNV-1a of texts: content fingerprints of messages. Not a defence against forgery: a charger that forges
/// its own repeats only harms its own bookkeeping.
pub fn print(parts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        // 0xff is in no UTF-8 text, so parts cannot run into each other.
        for byte in part.bytes().chain(std::iter::once(0xff)) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// StartTransaction.
#[derive(Debug, Clone, PartialEq)]
pub struct StartFact {
    /// Where.
    pub connector: ConnectorId,
    /// By what.
    pub tag: Tag,
    /// The register then, Wh.
    pub meter_start_wh: i64,
    /// The number of the reservation that it ends, as the charger knows it.
    pub reservation: Option<i32>,
    /// When, by the charger's clock.
    pub at: WireTime,
    /// The CALL's unique id.
    pub message_id: Box<str>,
    /// The message broke its schema but could be read (CH-1): what was wrong.
    pub flaw: Option<Box<str>>,
}

/// One moment's measurements of MeterValues or `transactionData`, units normalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, by the charger's clock.
    pub at: WireTime,
    /// Energy.Active.Import.Register, Wh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<i64>,
    /// Power.Active.Import, W.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<i64>,
    /// SoC, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<u8>,
    /// A value was there but is no number that can be used: NaN, a text, an unknown unit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
    /// Signed records, as received.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed: Vec<Box<str>>,
}

/// MeterValues.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterFact {
    /// Where.
    pub connector: ConnectorId,
    /// Of which transaction, if told.
    pub transaction: Option<TransactionId>,
    /// In the order sent.
    pub samples: Vec<Sample>,
}

/// OCPP 1.6 `Reason` of a StopTransaction. What is none of them is `Other`; not told is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the specification's own")]
pub enum StopReason {
    DeAuthorized,
    EmergencyStop,
    EVDisconnected,
    HardReset,
    Local,
    Other,
    PowerLoss,
    Reboot,
    Remote,
    SoftReset,
    UnlockCommand,
}

/// StopTransaction.
#[derive(Debug, Clone, PartialEq)]
pub struct StopFact {
    /// Which; may be unknown to us, 0 or -1.
    pub transaction: TransactionId,
    /// By what, if told.
    pub tag: Option<Tag>,
    /// The register then, Wh; `None`: unreadable.
    pub meter_stop_wh: Option<i64>,
    /// When, by the charger's clock.
    pub at: WireTime,
    /// Why, if told.
    pub reason: Option<StopReason>,
    /// `transactionData`.
    pub data: Vec<Sample>,
    /// The CALL's unique id.
    pub message_id: Box<str>,
    /// The message broke its schema but could be read (CH-1): what was wrong.
    pub flaw: Option<Box<str>>,
}
