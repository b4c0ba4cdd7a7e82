//! Whether the books are right (MO-1): what `ledger verify` looks at. Pure: states and entries come in, findings go out.

use super::event::Booked;
use super::state::Account;
use crate::domain::ledger::{LedgerAccount, Trial};
use crate::domain::money::Currency;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Findings shown of each kind of trouble: enough to see a pattern.
const SHOWN: usize = 100;

/// What is wrong with one account's state, by itself.
pub fn of_state(account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    if account.trial.sum() != 0 {
        wrong.push(format!("its trial balance is {} minor units, not 0", account.trial.sum()));
    }
    let held: i128 = account.holds.values().map(|hold| i128::from(hold.minor)).sum();
    if i128::from(account.frozen()) != held {
        wrong.push(format!("frozen are {} minor units, its open holds sum to {held}", account.frozen()));
    }
    let owed: i128 = account.debts.values().map(|debt| i128::from(debt.minor)).sum();
    if i128::from(account.debt()) != owed {
        wrong.push(format!("owed are {} minor units, its unpaid orders sum to {owed}", account.debt()));
    }
    let back: i128 = account.refunds.values().map(|refund| i128::from(refund.amount.minor)).sum();
    if i128::from(account.trial.of(&LedgerAccount::GatewayRefunds)) != back {
        let booked = account.trial.of(&LedgerAccount::GatewayRefunds);
        wrong.push(format!("{booked} minor units are to go back to the gateway, its open refunds sum to {back}"));
    }
    let negative =
        account.holds.values().any(|hold| hold.minor <= 0) || account.debts.values().any(|debt| debt.minor <= 0);
    if negative {
        wrong.push("a hold or a debt is not above 0".to_owned());
    }
    for never_positive in [LedgerAccount::Coupons, LedgerAccount::Refunds, LedgerAccount::UserDebt] {
        if account.trial.of(&never_positive) > 0 {
            wrong.push(format!("{never_positive} is above 0"));
        }
    }
    for (name, minor) in account.trial.balances() {
        if name.is_income() && minor < 0 {
            wrong.push(format!("{name} is below 0"));
        }
    }
    wrong
}

/// The books of a store, looked at account by account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Accounts looked at.
    pub accounts: u64,
    /// Entries looked at.
    pub entries: u64,
    /// What is wrong, with the account's name; the first 100.
    pub problems: Vec<String>,
    /// How many problems there are in all.
    pub wrong: u64,
    /// What each ledger account has gained over all streams, by currency: platform accounts are projections of these.
    pub totals: BTreeMap<String, Trial>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn sound(&self) -> bool {
        self.wrong == 0
    }

    /// Adds a problem.
    pub fn problem(&mut self, name: &str, problem: &str) {
        self.wrong += 1;
        if self.problems.len() < SHOWN {
            self.problems.push(format!("account/{name}: {problem}"));
        }
    }

    /// Looks at one account: its state, and all its entries in order of their numbers. Entries beyond the state's newest
    /// were booked after it was read, and are left out.
    pub fn account(&mut self, name: &str, account: &Account, entries: impl IntoIterator<Item = Booked>) {
        self.accounts += 1;
        for wrong in of_state(account) {
            self.problem(name, &wrong);
        }
        let mut trial = Trial::default();
        let mut expected = 1;
        for entry in entries {
            if entry.number > account.entries {
                break;
            }
            self.entries += 1;
            if entry.number != expected {
                self.problem(name, &format!("entry {expected} is missing before entry {}", entry.number));
            }
            expected = entry.number + 1;
            if account.currency.is_some_and(|currency| currency != entry.posting.currency()) {
                self.problem(name, &format!("entry {} is in another currency", entry.number));
            }
            trial.book(&entry.posting);
        }
        if expected != account.entries + 1 {
            self.problem(name, &format!("entries {expected} to {} are missing", account.entries));
        }
        let of =
            |trial: &Trial| trial.balances().filter(|(_, m)| *m != 0).map(|(a, m)| (a.clone(), m)).collect::<Vec<_>>();
        if of(&trial) != of(&account.trial) {
            self.problem(name, "its entries do not sum to its balances");
        }
        let currency =
            account.currency.map_or_else(|| "none".to_owned(), |currency: Currency| currency.code().to_owned());
        self.totals.entry(currency).or_default().merge(&account.trial);
    }

    /// Looks at the sums over all accounts.
    pub fn finish(&mut self) {
        self.totals.retain(|_, trial| trial.balances().next().is_some());
        let off: Vec<_> = self
            .totals
            .iter()
            .filter(|(_, trial)| trial.sum() != 0)
            .map(|(code, trial)| (code.clone(), trial.sum()))
            .collect();
        for (code, sum) in off {
            self.wrong += 1;
            self.problems.push(format!("the balance sheet in {code} sums to {sum} minor units, not 0"));
        }
    }
}
