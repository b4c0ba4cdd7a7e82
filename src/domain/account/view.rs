//! An account as people and the app see it. Owns the shape; never who may see.

use super::coupon::Coupon;
use super::risk::{Rule, Told};
use super::state::{Account, Block, Proposal, TopUp};
use crate::clock::Timestamp;
use crate::domain::ledger::{HoldId, OrderId, Trial};
use crate::domain::money::{Currency, Money};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A frozen amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// Its name.
    pub hold: HoldId,
    /// What it is for.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
    /// Since when.
    pub since: Timestamp,
}

/// An unpaid order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebtView {
    /// Which.
    pub order: OrderId,
    /// What is owed.
    pub amount: Money,
    /// Since when.
    pub since: Timestamp,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountView {
    /// What can be spent without credit.
    pub available: Money,
    /// What is frozen.
    pub frozen: Money,
    /// What is owed.
    pub debt: Money,
    /// How far below zero the balance may go.
    pub credit_limit: Money,
    /// Open holds.
    pub holds: Vec<HoldView>,
    /// Unpaid orders, the oldest first.
    pub debts: Vec<DebtView>,
    /// Top-ups that the gateway is waited for.
    pub top_ups: Vec<TopUp>,
    /// Unused coupons.
    pub coupons: Vec<Coupon>,
    /// Why the user cannot start, and what they are told.
    pub blocks: BTreeMap<Rule, (Block, Told)>,
    /// Rules under review, each since when.
    pub reviews: BTreeMap<Rule, Timestamp>,
    /// Adjustments that wait for a second person.
    pub proposals: Vec<Proposal>,
    /// How many entries there are.
    pub entries: u64,
    /// What each ledger account has gained.
    pub trial: Trial,
}

impl Account {
    /// As people see it; `currency` where nothing is booked yet.
    pub fn view(&self, currency: Currency) -> AccountView {
        let currency = self.currency.unwrap_or(currency);
        let money = |minor| Money::new(minor, currency);
        let mut debts: Vec<_> = self
            .debts
            .iter()
            .map(|(order, debt)| DebtView { order: order.clone(), amount: money(debt.minor), since: debt.since })
            .collect();
        debts.sort_by_key(|debt| debt.since);
        let holds = self.holds.iter().map(|(hold, it)| HoldView {
            hold: hold.clone(),
            order: it.order.clone(),
            amount: money(it.minor),
            since: it.at,
        });
        AccountView {
            available: money(self.available()),
            frozen: money(self.frozen()),
            debt: money(self.debt()),
            credit_limit: money(self.credit_limit),
            holds: holds.collect(),
            debts,
            top_ups: self.top_ups.values().cloned().collect(),
            coupons: self.coupons.values().cloned().collect(),
            blocks: self.blocks.iter().map(|(rule, block)| (*rule, (block.clone(), rule.told()))).collect(),
            reviews: self.reviews.clone(),
            proposals: self.proposals.values().cloned().collect(),
            entries: self.entries,
            trial: self.trial.clone(),
        }
    }
}
