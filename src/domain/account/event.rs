//! What has happened to an account. Journaled: members are only added, with a default (RT-6). Owns the fold.

use super::coupon::Coupon;
use super::memo::{Memo, MemoKey};
use super::risk::{Rule, Sign};
use super::state::{Account, Block, Debt, Hold, Owner, PaymentRefund, Proposal, Settled, TopUp};
use crate::clock::Timestamp;
use crate::domain::charging::case::Raised;
use crate::domain::ledger::{CouponId, HoldId, OrderId, PaymentId, Posting};
use serde::{Deserialize, Serialize};

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// Its number within the account, from 1 without gaps.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What was booked.
    pub posting: Posting,
}

/// What has happened to an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// It is known whose it is.
    Opened {
        /// Whose.
        owner: Owner,
        /// When.
        at: Timestamp,
    },
    /// Something was booked.
    Booked(Box<Booked>),
    /// A hold was opened, or holds another amount now.
    HoldSet {
        /// Which.
        hold: HoldId,
        /// All of it.
        to: Hold,
    },
    /// A hold was captured or released.
    HoldClosed {
        /// Which.
        hold: HoldId,
    },
    /// What is owed for an order has changed.
    DebtSet {
        /// Which order.
        order: OrderId,
        /// What is owed now.
        to: Debt,
    },
    /// Nothing is owed for an order any more; its owner is to hear of it.
    DebtSettled {
        /// Which order.
        order: OrderId,
        /// When the owner is told.
        to: Settled,
    },
    /// The owner of an order was not reached, or has heard (`None`).
    SettledTold {
        /// Which order.
        order: OrderId,
        /// When it is tried again.
        to: Option<Settled>,
    },
    /// Something is remembered.
    Remembered {
        /// What about.
        key: MemoKey,
        /// What.
        memo: Memo,
        /// Since when.
        at: Timestamp,
    },
    /// Memos have become rows.
    Folded {
        /// Which.
        memos: Vec<(MemoKey, Memo)>,
    },
    /// The credit limit was set.
    CreditLimitSet {
        /// Minor units.
        minor: i64,
        /// By whom.
        by: Box<str>,
    },
    /// The user cannot start.
    BlockSet {
        /// By which rule.
        rule: Rule,
        /// Why.
        block: Block,
    },
    /// A person is to look at the user.
    ReviewSet {
        /// By which rule.
        rule: Rule,
        /// Since when.
        at: Timestamp,
    },
    /// A block was lifted, a review closed.
    Lifted {
        /// Which rule's.
        rule: Rule,
        /// By whom.
        by: Box<str>,
    },
    /// Something that the risk rules count.
    Noted {
        /// What.
        sign: Sign,
        /// When.
        at: Timestamp,
    },
    /// A coupon was given.
    CouponGranted {
        /// It.
        coupon: Coupon,
        /// By whom.
        by: Box<str>,
    },
    /// A coupon was used, or its time was up.
    CouponGone {
        /// Which.
        coupon: CouponId,
    },
    /// An adjustment waits for a second person.
    Proposed(Proposal),
    /// It was approved or withdrawn.
    ProposalClosed {
        /// All of it.
        proposal: Proposal,
        /// By whom.
        by: Box<str>,
        /// Whether it was booked.
        approved: bool,
    },
    /// An intent was opened, or stands otherwise now. One that is not open leaves the state.
    TopUpSet(TopUp),
    /// A payment is to go back, or is tried again.
    RefundSet(PaymentRefund),
    /// The gateway has taken it back.
    RefundDone {
        /// Which payment.
        payment: PaymentId,
    },
    /// The partner is told something.
    Told {
        /// How many times in all.
        sequence: u64,
    },
    /// Operators were told.
    Raised(Raised),
}

impl Account {
    /// Folds an event in.
    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::Opened { owner, .. } => self.owner = Some(owner.clone()),
            Event::Booked(booked) => {
                self.currency = Some(booked.posting.currency());
                self.entries = booked.number;
                self.trial.book(&booked.posting);
            }
            Event::HoldSet { hold, to } => drop(self.holds.insert(hold.clone(), to.clone())),
            Event::HoldClosed { hold } => drop(self.holds.remove(hold)),
            Event::DebtSet { order, to } => drop(self.debts.insert(order.clone(), to.clone())),
            Event::DebtSettled { order, to } => {
                self.debts.remove(order);
                self.settled.insert(order.clone(), to.clone());
            }
            Event::SettledTold { order, to: Some(to) } => drop(self.settled.insert(order.clone(), to.clone())),
            Event::SettledTold { order, to: None } => drop(self.settled.remove(order)),
            Event::Remembered { key, memo, at } => self.memos.keep(key, memo, *at),
            Event::Folded { memos } => self.memos.fold(memos.iter().map(|(key, _)| key.clone())),
            Event::Proposed(proposal) => drop(self.proposals.insert(proposal.id, proposal.clone())),
            Event::ProposalClosed { proposal, .. } => drop(self.proposals.remove(&proposal.id)),
            Event::TopUpSet(top_up) if top_up.state.is_open() => drop(self.top_ups.insert(top_up.id, top_up.clone())),
            Event::TopUpSet(top_up) => drop(self.top_ups.remove(&top_up.id)),
            Event::RefundSet(refund) => drop(self.refunds.insert(refund.payment.clone(), refund.clone())),
            Event::RefundDone { payment } => drop(self.refunds.remove(payment)),
            Event::CreditLimitSet { minor, .. } => self.credit_limit = *minor,
            Event::BlockSet { rule, block } => drop(self.blocks.insert(*rule, block.clone())),
            Event::ReviewSet { rule, at } => drop(self.reviews.insert(*rule, *at)),
            Event::Lifted { rule, .. } => {
                self.blocks.remove(rule);
                self.reviews.remove(rule);
                self.signs.forget(*rule);
            }
            Event::Noted { sign, at } => self.signs.note(*sign, *at),
            Event::CouponGranted { coupon, .. } => drop(self.coupons.insert(coupon.id.clone(), coupon.clone())),
            Event::CouponGone { coupon } => drop(self.coupons.remove(coupon)),
            Event::Told { sequence } => self.told = *sequence,
            Event::Raised(_) => {}
        }
    }
}
