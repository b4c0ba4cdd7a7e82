//! An account as the fold of its events. Owns what is remembered and in which shape; decisions are elsewhere.

use super::coupon::Coupon;
use super::memo::Memos;
use super::risk::{Rule, Signs};
use crate::clock::Timestamp;
use crate::domain::ledger::{CouponId, HoldId, LedgerAccount, OrderId, PaymentId, Trial};
use crate::domain::money::{Currency, Money};
use crate::ids::{AdjustmentId, PartnerId, TopUpId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whose account it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The first-party partner whose user it is; told of what happens here.
    pub partner: PartnerId,
    /// The partner's own name of the user, sealed under the user's key (OP-9).
    pub sealed: Box<str>,
}

/// A frozen amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What it is for.
    pub order: OrderId,
    /// Minor units.
    pub minor: i64,
    /// When it was frozen.
    pub at: Timestamp,
}

/// What is owed for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// Minor units, more than 0.
    pub minor: i64,
    /// Since when.
    pub since: Timestamp,
}

/// Why the user cannot start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// For operators.
    pub reason: Box<str>,
    /// An operator, or `risk`.
    pub by: Box<str>,
    /// Since when.
    pub at: Timestamp,
}

/// An adjustment that waits for a second person (MO-6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its id.
    pub id: AdjustmentId,
    /// Plus: to the user.
    pub amount: Money,
    /// The order it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// Why.
    pub reason: Box<str>,
    /// Who proposed it.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// Where a top-up stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopUpState {
    /// The gateway has said nothing yet.
    Pending,
    /// Its time is up: the gateway is asked a last time.
    LastQuery,
    /// Paid.
    Paid {
        /// By which transaction.
        payment: PaymentId,
    },
    /// The gateway says that it was not paid.
    Failed,
    /// Nothing was heard in time. A payment that comes later is still taken.
    Expired,
}

impl TopUpState {
    /// Every state's name, as in rows and on the wire.
    pub const NAMES: [&'static str; 5] = ["pending", "last_query", "paid", "failed", "expired"];

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            TopUpState::Pending => "pending",
            TopUpState::LastQuery => "last_query",
            TopUpState::Paid { .. } => "paid",
            TopUpState::Failed => "failed",
            TopUpState::Expired => "expired",
        }
    }

    /// Whether the gateway is still waited for.
    pub fn is_open(&self) -> bool {
        matches!(self, TopUpState::Pending | TopUpState::LastQuery)
    }
}

/// An intent to pay money in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUp {
    /// Its id, which the gateway is given.
    pub id: TopUpId,
    /// What is to be paid.
    pub amount: Money,
    /// When it was opened.
    pub at: Timestamp,
    /// Until when the gateway is waited for.
    pub expires: Timestamp,
    /// When something is done about it next.
    pub due: Timestamp,
    /// How often the gateway was asked.
    pub queries: u32,
    /// Whether the gateway answered the newest question.
    pub answered: bool,
    /// Where it stands.
    pub state: TopUpState,
}

/// A payment that is to go back to where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefund {
    /// Which payment.
    pub payment: PaymentId,
    /// Its intent.
    pub intent: TopUpId,
    /// How much.
    pub amount: Money,
    /// When the gateway is asked next.
    pub due: Timestamp,
    /// How often it was.
    pub tries: u32,
}

/// An order whose debt is paid, and whose owner has not heard of it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// When its owner is told next.
    pub due: Timestamp,
    /// How often that was tried.
    pub tries: u32,
}

/// An account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Whose; `None` until somebody says.
    pub owner: Option<Owner>,
    /// Of all its amounts; `None` until something is booked.
    pub currency: Option<Currency>,
    /// What each ledger account has gained by this account's postings.
    pub trial: Trial,
    /// How many postings there are: their numbers are 1 to this.
    pub entries: u64,
    /// How far below zero the available balance may go, minor units.
    pub credit_limit: i64,
    /// Open holds.
    pub holds: BTreeMap<HoldId, Hold>,
    /// Unpaid orders.
    pub debts: BTreeMap<OrderId, Debt>,
    /// Orders whose owner is to hear that their debt is paid.
    pub settled: BTreeMap<OrderId, Settled>,
    /// Open intents.
    pub top_ups: BTreeMap<TopUpId, TopUp>,
    /// Payments that go back.
    pub refunds: BTreeMap<PaymentId, PaymentRefund>,
    /// Coupons that were not used.
    pub coupons: BTreeMap<CouponId, Coupon>,
    /// Adjustments that wait for a second person.
    pub proposals: BTreeMap<AdjustmentId, Proposal>,
    /// Why the user cannot start.
    pub blocks: BTreeMap<Rule, Block>,
    /// Rules whose findings a person looks at, each since when.
    pub reviews: BTreeMap<Rule, Timestamp>,
    /// What the risk rules count.
    pub signs: Signs,
    /// How many times the partner was told something.
    #[serde(default)]
    pub told: u64,
    /// The newest memos.
    pub memos: Memos,
}

impl Account {
    /// What can be spent without credit, minor units.
    pub fn available(&self) -> i64 {
        self.trial.of(&LedgerAccount::UserAvailable)
    }

    /// What is frozen, minor units.
    pub fn frozen(&self) -> i64 {
        self.trial.of(&LedgerAccount::UserFrozen)
    }

    /// What is owed, minor units, not negative.
    pub fn debt(&self) -> i64 {
        -self.trial.of(&LedgerAccount::UserDebt)
    }

    /// What can be taken now, credit included; not negative.
    pub fn spendable(&self) -> i64 {
        self.available().saturating_add(self.credit_limit).max(0)
    }

    /// The unpaid order that is due longest.
    pub fn oldest_debt(&self) -> Option<(&OrderId, &Debt)> {
        self.debts.iter().min_by_key(|(_, debt)| debt.since)
    }

    /// The first reason why the user cannot start.
    pub fn block(&self) -> Option<(Rule, &Block)> {
        self.blocks.iter().next().map(|(rule, block)| (*rule, block))
    }
}
