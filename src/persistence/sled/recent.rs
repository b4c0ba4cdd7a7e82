//! What is held ready of the store, so that the reads of the hot paths need no other thread: the newest notices of each partner,
//! and rows that were read lately. Owns what may be served from here; never decides what is in the store.
//!
//! Invariants: only what is durable is served; a notice is served from here only if all that follow the asked position are here,
//! too; a row is served only if no commit has changed it, or another one of its slot, since it was read.

use crate::ids::PartnerId;
use lru::LruCache;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Notices held a partner: what comes while one page is on its way, with some to spare.
const NOTICES: usize = 128;

/// Bytes of them: a quarter of a MiB for one who is told much.
const NOTICE_BYTES: usize = 256 << 10;

/// Partners with notices held here. Beyond that all are forgotten, and read from the store until the next notice.
const PARTNERS: usize = 256;

/// Rows held: the tokens and sessions that a busy minute asks for again.
const ROWS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Larger rows are read from the store each time, so that all together take 4 MiB at most.
const ROW_BYTES: usize = 1024;

/// Slots of keys: two keys of one slot outdate each other, which costs a read.
const SLOTS: usize = 4096;

/// A notice as the commit thread made it durable.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) partner: PartnerId,
    pub(super) position: u64,
    /// Event id and notice, each with its length before it.
    pub(super) content: Vec<u8>,
}

/// The newest notices to one partner, without a gap.
struct Tail {
    /// Everything after this position is here.
    floor: u64,
    notices: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
}

struct Row {
    stamp: u64,
    value: Option<Vec<u8>>,
}

/// When a row was looked up, to tell later whether it is still what was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp(u64);

pub(super) struct Recent {
    tails: Mutex<HashMap<PartnerId, Tail>>,
    rows: Mutex<LruCache<Vec<u8>, Row>>,
    /// How many commits have changed a row of each slot.
    changes: Box<[AtomicU64]>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Recent {
    fn default() -> Self {
        let changes = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Recent { tails: Mutex::default(), rows: Mutex::new(LruCache::new(ROWS)), changes }
    }
}

impl Recent {
    /// A commit's notices have become durable, in the order of their positions; `first` is the lowest that it could give.
    pub(super) fn told(&self, notices: Vec<Told>, first: u64) {
        if notices.is_empty() {
            return;
        }
        let mut tails = lock(&self.tails);
        if tails.len() > PARTNERS {
            tails.clear();
        }
        for Told { partner, position, content } in notices {
            let fresh = || Tail { floor: first.saturating_sub(1), notices: VecDeque::new(), bytes: 0 };
            let tail = tails.entry(partner).or_insert_with(fresh);
            tail.bytes += content.len();
            tail.notices.push_back((position, content));
            while tail.notices.len() > NOTICES || tail.bytes > NOTICE_BYTES {
                let Some((gone, content)) = tail.notices.pop_front() else { break };
                tail.bytes -= content.len();
                tail.floor = gone;
            }
        }
    }

    /// The notices to a partner after `position`, `limit` at most; `None` if the store has to be asked.
    pub(super) fn notices(&self, partner: &PartnerId, position: u64, limit: usize) -> Option<Vec<(u64, Vec<u8>)>> {
        let tails = lock(&self.tails);
        let tail = tails.get(partner).filter(|tail| tail.floor <= position)?;
        let from = tail.notices.partition_point(|(at, _)| *at <= position);
        Some(tail.notices.range(from..).take(limit).cloned().collect())
    }

    fn changes(&self, key: &[u8]) -> &AtomicU64 {
        &self.changes[crc32fast::hash(key) as usize % SLOTS]
    }

    /// A row is changed by the batch that has just been applied. Called before anybody can learn of it.
    pub(super) fn changed(&self, key: &[u8]) {
        self.changes(key).fetch_add(1, SeqCst);
    }

    /// The row if it is known; else the stamp with which to note what the store says.
    pub(super) fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Stamp> {
        let stamp = self.changes(key).load(SeqCst);
        match lock(&self.rows).get(key) {
            Some(row) if row.stamp == stamp => Ok(row.value.clone()),
            Some(_) | None => Err(Stamp(stamp)),
        }
    }

    /// What the store said, and was durable, after [`Recent::row`] gave the stamp.
    pub(super) fn note(&self, key: Vec<u8>, Stamp(stamp): Stamp, value: Option<&Vec<u8>>) {
        if value.is_none_or(|value| value.len() <= ROW_BYTES) {
            lock(&self.rows).put(key, Row { stamp, value: value.cloned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partner(name: &str) -> PartnerId {
        name.parse().unwrap()
    }

    fn told(name: &str, position: u64, bytes: usize) -> Told {
        Told { partner: partner(name), position, content: vec![1; bytes] }
    }

    fn positions(recent: &Recent, after: u64, limit: usize) -> Option<Vec<u64>> {
        let found = recent.notices(&partner("a"), after, limit)?;
        Some(found.into_iter().map(|(position, _)| position).collect())
    }

    #[test]
    fn notices_are_served_only_where_none_can_be_missing() {
        let recent = Recent::default();
        assert_eq!(positions(&recent, 0, 9), None, "nobody was told yet: the store knows");
        recent.told(vec![told("a", 100, 1), told("b", 101, 1), told("a", 102, 1)], 100);
        assert_eq!(positions(&recent, 98, 9), None, "older ones may be in the store");
        assert_eq!(positions(&recent, 99, 9), Some(vec![100, 102]));
        assert_eq!(positions(&recent, 100, 9), Some(vec![102]));
        assert_eq!(positions(&recent, 99, 1), Some(vec![100]));
        assert_eq!(positions(&recent, 102, 9), Some(vec![]));
        recent.told((200..200 + NOTICES as u64).map(|position| told("a", position, 1)).collect(), 200);
        assert_eq!(positions(&recent, 101, 9), None, "102 has gone");
        assert_eq!(positions(&recent, 102, 1), Some(vec![200]));
        recent.told(vec![told("a", 1000, NOTICE_BYTES), told("a", 1001, 1)], 1000);
        assert_eq!(positions(&recent, 999, 9), None);
        assert_eq!(positions(&recent, 1000, 9), Some(vec![1001]));
    }

    #[test]
    fn a_row_is_served_until_a_commit_changes_it_and_never_as_it_was_read_before_that() {
        let recent = Recent::default();
        let stamp = recent.row(b"k").unwrap_err();
        recent.note(b"k".to_vec(), stamp, Some(&b"old".to_vec()));
        assert_eq!(recent.row(b"k").ok(), Some(Some(b"old".to_vec())));
        // Somebody reads the old value while the commit is made, and notes it late.
        let late = recent.row(b"other").err();
        recent.changed(b"k");
        let stamp = recent.row(b"k").unwrap_err();
        recent.note(b"k".to_vec(), Stamp(stamp.0 - 1), Some(&b"old".to_vec()));
        assert!(recent.row(b"k").is_err(), "what was read before the change is not served");
        recent.note(b"k".to_vec(), stamp, None);
        assert_eq!(recent.row(b"k").ok(), Some(None));
        recent.note(b"other".to_vec(), late.unwrap(), Some(&vec![0; ROW_BYTES + 1]));
        assert!(recent.row(b"other").is_err(), "a large one is not held");
    }
}
