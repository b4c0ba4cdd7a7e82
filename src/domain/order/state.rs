//! What is known of one order: the fold of its events. Owns the shape, the states of SE-15 and which follows which.

use super::stay::Stay;
use crate::clock::Timestamp;
use crate::domain::charger::UserRef;
use crate::domain::money::{Currency, Money};
use crate::domain::pricing::Bill;
use crate::ids::{ConnectorId, OrderId, PartnerId, RequestId, ReservationId, SessionId, SiteId, TariffId};
use serde::{Deserialize, Serialize};

/// SE-15: these, and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Asked for (PLACE); nothing has begun.
    Placed,
    /// It never began (FAIL): nothing is taken.
    Failed,
    /// Energy flows, or the bill is being settled.
    Open,
    /// A person looks at it before anything is taken (MO-7, SE-14).
    UnderReview,
    /// There was too little; the user is asked to pay (MO-5).
    AwaitingPayment,
    /// Settled (PAYED).
    Paid,
    /// Debt (UNPAID): no new start until it is paid (MO-4).
    Unpaid,
}

impl Status {
    /// Every state.
    pub const ALL: [Status; 7] = [
        Status::Placed,
        Status::Failed,
        Status::Open,
        Status::UnderReview,
        Status::AwaitingPayment,
        Status::Paid,
        Status::Unpaid,
    ];

    /// Which follows which: the table that `docs/orders.md` draws.
    pub const TRANSITIONS: [(Status, Status); 12] = [
        (Status::Placed, Status::Failed),
        (Status::Placed, Status::Open),
        (Status::Open, Status::UnderReview),
        (Status::Open, Status::AwaitingPayment),
        (Status::Open, Status::Paid),
        (Status::Open, Status::Unpaid),
        (Status::UnderReview, Status::AwaitingPayment),
        (Status::UnderReview, Status::Paid),
        (Status::UnderReview, Status::Unpaid),
        (Status::AwaitingPayment, Status::Paid),
        (Status::AwaitingPayment, Status::Unpaid),
        (Status::Unpaid, Status::Paid),
    ];

    /// Whether it may become `next`.
    pub fn may_become(self, next: Status) -> bool {
        Self::TRANSITIONS.contains(&(self, next))
    }

    /// Whether nothing leads on from it.
    pub fn is_final(self) -> bool {
        match self {
            Status::Failed | Status::Paid => true,
            Status::Placed | Status::Open | Status::UnderReview | Status::AwaitingPayment | Status::Unpaid => false,
        }
    }
}

/// What an order is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A session.
    #[default]
    Charging,
    /// Staying after a session (SE-13).
    Occupancy,
}

/// What a session hands to its order when it is placed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// What it is for.
    #[serde(default)]
    pub kind: Kind,
    /// Of which session.
    pub session: SessionId,
    /// The other order of that session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<OrderId>,
    /// The reservation that the session ended: two orders, linked (SE-15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationId>,
    /// Who is told.
    pub partner: PartnerId,
    /// For whom: a pseudonym.
    pub user: UserRef,
    /// The user's personal data, sealed (OP-9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<str>>,
    /// Where: the site, as far as it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
    /// Where.
    pub connector: ConnectorId,
    /// The user has an account with us. Otherwise the partner settles.
    pub account: bool,
    /// The tariff that was shown, and is billed (MO-2).
    pub tariff: TariffId,
    /// Its version.
    pub version: u32,
    /// Of all amounts.
    pub currency: Currency,
    /// What is set aside first; nothing for an order whose money is kept from another's.
    pub freeze: i64,
    /// When.
    pub at: Timestamp,
}

/// Why a person must look (SE-14, MO-7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// A register that began below zero.
    NegativeReading,
    /// A register went backwards.
    MeterBackwards,
    /// More energy than any power delivers.
    ImpossiblePower,
    /// Its end is before its start.
    EndBeforeStart,
    /// Energy, and nothing to pay.
    EnergyWithoutFee,
    /// It could not be priced.
    NoPrice,
    /// It is large (MO-7).
    Large,
    /// What came late changes what was taken already.
    ChangedAfterwards,
}

impl Doubt {
    /// Every doubt.
    pub const ALL: [Doubt; 8] = [
        Doubt::NegativeReading,
        Doubt::MeterBackwards,
        Doubt::ImpossiblePower,
        Doubt::EndBeforeStart,
        Doubt::EnergyWithoutFee,
        Doubt::NoPrice,
        Doubt::Large,
        Doubt::ChangedAfterwards,
    ];
}

/// How far the amount is that was set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Hold {
    /// None was asked for.
    #[default]
    None,
    /// It comes from the linked order's capture (SE-13).
    Awaited,
    /// Asked for; it may be there.
    Asked,
    /// It is there.
    Open,
    /// Captured or released.
    Closed,
}

/// One thing that the account is asked. Its cause is made from it, so that a repeat is the same (MO-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Sets the first amount aside.
    Freeze,
    /// Sets more aside, the n-th time.
    Extend {
        /// From 1.
        n: u32,
        /// Minor units.
        minor: i64,
    },
    /// Gives it all back.
    Release,
    /// Takes what is to be paid, out of what is set aside first.
    Capture,
    /// Takes what is to be paid, out of the balance.
    Charge,
    /// Pays what is owed.
    Pay {
        /// From 1.
        n: u32,
    },
    /// Gives back what was taken.
    Refund {
        /// From 1.
        n: u32,
        /// Minor units.
        minor: i64,
    },
    /// Counts the failed start (OP-1).
    NoteFailure,
}

/// What the account was asked and has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outstanding {
    /// What.
    pub ask: Ask,
    /// Since when.
    pub since: Timestamp,
    /// How often.
    pub tries: u32,
    /// When it is asked again.
    pub due: Timestamp,
    /// Operators know that it takes long.
    #[serde(default)]
    pub told: bool,
}

/// A refund that waits for a second person (MO-6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// Minor units.
    pub minor: i64,
    /// Who wants it.
    pub by: Box<str>,
    /// Since when.
    pub at: Timestamp,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_zero(minor: &i64) -> bool {
    *minor == 0
}

/// One order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Order {
    /// `None`: it never was, or has left memory.
    pub status: Option<Status>,
    /// How it was placed.
    pub placed: Option<Box<Placed>>,
    /// The other order of its session, once there is one.
    pub linked: Option<OrderId>,
    /// What is kept for the linked order when this one is captured, minor units.
    pub keep: i64,
    /// How far the amount set aside is.
    pub hold: Hold,
    /// What is set aside as far as known, minor units.
    pub frozen: i64,
    /// How often it was extended.
    pub extended: u32,
    /// The name of the last extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extend_request: Option<RequestId>,
    /// What the account has not answered.
    pub outstanding: Option<Outstanding>,
    /// More is to be set aside, minor units.
    pub extend: Option<i64>,
    /// The newest bill.
    pub bill: Option<Box<Bill>>,
    /// What is to be taken: the bill's total, or what a person said. `None`: not decided.
    pub charge: Option<i64>,
    /// What was taken in all, refunds not deducted, minor units.
    pub taken: i64,
    /// What a coupon has paid (MO-8), minor units.
    #[serde(skip_serializing_if = "is_zero")]
    pub discount: i64,
    /// Which coupon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupon: Option<Box<str>>,
    /// What is owed, minor units.
    pub debt: i64,
    /// What was given back after it was taken, minor units.
    pub refunded: i64,
    /// How often something was given back.
    pub refunds: u32,
    /// To be given back, minor units.
    pub refund: Option<i64>,
    /// A person wants so much to be given back; another one has to agree (MO-6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_proposed: Option<Proposed>,
    /// The user wants to pay.
    pub paying: bool,
    /// How often the user tried to pay.
    pub payments: u32,
    /// Why a person must look.
    pub doubts: Vec<Doubt>,
    /// Why it failed.
    pub failure: Option<Box<str>>,
    /// The account is to count the failed start (OP-1).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub note_failure: bool,
    /// Who settled it by hand.
    pub settled_by: Option<Box<str>>,
    /// The user contests the bill (MO-9).
    pub contested: bool,
    /// Until when payment is awaited.
    pub payment_due: Option<Timestamp>,
    /// When the user is reminded.
    pub remind_due: Option<Timestamp>,
    /// The newest figures that count towards its partner's statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated: Option<super::stated::Stated>,
    /// Staying after the end.
    pub stay: Option<Box<Stay>>,
    /// When it came to its end.
    pub ended_at: Option<Timestamp>,
    /// When it leaves memory.
    pub forget_due: Option<Timestamp>,
    /// Notices sent so far: contiguous from 1.
    pub sequence: u64,
    /// Cases raised.
    pub raised: u32,
}

impl Order {
    /// Of all its amounts.
    pub fn currency(&self) -> Currency {
        self.placed.as_ref().map_or(Currency::CNY, |placed| placed.currency)
    }

    /// An amount of this order.
    pub fn amount(&self, minor: i64) -> Money {
        Money::new(minor, self.currency())
    }

    /// Whether its user has an account with us.
    pub fn has_account(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| placed.account)
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.placed.as_ref().map_or(Kind::Charging, |placed| placed.kind)
    }

    /// Whether its money is not settled yet.
    pub fn is_open(&self) -> bool {
        self.status.is_some_and(|status| !status.is_final())
    }

    /// Whether an amount has been captured, or a partner was told to settle.
    pub fn is_settled(&self) -> bool {
        match self.status {
            Some(Status::Paid | Status::Unpaid | Status::AwaitingPayment) => true,
            Some(Status::Placed | Status::Failed | Status::Open | Status::UnderReview) | None => false,
        }
    }

    /// Whether it fails before the eyes of people.
    pub fn is_public_kind(&self) -> bool {
        self.kind() == Kind::Charging
    }

    /// Whether its money still has to come from the linked order's.
    pub fn awaits_kept(&self) -> bool {
        self.hold == Hold::Awaited
    }

    /// Whether people hear of it: staying within the grace time costs nothing and is told to nobody.
    pub fn is_public(&self) -> bool {
        match (self.kind(), self.status) {
            (Kind::Charging, _) => true,
            (Kind::Occupancy, Some(Status::Placed | Status::Failed) | None) => false,
            (
                Kind::Occupancy,
                Some(Status::Open | Status::UnderReview | Status::AwaitingPayment | Status::Paid | Status::Unpaid),
            ) => true,
        }
    }
}
