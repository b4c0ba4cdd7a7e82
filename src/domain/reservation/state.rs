//! What is known of one reservation: the fold of its events, and which state may follow which (SE-15). Owns the shape and
//! its bounds; decides nothing.

use crate::clock::Timestamp;
use crate::domain::charger::UserRef;
use crate::domain::money::Money;
use crate::ids::{ConnectorId, PartnerId, RequestId, SessionId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// SE-15: these, and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// The deposit is not there yet; the connector is held meanwhile.
    PendingPayment,
    /// The connector is held for the user.
    Reserved,
    /// The deposit never came.
    Failed,
    /// The user came, and a session began.
    Fulfilled,
    /// Given up: by the user, by an operator, or because the charger failed (RS-2, RS-6).
    Cancelled,
    /// The user did not come (RS-4).
    NoShow,
    /// The user complained (RS-5).
    Disputed,
}

impl Status {
    /// Every state.
    pub const ALL: [Status; 7] = [
        Status::PendingPayment,
        Status::Reserved,
        Status::Failed,
        Status::Fulfilled,
        Status::Cancelled,
        Status::NoShow,
        Status::Disputed,
    ];

    /// Every change of state that there is. `docs/reservations.md` draws it, and a test compares the two.
    pub const TRANSITIONS: [(Status, Status); 6] = [
        (Status::PendingPayment, Status::Reserved),
        (Status::PendingPayment, Status::Failed),
        (Status::Reserved, Status::Fulfilled),
        (Status::Reserved, Status::Cancelled),
        (Status::Reserved, Status::NoShow),
        (Status::Reserved, Status::Disputed),
    ];

    /// Whether it still holds its connector.
    pub const fn is_open(self) -> bool {
        match self {
            Status::PendingPayment | Status::Reserved => true,
            Status::Failed | Status::Fulfilled | Status::Cancelled | Status::NoShow | Status::Disputed => false,
        }
    }

    /// Whether `next` may follow.
    pub fn may_become(self, next: Status) -> bool {
        Status::TRANSITIONS.contains(&(self, next))
    }
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// The user came.
    Arrived,
    /// The user gave it up in time (RS-2).
    CancelledInTime,
    /// The user gave it up late (RS-2).
    CancelledLate,
    /// An operator gave it up.
    CancelledByOperator,
    /// The user did not come (RS-4).
    NoShow,
    /// The user could not charge there, and said so (RS-5).
    Complaint,
    /// The deposit was refused.
    DepositRefused,
    /// The deposit did not come in time.
    DepositLate,
    /// The user gave it up before the deposit was there.
    GivenUpUnpaid,
    /// The charger went offline (RS-6).
    ChargerOffline,
    /// The charger as a whole is faulted (RS-6).
    ChargerFaulted,
    /// The charger as a whole is out of service (RS-6).
    ChargerUnavailable,
    /// The connector is faulted (RS-6).
    ConnectorFaulted,
    /// The connector is out of service (RS-6).
    ConnectorUnavailable,
    /// Somebody charges there whom nobody could refuse.
    ConnectorOccupied,
}

impl EndCause {
    /// Every cause.
    pub const ALL: [EndCause; 15] = [
        EndCause::Arrived,
        EndCause::CancelledInTime,
        EndCause::CancelledLate,
        EndCause::CancelledByOperator,
        EndCause::NoShow,
        EndCause::Complaint,
        EndCause::DepositRefused,
        EndCause::DepositLate,
        EndCause::GivenUpUnpaid,
        EndCause::ChargerOffline,
        EndCause::ChargerFaulted,
        EndCause::ChargerUnavailable,
        EndCause::ConnectorFaulted,
        EndCause::ConnectorUnavailable,
        EndCause::ConnectorOccupied,
    ];

    /// Whether the platform or the charger failed the user: everything is given back, another connector is offered.
    pub const fn is_ours(self) -> bool {
        match self {
            EndCause::ChargerOffline
            | EndCause::ChargerFaulted
            | EndCause::ChargerUnavailable
            | EndCause::ConnectorFaulted
            | EndCause::ConnectorUnavailable
            | EndCause::ConnectorOccupied => true,
            EndCause::Arrived
            | EndCause::CancelledInTime
            | EndCause::CancelledLate
            | EndCause::CancelledByOperator
            | EndCause::NoShow
            | EndCause::Complaint
            | EndCause::DepositRefused
            | EndCause::DepositLate
            | EndCause::GivenUpUnpaid => false,
        }
    }

    /// What the user is told, in Chinese and English.
    pub const fn texts(self) -> (&'static str, &'static str) {
        match self {
            EndCause::Arrived => ("您的预约已开始充电。", "Your reservation has become a charging session."),
            EndCause::CancelledInTime => ("预约已取消，不收取费用。", "Your reservation is cancelled, free of charge."),
            EndCause::CancelledLate => {
                ("预约已取消，按规则收取取消费。", "Your reservation is cancelled; the fee that was shown applies.")
            }
            EndCause::CancelledByOperator => {
                ("运营人员已取消您的预约，不收取费用。", "An operator cancelled your reservation; nothing is charged.")
            }
            EndCause::NoShow => {
                ("您未在预约时间内到达，预约已取消。", "You did not arrive in time; the reservation is over.")
            }
            EndCause::Complaint => {
                ("已收到您的投诉，押金全额退还。", "We have your complaint; the whole deposit is returned.")
            }
            EndCause::DepositRefused => ("押金支付失败，预约未成功。", "The deposit was refused; nothing is reserved."),
            EndCause::DepositLate => {
                ("押金未按时支付，预约未成功。", "The deposit came too late; nothing is reserved.")
            }
            EndCause::GivenUpUnpaid => ("预约已放弃。", "The reservation was given up before it was paid."),
            EndCause::ChargerOffline => {
                ("充电桩离线，押金全额退还。", "The charger went offline; the whole deposit is returned.")
            }
            EndCause::ChargerFaulted => {
                ("充电桩故障，押金全额退还。", "The charger is out of order; the whole deposit is returned.")
            }
            EndCause::ChargerUnavailable => {
                ("充电桩停止服务，押金全额退还。", "The charger is out of service; the whole deposit is returned.")
            }
            EndCause::ConnectorFaulted => {
                ("充电枪故障，押金全额退还。", "The connector is out of order; the whole deposit is returned.")
            }
            EndCause::ConnectorUnavailable => {
                ("充电枪停止服务，押金全额退还。", "The connector is out of service; the whole deposit is returned.")
            }
            EndCause::ConnectorOccupied => {
                ("充电枪已被占用，押金全额退还。", "The connector is occupied; the whole deposit is returned.")
            }
        }
    }
}

/// What it costs, as it was shown and as it is applied (RS-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Set aside first; a partner's contract stands in for it where the partner settles.
    pub deposit: Money,
    /// Until then giving it up costs nothing.
    pub free_until: Timestamp,
    /// Later it costs this.
    pub late_cancel_fee: Money,
    /// Not coming costs this.
    pub no_show_fee: Money,
}

/// How far the deposit is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deposit {
    /// There is none, or it is settled.
    #[default]
    None,
    /// The account has been asked to set it aside.
    Asked,
    /// It is set aside.
    Frozen,
    /// The account has been asked to take the fee and give the rest back.
    Settling,
}

/// How the user came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// By a start through the partner.
    Partner,
    /// By a card at the charger.
    Card,
    /// The charger named the reservation itself (`reservationId`).
    Charger,
}

/// One reservation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reservation {
    /// `None`: it never was.
    pub status: Option<Status>,
    /// Who is told.
    pub partner: Option<PartnerId>,
    /// The partner's name of its request.
    pub request: Option<RequestId>,
    /// For whom: a pseudonym.
    pub user: Option<UserRef>,
    /// The user's personal data, sealed (OP-9).
    pub sealed: Option<Box<str>>,
    /// Where.
    pub connector: ConnectorId,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From when on the user may come.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What it costs.
    pub terms: Option<Terms>,
    /// The partner keeps accounts with us: the deposit is set aside there.
    pub account: bool,
    /// How far the deposit is.
    pub deposit: Deposit,
    /// When the deposit must be there.
    pub payment_due: Option<Timestamp>,
    /// When the account is asked again.
    pub ask_due: Option<Timestamp>,
    /// A start of the user's is under way.
    pub arriving: Option<SessionId>,
    /// The session that it became.
    pub session: Option<SessionId>,
    /// How the user came.
    pub arrival: Option<Arrival>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub cause: Option<EndCause>,
    /// What is taken.
    pub fee: Option<Money>,
    /// How long we were away while it was held, ms (RT-3).
    pub down_ms: u64,
    /// Notices so far.
    pub sequence: u64,
    /// Cases raised.
    pub raised: u32,
}

impl Reservation {
    /// Whether it holds its connector.
    pub fn is_open(&self) -> bool {
        self.status.is_some_and(Status::is_open)
    }

    /// What is given back of the deposit, once it is over.
    pub fn returned(&self) -> Option<Money> {
        let (terms, fee) = (self.terms?, self.fee?);
        self.ended_at?;
        terms.deposit.minus(fee).ok().filter(|rest| rest.minor > 0)
    }

    /// How long it is held.
    pub fn length(&self) -> Duration {
        self.until.since(self.from)
    }
}
