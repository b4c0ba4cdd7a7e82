//! The rules of accounts, one table a matter. Owns the kit: an account whose rows are kept beside it, as the shell does.

mod books;
mod diagrams;
mod people;
mod top_ups;

use super::*;
use crate::clock::Timestamp;
use crate::domain::entity::{Context, Family as _, Notice};
use crate::domain::ledger::{Cause, HoldId, LedgerAccount, OrderId};
use crate::domain::money::{Currency, Money};
use std::collections::BTreeMap;

pub(super) fn yuan(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

/// An account, and all that its steps have left outside of it.
pub(super) struct World {
    pub(super) account: Account,
    pub(super) policy: Policy,
    pub(super) now: Timestamp,
    pub(super) rows: BTreeMap<(&'static str, String), Vec<u8>>,
    pub(super) effects: Vec<Effect>,
    pub(super) notices: Vec<Notice>,
    pub(super) sequence: u64,
    /// Every event, to be folded again.
    pub(super) history: Vec<Event>,
}

impl Default for World {
    fn default() -> Self {
        World {
            account: Account::default(),
            policy: Policy::default(),
            now: Timestamp(1_700_000_000_000),
            rows: BTreeMap::new(),
            effects: Vec::new(),
            notices: Vec::new(),
            sequence: 0,
            history: Vec::new(),
        }
    }
}

impl World {
    /// With that much in the balance.
    pub(super) fn with(minor: i64) -> Self {
        let mut world = World::default();
        world.pay_in("T0", minor);
        world
    }

    pub(super) fn step(&mut self, command: Command) -> Result<Reply, Rejection> {
        self.sequence += 1;
        let entropy = u128::from(self.sequence).wrapping_mul(0x1234_5678_9abc_def1_1234_5678_9abc_def1);
        let (now, sequence) = (self.now, self.sequence);
        let context = Context { now, partition: "u1", sequence, entropy, ambient: &self.policy };
        let decision = AccountFamily::decide(&Key, &self.account, command, &context)?;
        for event in &decision.events {
            AccountFamily::apply(&mut self.account, event);
        }
        for row in AccountFamily::project("u1", &Key, &self.account, &decision.events) {
            match row.value {
                Some(value) => drop(self.rows.insert((row.table, row.key), value)),
                None => drop(self.rows.remove(&(row.table, row.key))),
            }
        }
        self.history.extend(decision.events);
        self.effects.extend(decision.effects);
        self.notices.extend(decision.notices);
        assert_eq!(verify::of_state(&self.account), Vec::<String>::new());
        Ok(decision.reply)
    }

    /// Asks as the shell does: what has left the state is recalled from rows.
    pub(super) fn ask(&mut self, cause: &str, action: Action) -> Result<Outcome, Rejection> {
        let request = Request::new(cause.parse().unwrap(), action);
        match self.step(request.clone().into())? {
            Reply::Done(outcome) => Ok(outcome),
            Reply::Recall(keys) => {
                let row = |key: &MemoKey| self.rows.get(&(rows::MEMO, rows::memo_key("u1", key)));
                let recalled = keys
                    .into_iter()
                    .map(|key| {
                        let memo = row(&key).map(|bytes| serde_json::from_slice(bytes).unwrap());
                        (key, memo)
                    })
                    .collect();
                match self.step(Command::Do { request: Box::new(request), recalled: Some(recalled) })? {
                    Reply::Done(outcome) => Ok(outcome),
                    Reply::Recall(keys) => panic!("recalled twice: {keys:?}"),
                }
            }
        }
    }

    pub(super) fn pay_in(&mut self, payment: &str, minor: i64) -> Outcome {
        let Ok(Outcome::TopUpOpened { intent, .. }) =
            self.ask(&format!("top-up/{payment}"), Action::OpenTopUp { amount: yuan(minor) })
        else {
            panic!("no intent")
        };
        self.paid(payment, intent, minor).unwrap()
    }

    pub(super) fn paid(
        &mut self,
        payment: &str,
        intent: crate::ids::TopUpId,
        minor: i64,
    ) -> Result<Outcome, Rejection> {
        let payment = payment.parse().unwrap();
        let cause = payment_cause(&payment).unwrap().to_string();
        self.ask(&cause, Action::Payment { payment, intent, amount: yuan(minor), succeeded: true })
    }

    /// Available, frozen, debt.
    pub(super) fn books(&self) -> [i64; 3] {
        [self.account.available(), self.account.frozen(), self.account.debt()]
    }

    pub(super) fn gained(&self, account: LedgerAccount) -> i64 {
        self.account.trial.of(&account)
    }

    /// Looks at the state and all entry rows as `ledger verify` does.
    pub(super) fn verified(&self) -> verify::Findings {
        let entries = self.rows.iter().filter(|((table, _), _)| *table == rows::ENTRY);
        let entries: Vec<Booked> = entries.map(|(_, row)| serde_json::from_slice(row).unwrap()).collect();
        let mut findings = verify::Findings::default();
        findings.account("u1", &self.account, entries);
        findings.finish();
        findings
    }
}

pub(super) fn hold(text: &str) -> HoldId {
    text.parse().unwrap()
}

pub(super) fn order(text: &str) -> OrderId {
    text.parse().unwrap()
}

pub(super) fn freeze(name: &str, minor: i64) -> Action {
    Action::Freeze { hold: hold(name), order: order(name), amount: yuan(minor) }
}

/// Of energy and, one tenth, service.
pub(super) fn lines(minor: i64) -> Vec<Line> {
    let service = minor / 10;
    vec![
        Line { account: LedgerAccount::RevenueEnergy, amount: yuan(minor - service) },
        Line { account: LedgerAccount::RevenueService, amount: yuan(service) },
    ]
}

pub(super) fn capture(name: &str, minor: i64) -> Action {
    Action::Capture { hold: hold(name), amount: yuan(minor), lines: lines(minor), coupon: None, keep: None }
}

pub(super) fn charge(name: &str, minor: i64) -> Action {
    Action::Charge { order: order(name), amount: yuan(minor), lines: lines(minor), coupon: None }
}

pub(super) fn captured(taken: i64, debt: i64, discount: i64, released: i64, kept: i64) -> Result<Outcome, Rejection> {
    let [taken, debt, discount, released, kept] = [taken, debt, discount, released, kept].map(yuan);
    Ok(Outcome::Captured { taken, debt, discount, released, kept, coupon: None, used: None })
}

#[test]
fn a_cause_has_only_the_letters_of_causes() {
    assert!("a b".parse::<Cause>().is_err());
}
