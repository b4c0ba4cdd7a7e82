//! What is asked of users' accounts over HTTP, and what is shown of them (MO-3, MO-6, OP-1). Owns the wire's names.

use super::{Actor, Moment, Page, PageRequest, Refusal};
use crate::domain::account::risk::{Rule, Told};
use crate::domain::account::{Coupon, Outcome, verify};
use crate::domain::ledger::OrderId;
use crate::domain::money::Money;
use crate::ids::{AdjustmentId, PartnerId, RequestId, TopUpId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An amount of money on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = AmountSchema)]
pub struct Amount(pub Money);

/// An amount of money: whole minor units (fen, cent) of a currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Amount)]
#[allow(dead_code, reason = "only described: the amount itself is written")]
pub struct AmountSchema {
    /// Minor units.
    minor: i64,
    /// ISO 4217.
    currency: String,
}

/// A debt of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DebtItem {
    /// The unpaid order.
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// What is owed.
    pub amount: Amount,
    /// Since when.
    pub since: Moment,
}

/// Why a user cannot start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlockItem {
    /// `blacklist`, `failed_starts` …
    #[schema(value_type = String)]
    pub rule: Rule,
    /// What to tell the user in English.
    pub en: String,
    /// What to tell the user in Chinese.
    pub zh: String,
}

impl BlockItem {
    /// Of a rule and its words.
    pub fn new(rule: Rule, told: Told) -> Self {
        BlockItem { rule, en: told.en.into(), zh: told.zh.into() }
    }
}

/// A user's account, as the app sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BalanceView {
    /// What can be spent without credit; negative while credit is used.
    pub available: Amount,
    /// What is frozen for what is under way.
    pub frozen: Amount,
    /// What is owed.
    pub debt: Amount,
    /// How far below zero the balance may go.
    pub credit_limit: Amount,
    /// Unpaid orders, the oldest first.
    pub debts: Vec<DebtItem>,
    /// Why the user cannot start; empty: they can.
    pub blocks: Vec<BlockItem>,
    /// Codes of unused coupons.
    pub coupons: Vec<String>,
}

/// An entry of a user's account: what the user's own amounts gained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EntryView {
    /// Its number, from 1 without gaps.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// Why it was booked.
    pub cause: String,
    /// The order it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// What the balance gained; negative: gave.
    pub available: Amount,
    /// What the frozen amount gained.
    pub frozen: Amount,
    /// What the debt grew by; negative: fell by.
    pub debt: Amount,
}

/// A top-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TopUpView {
    /// Its id: the gateway gets it with the payment.
    #[schema(value_type = uuid::Uuid)]
    pub top_up_id: TopUpId,
    /// What is to be paid.
    pub amount: Amount,
    /// `pending`, `last_query`, `paid`, `failed` or `expired`.
    pub state: String,
    /// When it was opened.
    pub at: Moment,
    /// Until when it is waited for.
    pub expires: Moment,
    /// The gateway's transaction, once it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
}

/// What a debt payment came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DebtPaidView {
    /// The order.
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// What was paid.
    pub paid: Amount,
    /// What is still owed.
    pub left: Amount,
}

/// A payment callback as it came: nothing of it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The header of the time.
    pub timestamp: Option<String>,
    /// The header of the signature.
    pub signature: Option<String>,
    /// The signed bytes.
    pub body: Vec<u8>,
}

/// What an operator wants of an account.
#[derive(Debug, Clone, PartialEq)]
pub enum AccountOrder {
    /// Put the user on the blacklist.
    Block {
        /// Why.
        reason: String,
    },
    /// Lift a block, close a review.
    Lift {
        /// Which rule's.
        rule: Rule,
    },
    /// Set the credit limit.
    Credit {
        /// Not negative.
        limit: Money,
    },
    /// Give a coupon.
    Coupon(Coupon),
    /// Propose an adjustment.
    Propose {
        /// Plus: to the user.
        amount: Money,
        /// The order it belongs to.
        order: Option<OrderId>,
        /// Why.
        reason: String,
    },
    /// Approve an adjustment.
    Approve(AdjustmentId),
    /// Drop an adjustment.
    Withdraw(AdjustmentId),
}

/// Which account an operator looks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountSearch {
    /// Of this partner's user …
    pub partner_id: Option<PartnerId>,
    /// … of this name.
    pub user_id: Option<String>,
}

/// Accounts, for partners whose register entry has `accounts = true`; all others get
/// [`Code::AccountsOff`](crate::api::catalogue::Code::AccountsOff).
#[async_trait]
pub trait AccountPort: Send + Sync + 'static {
    /// A user's account. One that never was is empty.
    async fn balance(&self, partner: &PartnerId, user_id: &str) -> Result<BalanceView, Refusal>;

    /// Its entries, newest first.
    async fn entries(&self, partner: &PartnerId, user_id: &str, page: PageRequest) -> Result<Page<EntryView>, Refusal>;

    /// Begins a top-up; the same `request_id` gives the same one.
    async fn open_top_up(
        &self,
        partner: &PartnerId,
        user_id: &str,
        request_id: &RequestId,
        amount: Money,
    ) -> Result<TopUpView, Refusal>;

    /// A top-up of this user.
    async fn top_up(&self, partner: &PartnerId, user_id: &str, id: TopUpId) -> Result<TopUpView, Refusal>;

    /// Pays debt of an order from the balance; without an amount all of it.
    async fn pay_debt(
        &self,
        partner: &PartnerId,
        user_id: &str,
        order: &OrderId,
        request: (&RequestId, Option<Money>),
    ) -> Result<DebtPaidView, Refusal>;

    /// Takes a payment callback. `Ok` once what it says is durable: booked, or a ticket.
    async fn payment_callback(&self, callback: Callback) -> Result<(), Refusal>;
}

/// Accounts, for operators.
#[async_trait]
pub trait AccountDesk: Send + Sync + 'static {
    /// All accounts, or the one that is looked for.
    async fn accounts(&self, search: AccountSearch, page: PageRequest) -> Result<Page<Value>, Refusal>;

    /// One account with all that is open, or `not_found`.
    async fn account(&self, account: &str) -> Result<Value, Refusal>;

    /// Its entries with all legs, newest first.
    async fn account_entries(&self, account: &str, page: PageRequest) -> Result<Page<Value>, Refusal>;

    /// Does something about it. The same `request_id` is done once.
    async fn account_order(
        &self,
        account: &str,
        order: AccountOrder,
        request_id: Option<&RequestId>,
        actor: &Actor,
    ) -> Result<Outcome, Refusal>;

    /// Looks at all books (MO-1).
    async fn verify_ledger(&self) -> Result<verify::Findings, Refusal>;
}

/// The totals of platform accounts as lines for people: currency, account, minor units.
pub fn totals(findings: &verify::Findings) -> BTreeMap<String, Value> {
    findings
        .totals
        .iter()
        .map(|(currency, trial)| {
            let lines = trial
                .balances()
                .map(|(account, minor)| (account.to_string(), Value::from(i64::try_from(minor).unwrap_or(i64::MAX))));
            (currency.clone(), Value::Object(lines.collect()))
        })
        .collect()
}
