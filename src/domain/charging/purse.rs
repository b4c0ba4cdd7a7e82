//! What entities of a charger's partition ask of a user's account, and what they are answered (MO-3, MO-4). Owns the
//! narrow shape between the two partitions; never a balance, nor whether one suffices.
//!
//! Every request is named by its `cause` and may be sent again until it is answered: the account answers a cause that it
//! knows with what it answered first. Who asks keeps in its own state what has not been answered, so nothing is forgotten.
//!
//! A freeze is named by its cause. The first two parts of that name, `order/<id>` or `reservation/<id>`, are the order's
//! name in the books.

use crate::domain::charger::UserRef;
use crate::domain::money::Money;
use crate::ids::PartnerId;
use serde::{Deserialize, Serialize};

/// Whose account: a user of a partner that keeps accounts with us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRef {
    /// The partner.
    pub partner: PartnerId,
    /// Its user's pseudonym.
    pub user: UserRef,
    /// The partner's own name of the user, sealed (OP-9): whose account it is, should it have no owner yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<str>>,
}

/// What an amount was earned with: where a line of a bill goes in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Income {
    /// Electricity.
    Electricity,
    /// Service, and what else a session costs.
    Service,
    /// Staying after the end (SE-13).
    Occupancy,
    /// Reservations (RS-2, RS-4).
    Reservation,
}

/// What of a freeze stays set aside after its capture, under a name of its own (SE-13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// The name of the freeze that it becomes.
    pub freeze: Box<str>,
    /// At most this much, if as much is left.
    pub amount: Money,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountRequest {
    /// Sets an amount aside under the cause.
    Freeze {
        /// Names the freeze for ever.
        cause: Box<str>,
        /// How much.
        amount: Money,
    },
    /// Sets more aside under a freeze.
    Extend {
        /// Names this extension.
        cause: Box<str>,
        /// Of which freeze.
        freeze: Box<str>,
        /// How much more.
        amount: Money,
    },
    /// Takes an amount: out of a freeze, then out of the balance; what is not there is owed. The rest of the freeze is given
    /// back.
    Capture {
        /// Names this capture.
        cause: Box<str>,
        /// Of which freeze.
        freeze: Box<str>,
        /// How much; zero gives all of it back.
        amount: Money,
        /// What it was earned with; adds up to the amount.
        lines: Vec<(Income, Money)>,
        /// What stays set aside.
        keep: Option<Keep>,
        /// The user's best coupon may pay part of it (MO-8).
        coupon: bool,
    },
    /// The same without a freeze.
    Charge {
        /// Names this charge.
        cause: Box<str>,
        /// The name that the freeze would have: of it only the order counts.
        freeze: Box<str>,
        /// How much, more than nothing.
        amount: Money,
        /// What it was earned with; adds up to the amount.
        lines: Vec<(Income, Money)>,
        /// The user's best coupon may pay part of it (MO-8).
        coupon: bool,
    },
    /// Gives a freeze back, whole; one that never was is as good as given back, and never comes to be.
    Release {
        /// Names this release.
        cause: Box<str>,
        /// Of which freeze.
        freeze: Box<str>,
    },
    /// Pays what is owed for a capture that fell short, out of the balance.
    PayDebt {
        /// Names this payment.
        cause: Box<str>,
        /// Of which freeze.
        freeze: Box<str>,
        /// What is owed.
        amount: Money,
    },
    /// Gives back what was taken.
    Refund {
        /// Names this refund.
        cause: Box<str>,
        /// Of which freeze.
        freeze: Box<str>,
        /// How much.
        amount: Money,
    },
    /// Says that a start has failed: a figure of the risk rules (OP-1).
    NoteFailedStart {
        /// Names this note.
        cause: Box<str>,
        /// The name that the freeze had: of it only the order counts.
        freeze: Box<str>,
    },
}

impl AccountRequest {
    /// What kind it is, for metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            AccountRequest::Freeze { .. } => "freeze",
            AccountRequest::Extend { .. } => "extend",
            AccountRequest::Capture { .. } => "capture",
            AccountRequest::Charge { .. } => "charge",
            AccountRequest::Release { .. } => "release",
            AccountRequest::PayDebt { .. } => "pay_debt",
            AccountRequest::Refund { .. } => "refund",
            AccountRequest::NoteFailedStart { .. } => "note_failed_start",
        }
    }

    /// The request's own name: what an answer refers to.
    pub fn cause(&self) -> &str {
        match self {
            AccountRequest::Freeze { cause, .. }
            | AccountRequest::Extend { cause, .. }
            | AccountRequest::Capture { cause, .. }
            | AccountRequest::Charge { cause, .. }
            | AccountRequest::Release { cause, .. }
            | AccountRequest::PayDebt { cause, .. }
            | AccountRequest::Refund { cause, .. }
            | AccountRequest::NoteFailedStart { cause, .. } => cause,
        }
    }
}

/// How an account answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountOutcome {
    /// Done, for good.
    Done,
    /// A capture or charge is done, for good.
    Captured {
        /// What was taken.
        taken: Money,
        /// What there was not: the account owes it now.
        debt: Money,
        /// What stays set aside under its new name.
        kept: Money,
        /// What a coupon has paid of it.
        discount: Money,
        /// Which coupon.
        coupon: Option<Box<str>>,
    },
    /// Debt was paid, for good.
    DebtPaid {
        /// What is still owed.
        left: Money,
    },
    /// Refused: the stable code says why (`insufficient_funds`, `user_blocked`, `unpaid_order` …). A freeze that was refused
    /// must be released: a repeat of it may still be on its way.
    Refused(Box<str>),
    /// Could not be asked now: it is asked again later.
    Unavailable,
}
