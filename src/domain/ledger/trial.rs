//! The trial balance: what each ledger account has gained. Owns the fold of postings.

use super::names::LedgerAccount;
use super::posting::Posting;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What each ledger account has gained by the postings folded in, in minor units. Of one stream, or merged of many: then
/// of one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trial(BTreeMap<LedgerAccount, i128>);

impl Trial {
    /// Folds a posting in.
    pub fn book(&mut self, posting: &Posting) {
        for leg in posting.legs() {
            self.add(&leg.account, i128::from(leg.minor));
        }
    }

    /// Adds the balances of another stream.
    pub fn merge(&mut self, other: &Trial) {
        for (account, minor) in &other.0 {
            self.add(account, *minor);
        }
    }

    fn add(&mut self, account: &LedgerAccount, minor: i128) {
        // 2^127 minor units cannot be reached by postings of 2^63.
        let sum = self.0.entry(account.clone()).or_default();
        *sum = sum.saturating_add(minor);
    }

    /// The balance of an account. More than 2^63 minor units of one user cannot be: commands are bounded far below.
    pub fn of(&self, account: &LedgerAccount) -> i64 {
        let minor = self.0.get(account).copied().unwrap_or_default();
        i64::try_from(minor).unwrap_or(if minor < 0 { i64::MIN } else { i64::MAX })
    }

    /// The sum of all balances: 0, always.
    pub fn sum(&self) -> i128 {
        self.0.values().sum()
    }

    /// All balances, by account.
    pub fn balances(&self) -> impl Iterator<Item = (&LedgerAccount, i128)> {
        self.0.iter().map(|(account, minor)| (account, *minor))
    }
}
