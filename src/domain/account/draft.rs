//! A decision in the making: events are folded into a working copy as they are decided, so that the next rule of the same
//! step sees them. Owns the way from a rule's words to the engine's decision.

use super::event::{Booked, Event};
use super::family::{AccountFamily, Effect, Reply};
use super::memo::{Memo, MemoKey, Recalled};
use super::policy::Policy;
use super::request::{Outcome, Rejection};
use super::risk::{self, Measure, Sign};
use super::state::{Account, Block, Debt, Settled};
use crate::clock::Timestamp;
use crate::domain::charging::case::{Case, Level, Raised};
use crate::domain::entity::{Context, Decision, Notice};
use crate::domain::ledger::{Cause, LedgerAccount, Leg, OrderId, Posting};
use crate::domain::money::{Currency, Money};
use serde_json::json;

/// More than any bill: a million of them still fit a balance.
const BILL_MAX: i64 = 10_000_000_000_000;

/// A decision in the making.
pub(super) struct Draft<'a> {
    /// The account with all that was decided so far.
    pub(super) account: Account,
    pub(super) now: Timestamp,
    pub(super) context: &'a Context<'a, Policy>,
    recalled: &'a Recalled,
    cases: u16,
    unpaid_before: usize,
    events: Vec<Event>,
    effects: Vec<Effect>,
    notices: Vec<Notice>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(account: &Account, context: &'a Context<'a, Policy>, recalled: &'a Recalled) -> Self {
        Draft {
            account: account.clone(),
            now: context.now,
            context,
            recalled,
            cases: 0,
            unpaid_before: account.debts.len(),
            events: Vec::new(),
            effects: Vec::new(),
            notices: Vec::new(),
        }
    }

    pub(super) fn policy(&self) -> &'a Policy {
        self.context.ambient
    }

    /// Of all amounts of this account.
    pub(super) fn currency(&self) -> Currency {
        self.account.currency.unwrap_or(self.policy().currency)
    }

    pub(super) fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency())
    }

    /// An amount of a request in minor units: of the account's currency, from `least` to the greatest of one request.
    pub(super) fn amount(&self, amount: Money, least: i64) -> Result<i64, Rejection> {
        let minor = self.owed(amount, least)?;
        if minor > self.policy().amount_max {
            return Err(Rejection::Amount { given: amount, allowed: "at most accounts.amount_max is allowed" });
        }
        Ok(minor)
    }

    /// An amount of a bill in minor units: what was delivered is owed, however much it is.
    pub(super) fn owed(&self, amount: Money, least: i64) -> Result<i64, Rejection> {
        if amount.currency != self.currency() {
            return Err(Rejection::WrongCurrency { given: amount.currency, account: self.currency() });
        }
        if amount.minor < least {
            let allowed = if least > 0 { "more than 0 is allowed" } else { "0 and more is allowed" };
            return Err(Rejection::Amount { given: amount, allowed });
        }
        if amount.minor > BILL_MAX {
            return Err(Rejection::Amount { given: amount, allowed: "at most 10^13 minor units are allowed" });
        }
        Ok(amount.minor)
    }

    /// Decides that this has happened.
    pub(super) fn happened(&mut self, event: Event) {
        self.account.fold(&event);
        self.events.push(event);
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Books legs, unless they move nothing.
    pub(super) fn book(
        &mut self,
        cause: &Cause,
        order: Option<&OrderId>,
        legs: &[(LedgerAccount, i64)],
    ) -> Result<(), Rejection> {
        let legs: Vec<Leg> = legs
            .iter()
            .filter(|(_, minor)| *minor != 0)
            .map(|(account, minor)| Leg { account: account.clone(), minor: *minor })
            .collect();
        if legs.is_empty() {
            return Ok(());
        }
        let posting = Posting::new(cause.clone(), order.cloned(), self.currency(), legs)?;
        let (number, at) = (self.account.entries + 1, self.now);
        self.happened(Event::Booked(Box::new(Booked { number, at, posting })));
        Ok(())
    }

    /// What is remembered of a key, in the state or in the rows that were read.
    pub(super) fn memo(&self, key: &MemoKey) -> Option<&Memo> {
        self.account.memos.get(key).or_else(|| self.recalled.get(key)?.as_ref())
    }

    pub(super) fn remember(&mut self, key: MemoKey, memo: Memo) {
        let at = self.now;
        self.happened(Event::Remembered { key, memo, at });
    }

    /// What was taken and given back of an order, minor units.
    pub(super) fn sums(&self, order: &OrderId) -> (i64, i64) {
        match self.memo(&MemoKey::order(order)) {
            Some(Memo::Order { taken, refunded }) => (*taken, *refunded),
            Some(Memo::Cause { .. } | Memo::HoldClosed | Memo::Intent(_)) | None => (0, 0),
        }
    }

    pub(super) fn moved(&mut self, order: &OrderId, taken: i64, refunded: i64) {
        let (before, back) = self.sums(order);
        let memo = Memo::Order { taken: before.saturating_add(taken), refunded: back.saturating_add(refunded) };
        self.remember(MemoKey::order(order), memo);
    }

    /// Owes that much more for an order; less: down to nothing, and its owner hears of it.
    pub(super) fn owe(&mut self, order: &OrderId, minor: i64) {
        let before = self.account.debts.get(order);
        let (since, owed) = before.map_or((self.now, 0), |debt| (debt.since, debt.minor));
        let order = order.clone();
        match owed.saturating_add(minor) {
            0 => {
                let to = Settled { due: self.now, tries: 0 };
                self.happened(Event::DebtSettled { order, to });
            }
            minor => self.happened(Event::DebtSet { order, to: Debt { minor, since } }),
        }
    }

    /// Counts what the risk rules look at.
    pub(super) fn note(&mut self, sign: Sign) {
        let at = self.now;
        self.happened(Event::Noted { sign, at });
    }

    /// Tells operators; with a proposal, opens a ticket.
    pub(super) fn raise(&mut self, level: Level, code: &'static str, text: String, proposal: Option<&str>) {
        self.cases += 1;
        let subject = format!("account/{}", self.context.partition);
        let id = format!("{}-{}-{}", self.context.partition, self.context.sequence, self.cases);
        let mut case = Case::alert(level, code, subject, text);
        if let Some(proposal) = proposal {
            case = case.ticket(proposal);
        }
        self.effect(Effect::Announce(case.clone()));
        self.happened(Event::Raised(Raised { id: id.into(), at: self.now, case }));
    }

    /// Tells the first-party partner, if it is known whose account this is.
    pub(super) fn tell(&mut self, kind: &str, mut data: serde_json::Value) {
        let Some(owner) = &self.account.owner else { return };
        if let Some(members) = data.as_object_mut() {
            members.insert("user".to_owned(), self.context.partition.into());
            members.insert("sealed".to_owned(), owner.sealed.as_ref().into());
        }
        let (partner, at, sequence) = (owner.partner.clone(), self.now, self.account.told + 1);
        let order_key = format!("account/{}", self.context.partition);
        // Numbered, so that none is left out for a newer one.
        self.notices.push(Notice { partner, kind: kind.to_owned(), order_key, sequence: Some(sequence), at, data });
        self.happened(Event::Told { sequence });
    }

    /// Blocks or reviews by what the risk rules find now, each rule once until it is lifted (OP-1).
    fn guard(&mut self) {
        // Found when one more is unpaid, so that it is not found again as soon as it was lifted.
        let unpaid = Some(self.account.debts.len()).filter(|unpaid| *unpaid > self.unpaid_before).unwrap_or(0);
        let found = risk::judge(&self.account.signs, unpaid, &self.policy().risk, self.now);
        for rule in found {
            let known = self.account.blocks.contains_key(&rule) || self.account.reviews.contains_key(&rule);
            if known {
                continue;
            }
            let told = rule.told();
            match rule.measure() {
                Measure::Block => {
                    let block = Block { reason: told.en.clone(), by: "risk".into(), at: self.now };
                    self.happened(Event::BlockSet { rule, block });
                    self.tell("account.blocked", json!({"rule": rule, "told": told}));
                }
                Measure::Review => {
                    let at = self.now;
                    self.happened(Event::ReviewSet { rule, at });
                }
            }
            let text = format!("the risk rule {rule} has found something: {}", told.en);
            self.raise(
                Level::Warning,
                "account_risk",
                text,
                Some("look at the account's entries; lift the rule, or block"),
            );
        }
    }

    /// Ends the step: looks at the risk rules, folds old memos.
    pub(super) fn finish(mut self, outcome: Outcome) -> Decision<AccountFamily> {
        if !self.events.is_empty() {
            self.guard();
            let (keep, most) = self.policy().memos;
            let memos = self.account.memos.ripe(keep, most, self.now);
            if !memos.is_empty() {
                self.happened(Event::Folded { memos });
            }
        }
        Decision {
            events: self.events,
            also: Vec::new(),
            notices: self.notices,
            effects: self.effects,
            reply: Reply::Done(outcome),
        }
    }
}
