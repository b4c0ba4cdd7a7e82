//! What an account remembers so that nothing is booked twice: causes, closed holds and intents, sums of orders. Owns the
//! bound on it, and how older memos are recalled from rows.

use super::request::Outcome;
use super::state::TopUp;
use crate::clock::Timestamp;
use crate::domain::ledger::{Cause, HoldId, OrderId};
use crate::ids::TopUpId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A memo stays in the state at least this long: far longer than a request takes that recalls one, so that what is neither
/// in the state nor in the rows it has read was never there.
pub const FOLD_AFTER: Duration = Duration::from_secs(600);

/// Memos folded in one step at most: with their outcomes some kilobytes.
const FOLDED_AT_ONCE: usize = 8;

/// What a memo is about: `cause:<cause>`, `hold:<hold>`, `order:<order>`, `intent:<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemoKey(Arc<str>);

impl MemoKey {
    /// Of a cause.
    pub fn cause(cause: &Cause) -> Self {
        MemoKey(format!("cause:{cause}").into())
    }

    /// Of a closed hold.
    pub fn hold(hold: &HoldId) -> Self {
        MemoKey(format!("hold:{hold}").into())
    }

    /// Of the sums of an order.
    pub fn order(order: &OrderId) -> Self {
        MemoKey(format!("order:{order}").into())
    }

    /// Of a closed intent.
    pub fn intent(intent: TopUpId) -> Self {
        MemoKey(format!("intent:{intent}").into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Memo {
    /// A cause was booked.
    Cause {
        /// With this wish, in words.
        wish: Box<str>,
        /// With this outcome.
        outcome: Outcome,
    },
    /// A hold was closed.
    HoldClosed,
    /// What an order has moved.
    Order {
        /// Taken of the user, debt included, minor units.
        taken: i64,
        /// Given back.
        refunded: i64,
    },
    /// An intent was closed.
    Intent(Box<TopUp>),
}

/// What the rows say of some keys; `None`: there is no row.
pub type Recalled = BTreeMap<MemoKey, Option<Memo>>;

/// The memos that the state keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memos {
    kept: BTreeMap<MemoKey, (Timestamp, Memo)>,
    /// In the order in which they came; a key that came again is there again.
    ages: VecDeque<(Timestamp, MemoKey)>,
    /// How many were ever folded into rows.
    folded: u64,
}

impl Memos {
    /// The memo, if the state keeps it.
    pub fn get(&self, key: &MemoKey) -> Option<&Memo> {
        self.kept.get(key).map(|(_, memo)| memo)
    }

    /// Whether there may be a row of a key that the state does not keep.
    pub fn may_be_folded(&self, key: &MemoKey) -> bool {
        self.folded > 0 && !self.kept.contains_key(key)
    }

    /// How many the state keeps.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether the state keeps none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn keep(&mut self, key: &MemoKey, memo: &Memo, at: Timestamp) {
        self.kept.insert(key.clone(), (at, memo.clone()));
        self.ages.push_back((at, key.clone()));
    }

    pub(super) fn fold(&mut self, keys: impl Iterator<Item = MemoKey>) {
        for key in keys {
            self.folded += u64::from(self.kept.remove(&key).is_some());
        }
        // What came again later stays, under its newer age.
        while let Some((at, key)) = self.ages.front()
            && self.kept.get(key).is_none_or(|(newest, _)| newest != at)
        {
            self.ages.pop_front();
        }
    }

    /// The memos that are to become rows now: the oldest, while there are more than `keep` and they are old enough; however
    /// old they are, once there are more than `most`.
    pub fn ripe(&self, keep: usize, most: usize, now: Timestamp) -> Vec<(MemoKey, Memo)> {
        let mut left = self.kept.len();
        let mut ripe: Vec<(MemoKey, Memo)> = Vec::new();
        for (at, key) in &self.ages {
            let old = now.since(*at) >= FOLD_AFTER;
            if left <= keep || ripe.len() >= FOLDED_AT_ONCE || !(old || left > most) {
                break;
            }
            match self.kept.get(key) {
                Some((newest, memo)) if newest == at && ripe.iter().all(|(other, _)| other != key) => {
                    ripe.push((key.clone(), memo.clone()));
                    left -= 1;
                }
                Some(_) | None => {}
            }
        }
        ripe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: i64) -> MemoKey {
        MemoKey::hold(&format!("h{n}").parse().unwrap())
    }

    fn hours(n: i64) -> Timestamp {
        Timestamp(n * 3_600_000)
    }

    #[test]
    fn only_old_memos_above_the_bound_are_folded_and_the_oldest_first() {
        let mut memos = Memos::default();
        (0..10).for_each(|n| memos.keep(&key(n), &Memo::HoldClosed, hours(n)));
        for (keep, most, now, ripe) in [
            (10, 20, 99, vec![]),
            (7, 20, 99, vec![0, 1, 2]),
            (7, 20, 1, vec![0]),
            (7, 20, 0, vec![]),
            (2, 7, 0, vec![0, 1, 2]),
            (0, 20, 99, vec![0, 1, 2, 3, 4, 5, 6, 7]),
        ] {
            let found: Vec<_> = memos.ripe(keep, most, hours(now)).into_iter().map(|(key, _)| key).collect();
            assert_eq!(found, ripe.into_iter().map(key).collect::<Vec<_>>(), "{keep} {most} {now}");
        }
    }

    #[test]
    fn a_memo_that_came_again_is_young_again() {
        let mut memos = Memos::default();
        (0..3).for_each(|n| memos.keep(&key(n), &Memo::HoldClosed, hours(n)));
        memos.keep(&key(0), &Memo::HoldClosed, hours(9));
        let ripe: Vec<_> = memos.ripe(1, 20, hours(9)).into_iter().map(|(key, _)| key).collect();
        assert_eq!(ripe, [key(1), key(2)]);
        memos.fold(ripe.into_iter());
        assert_eq!((memos.len(), memos.ages.len()), (1, 1));
        assert!(memos.may_be_folded(&key(1)) && !memos.may_be_folded(&key(0)));
    }
}
