//! What an account can be asked, and what it answers. Owns the words that other partitions' sagas speak.

use super::coupon::{Coupon, CouponUse};
use super::risk::{Rule, Told};
use super::state::Owner;
use crate::clock::Timestamp;
use crate::domain::ledger::{Cause, CouponId, HoldId, LedgerAccount, OrderId, PaymentId};
use crate::domain::money::{Currency, Money};
use crate::ids::{AdjustmentId, TopUpId};
use serde::{Deserialize, Serialize};

/// A wish with its cause. The same cause with the same wish is booked once, however often it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Why: made by the sender from its own id and step.
    pub cause: Cause,
    /// What.
    pub action: Action,
}

impl Request {
    /// A wish with its cause.
    pub fn new(cause: Cause, action: Action) -> Self {
        Request { cause, action }
    }
}

/// A line of a bill: what an income account of the platform gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// One of those that [`LedgerAccount::is_income`].
    pub account: LedgerAccount,
    /// Not negative.
    pub amount: Money,
}

/// What of a hold stays frozen after its capture, as a hold of its own: occupancy after the end is a linked order (SE-13).
/// Where nothing is left to keep there is no such hold, and the linked order is charged ([`Action::Charge`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// The new hold.
    pub hold: HoldId,
    /// The linked order.
    pub order: OrderId,
    /// At most this much, if as much is left.
    pub amount: Money,
}

/// Which coupon is to pay part of a bill (MO-8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CouponPick {
    /// This one.
    Named(CouponId),
    /// The one that takes most off; of equal ones the one whose time is up first.
    Best,
}

impl std::str::FromStr for CouponPick {
    type Err = <CouponId as std::str::FromStr>::Err;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(CouponPick::Named)
    }
}

/// What an account can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Say whose it is. Not needed before anything else; the first one stands.
    Open(Owner),
    /// Freeze an amount before a command is sent (SE-3, MO-4). Answers [`Outcome::Frozen`], or refuses with
    /// [`Outcome::Blocked`], [`Outcome::UnpaidOrder`] or [`Outcome::InsufficientFunds`]: those are not recorded, so that the
    /// same cause may be tried again.
    Freeze {
        /// Its name from now on.
        hold: HoldId,
        /// What it is for.
        order: OrderId,
        /// More than nothing.
        amount: Money,
    },
    /// Freeze more for the same hold (SE-11). Answers [`Outcome::Frozen`] or [`Outcome::InsufficientFunds`].
    Extend {
        /// An open hold.
        hold: HoldId,
        /// How much more.
        amount: Money,
    },
    /// Take what the order costs: from the hold, then from what is available down to the credit limit; the rest becomes
    /// debt of the order. What the hold has left over goes back, and the hold is closed (MO-4). Always answers
    /// [`Outcome::Captured`].
    Capture {
        /// An open hold.
        hold: HoldId,
        /// The whole bill: the sum of the lines. Nothing is allowed: a zero bill closes the hold.
        amount: Money,
        /// Where it goes.
        lines: Vec<Line>,
        /// A coupon that pays part of it. One that is not valid takes nothing away, and the outcome says so.
        coupon: Option<CouponPick>,
        /// What stays frozen for a linked order.
        keep: Option<Keep>,
    },
    /// As a capture, of an order that has no hold: a late correction, a fee. Answers [`Outcome::Captured`].
    Charge {
        /// Which order.
        order: OrderId,
        /// The sum of the lines, more than nothing.
        amount: Money,
        /// Where it goes.
        lines: Vec<Line>,
        /// A coupon that pays part of it.
        coupon: Option<CouponPick>,
    },
    /// Give all of a hold back and close it (SE-4). A hold that is closed, or never was, gives nothing back and can never be
    /// opened any more: a freeze that is still on its way is then refused. Answers [`Outcome::Released`].
    Release {
        /// Which.
        hold: HoldId,
    },
    /// Give money of an order back. First its debt falls, then the balance rises. Not more than was taken of the order.
    /// Answers [`Outcome::Refunded`].
    Refund {
        /// Which order.
        order: OrderId,
        /// How much, more than nothing.
        amount: Money,
    },
    /// Pay debt of an order from the balance (MO-5). Answers [`Outcome::DebtPaid`] or [`Outcome::InsufficientFunds`].
    PayDebt {
        /// Which order.
        order: OrderId,
        /// How much; more than the debt pays the debt.
        amount: Money,
    },
    /// Begin a top-up: the app sends the user to the gateway with this intent. Answers [`Outcome::TopUpOpened`].
    OpenTopUp {
        /// How much, more than nothing.
        amount: Money,
    },
    /// What the gateway says of a payment, by callback or when queried (MO-3). Its cause is
    /// [`payment_cause`](super::payment_cause). Answers [`Outcome::Credited`], [`Outcome::DoublePayment`] or
    /// [`Outcome::TopUpFailed`].
    Payment {
        /// The gateway's transaction.
        payment: PaymentId,
        /// For which intent.
        intent: TopUpId,
        /// What was paid.
        amount: Money,
        /// Whether it was: false ends the intent.
        succeeded: bool,
    },
    /// How far below zero the balance may go.
    SetCreditLimit {
        /// Not negative.
        limit: Money,
        /// The operator.
        by: Box<str>,
    },
    /// Put the user on the blacklist (SE-3, OP-1).
    Block {
        /// Why, for operators; the user is told the rule's words.
        reason: Box<str>,
        /// The operator.
        by: Box<str>,
    },
    /// Lift a block or close a review of a rule; what led to it is forgotten.
    Lift {
        /// Which rule's.
        rule: Rule,
        /// The operator.
        by: Box<str>,
    },
    /// A start of this user has failed: a figure of the risk rules.
    NoteFailedStart {
        /// Which order.
        order: OrderId,
    },
    /// Give a coupon (MO-8).
    GrantCoupon {
        /// It.
        coupon: Coupon,
        /// The operator or the campaign.
        by: Box<str>,
    },
    /// Propose an adjustment (MO-6). Answers [`Outcome::Proposed`].
    Propose {
        /// Plus: to the user; minus: from them.
        amount: Money,
        /// The order it belongs to.
        order: Option<OrderId>,
        /// Why.
        reason: Box<str>,
        /// The operator.
        by: Box<str>,
    },
    /// Approve a proposed adjustment and book it: never the one who proposed it.
    Approve {
        /// Which.
        proposal: AdjustmentId,
        /// The operator.
        by: Box<str>,
    },
    /// Drop a proposed adjustment.
    Withdraw {
        /// Which.
        proposal: AdjustmentId,
        /// The operator.
        by: Box<str>,
    },
}

/// What came of a request. Those that changed the books are recorded under the cause, and given again to a repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, with nothing to tell.
    Done,
    /// The hold holds this much in all.
    Frozen {
        /// In all.
        frozen: Money,
    },
    /// Refused: the user has too little. Not recorded.
    InsufficientFunds {
        /// What could be spent, credit included.
        available: Money,
        /// What was asked for.
        needed: Money,
    },
    /// Refused: the user is blocked. Not recorded.
    Blocked {
        /// By which rule.
        rule: Rule,
        /// What the user is told.
        told: Told,
    },
    /// Refused: an order is unpaid. Not recorded.
    UnpaidOrder {
        /// The oldest.
        order: OrderId,
        /// What is owed for it.
        debt: Money,
    },
    /// The bill is settled, as far as there was money.
    Captured {
        /// From the user's money: hold and balance.
        taken: Money,
        /// What is owed now for it.
        debt: Money,
        /// What a coupon paid.
        discount: Money,
        /// What went back from the hold.
        released: Money,
        /// What stays frozen for the linked order.
        kept: Money,
        /// What became of the coupon, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coupon: Option<CouponUse>,
        /// The coupon that was used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        used: Option<CouponId>,
    },
    /// The hold is closed.
    Released {
        /// What went back.
        amount: Money,
    },
    /// Given back.
    Refunded {
        /// To the balance.
        to_balance: Money,
        /// By which the order's debt fell.
        off_debt: Money,
    },
    /// Debt was paid.
    DebtPaid {
        /// How much.
        paid: Money,
        /// What is still owed for the order.
        left: Money,
    },
    /// A top-up has begun.
    TopUpOpened {
        /// Its intent.
        intent: TopUpId,
        /// Until when the gateway is waited for.
        expires: Timestamp,
    },
    /// A payment is in the balance.
    Credited {
        /// How much.
        amount: Money,
        /// The intent had expired, or failed: late, and still the user's money.
        late: bool,
    },
    /// The intent had been paid before: this payment goes back.
    DoublePayment {
        /// How much.
        refund: Money,
    },
    /// The gateway says that it was not paid.
    TopUpFailed,
    /// Waits for a second person.
    Proposed {
        /// Its id.
        proposal: AdjustmentId,
    },
    /// Booked.
    Adjusted {
        /// Plus: to the user.
        amount: Money,
    },
}

/// Why a request changes nothing, and never will as it is: the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The cause was booked with another wish.
    #[error("the cause {cause} was booked as `{booked}`, and now comes as `{now}`")]
    CauseReused {
        /// Which.
        cause: Cause,
        /// What it was booked with.
        booked: Box<str>,
        /// What it comes with now.
        now: Box<str>,
    },
    /// An amount outside what is allowed.
    #[error("amount {given}: {allowed}")]
    Amount {
        /// As given.
        given: Money,
        /// What is allowed.
        allowed: &'static str,
    },
    /// An amount in another currency than the account's.
    #[error("currency {}: the account is in {}", .given.code(), .account.code())]
    WrongCurrency {
        /// As given.
        given: Currency,
        /// The account's.
        account: Currency,
    },
    /// The lines do not make the amount, or go to an account that is no income.
    #[error("lines: {0}")]
    Lines(String),
    /// No such open hold, and none was closed by that name.
    #[error("hold {0} is unknown")]
    UnknownHold(HoldId),
    /// There is such a hold, made by another cause.
    #[error("hold {0} is open already")]
    HoldExists(HoldId),
    /// It was captured or released.
    #[error("hold {0} is closed")]
    HoldClosed(HoldId),
    /// Nothing is owed for it.
    #[error("order {0} has no debt")]
    NoDebt(OrderId),
    /// More would go back than was taken.
    #[error("order {order}: {left} can be refunded, not {asked}")]
    RefundTooLarge {
        /// Which order.
        order: OrderId,
        /// What was taken and not given back.
        left: Money,
        /// What was asked for.
        asked: Money,
    },
    /// No such intent.
    #[error("the top-up {0} is unknown")]
    UnknownIntent(TopUpId),
    /// A payment's cause is made from its transaction id, and this one is not.
    #[error("a payment's cause is payment/<transaction id>")]
    PaymentCause,
    /// A bound of this account is reached.
    #[error("the account has {max} {what} already: no more are allowed")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many.
        max: usize,
    },
    /// A coupon of that code was given already.
    #[error("coupon {0} was given already")]
    CouponExists(CouponId),
    /// A coupon that cannot be.
    #[error("coupon: {0}")]
    Coupon(&'static str),
    /// No such proposal; it may have been decided.
    #[error("the adjustment {0} is unknown or decided")]
    UnknownProposal(AdjustmentId),
    /// Proposed and approved by one person (MO-6).
    #[error("{0} has proposed this adjustment: another person must approve it")]
    SamePerson(Box<str>),
    /// Would take more than there is.
    #[error("the adjustment takes {asked}, and {available} is available")]
    AdjustmentTooLarge {
        /// What is available, credit included.
        available: Money,
        /// What it takes.
        asked: Money,
    },
    /// The rule neither blocks the user nor is under review.
    #[error("the rule {0} neither blocks this user nor is under review")]
    NothingToLift(Rule),
    /// Something that the rules did not foresee; nothing was booked.
    #[error("the posting was not booked: {0}")]
    Posting(#[from] crate::domain::ledger::PostingError),
    /// A name made of others is too long.
    #[error(transparent)]
    Name(#[from] crate::domain::ledger::InvalidName),
}
