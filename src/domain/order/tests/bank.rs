//! A bank for tests: the accounts' own rules, a ledger in a box.

use crate::clock::Timestamp;
use crate::domain::account::{self, Account, AccountFamily, Action, Key, Outcome, Policy, Reply, Request};
use crate::domain::charging::books;
use crate::domain::charging::purse::{AccountOutcome, AccountRequest};
use crate::domain::entity::{Context, Family};
use crate::domain::money::{Currency, Money};
use std::collections::BTreeMap;

/// One account.
#[derive(Debug, Default)]
pub(crate) struct Bank {
    pub(crate) account: Account,
    policy: Policy,
    sequence: u64,
    /// All steps, as they are written down.
    pub(crate) journal: Vec<Vec<(Key, Vec<account::Event>)>>,
    seen: BTreeMap<String, AccountOutcome>,
}

impl Bank {
    /// With so much to spend.
    pub(crate) fn with(minor: i64) -> Self {
        let mut bank = Bank { policy: Policy { risk: quiet(), ..Policy::default() }, ..Bank::default() };
        bank.policy.debts_from_top_ups = false;
        if minor > 0 {
            bank.top_up(minor, Timestamp(0));
        }
        bank
    }

    /// Money comes in.
    pub(crate) fn top_up(&mut self, minor: i64, now: Timestamp) {
        let amount = Money::new(minor, Currency::CNY);
        let n = self.sequence;
        let (reason, by) = ("test".into(), "one".into());
        let propose = Action::Propose { amount, order: None, reason, by };
        let outcome = self.act(Request::new(format!("test/{n}").parse().unwrap(), propose), now).unwrap();
        let Outcome::Proposed { proposal } = outcome else { panic!("{outcome:?}") };
        let approve = Action::Approve { proposal, by: "two".into() };
        self.act(Request::new(format!("test/{n}/approve").parse().unwrap(), approve), now).unwrap();
    }

    /// A coupon of so much off, valid for a long time.
    pub(crate) fn grant(&mut self, id: &str, minor: i64, now: Timestamp) {
        let discount = account::Discount::Amount(Money::new(minor, Currency::CNY));
        let (from, until) = (Timestamp(0), Timestamp(i64::MAX));
        let coupon = account::Coupon { id: id.parse().unwrap(), discount, from, until, least: None };
        let grant = Action::GrantCoupon { coupon, by: "ada".into() };
        self.act(Request::new(format!("grant/{id}").parse().unwrap(), grant), now).unwrap();
    }

    /// From now on so many failed starts block.
    pub(crate) fn block_from(&mut self, failed_starts: usize) {
        self.policy.risk.failed_starts = account::risk::Limit { count: failed_starts, ..quiet().failed_starts };
        self.policy.risk.failed_starts.window = std::time::Duration::from_secs(3600);
    }

    fn act(&mut self, request: Request, now: Timestamp) -> Result<Outcome, account::Rejection> {
        self.sequence += 1;
        let entropy = u128::from(self.sequence);
        let context = Context { now, partition: "u1", sequence: self.sequence, entropy, ambient: &self.policy };
        let decision = AccountFamily::decide(&Key, &self.account, request.into(), &context)?;
        decision.events.iter().for_each(|event| AccountFamily::apply(&mut self.account, event));
        if !decision.events.is_empty() {
            self.journal.push(vec![(Key, decision.events.clone())]);
        }
        assert_eq!(account::verify::of_state(&self.account), Vec::<String>::new());
        match decision.reply {
            Reply::Done(outcome) => Ok(outcome),
            Reply::Recall(keys) => panic!("{keys:?} should be in memory"),
        }
    }

    /// What an order asks. The same cause always gets the same answer, unless it was a refusal for now.
    pub(crate) fn ask(&mut self, asked: AccountRequest, now: Timestamp) -> AccountOutcome {
        let cause = asked.cause().to_owned();
        let outcome = match self.act(books::request(asked).unwrap(), now) {
            Ok(outcome) => books::outcome(&outcome),
            Err(rejection) => books::refusal(&rejection),
        };
        if let Some(before) = self.seen.get(&cause).filter(|before| !matches!(before, AccountOutcome::Refused(_))) {
            assert_eq!(*before, outcome, "{cause} is answered in two ways");
        }
        self.seen.insert(cause, outcome.clone());
        outcome
    }
}

fn quiet() -> account::risk::Limits {
    let off = account::risk::Limit { count: 0, window: std::time::Duration::from_secs(1) };
    account::risk::Limits { failed_starts: off, top_ups: off, coupons: off, debts: 0 }
}
