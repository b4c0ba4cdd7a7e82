//! Bans after failures in a row (EM-3). Owns the count for each key at each address; never what a failure is.
//!
//! Invariants: a ban hits key and address together, so that a stranger elsewhere cannot lock a partner out; memory is
//! bounded, the pairs unused for longest are forgotten first.

use crate::clock::Timestamp;
use lru::LruCache;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who fails: a key id as named, and where from.
type Pair = (String, IpAddr);

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    failures: u32,
    banned_until: Option<Timestamp>,
}

/// The failures of all pairs of key and address.
#[derive(Debug)]
pub struct Bans {
    rows: Mutex<LruCache<Pair, Row>>,
}

/// One subscriber has a whole /64 of IPv6, so that is what is banned.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

impl Bans {
    /// Remembers at most `tracked` pairs.
    pub fn new(tracked: usize) -> Self {
        let tracked = NonZeroUsize::new(tracked).unwrap_or(NonZeroUsize::MIN);
        Bans { rows: Mutex::new(LruCache::new(tracked)) }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Pair, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much longer this pair is banned.
    pub fn remaining(&self, key_id: &str, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let rows = self.lock();
        let until = rows.peek(&(key_id.to_owned(), network(address)))?.banned_until?;
        (now < until).then(|| until.since(now))
    }

    /// Whether this pair has failed lately.
    pub fn known(&self, key_id: &str, address: IpAddr) -> bool {
        self.lock().contains(&(key_id.to_owned(), network(address)))
    }

    /// A failure; whether it brings a ban of length `time`.
    pub fn failed(&self, key_id: &str, address: IpAddr, now: Timestamp, most: u32, time: Duration) -> bool {
        let mut rows = self.lock();
        let row = rows.get_or_insert_mut((key_id.to_owned(), network(address)), Row::default);
        row.failures += 1;
        let banned = row.failures >= most;
        if banned {
            *row = Row { failures: 0, banned_until: Some(now + time) };
        }
        banned
    }

    /// A success: the row of failures is broken.
    pub fn succeeded(&self, key_id: &str, address: IpAddr) {
        let pair = (key_id.to_owned(), network(address));
        let mut rows = self.lock();
        if rows.contains(&pair) {
            rows.pop(&pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "192.0.2.1";
    const TIME: Duration = Duration::from_secs(300);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn five_failures_in_a_row_ban_that_key_at_that_address_alone() {
        let bans = Bans::new(100);
        let failures: Vec<_> = (0..5).map(|n| bans.failed("ck_a", ip(HOME), Timestamp(n), 5, TIME)).collect();
        assert_eq!(failures, [false, false, false, false, true]);
        assert_eq!(bans.remaining("ck_a", ip(HOME), Timestamp(1004)), Some(Duration::from_secs(299)));
        assert_eq!(bans.remaining("ck_a", ip("192.0.2.2"), Timestamp(4)), None);
        assert_eq!(bans.remaining("ck_b", ip(HOME), Timestamp(4)), None);
        assert_eq!(bans.remaining("ck_a", ip(HOME), Timestamp(300_004)), None, "it ends");
        assert!(!bans.failed("ck_a", ip(HOME), Timestamp(300_005), 5, TIME), "the count begins anew");
    }

    #[test]
    fn a_success_breaks_the_row() {
        let bans = Bans::new(100);
        for round in 0..3 {
            for _ in 0..4 {
                assert!(!bans.failed("ck_a", ip(HOME), Timestamp(round), 5, TIME));
            }
            bans.succeeded("ck_a", ip(HOME));
        }
    }

    #[test]
    fn a_whole_ipv6_subscriber_is_one_address_and_mapped_ipv4_is_ipv4() {
        let bans = Bans::new(100);
        assert!(bans.failed("ck_a", ip("2001:db8::1"), Timestamp(0), 1, TIME));
        assert!(bans.remaining("ck_a", ip("2001:db8::ffff:1"), Timestamp(0)).is_some());
        assert!(bans.remaining("ck_a", ip("2001:db8:0:1::1"), Timestamp(0)).is_none());
        assert!(bans.failed("ck_b", ip("::ffff:192.0.2.1"), Timestamp(0), 1, TIME));
        assert!(bans.remaining("ck_b", ip(HOME), Timestamp(0)).is_some());
    }

    #[test]
    fn strangers_cannot_grow_the_memory() {
        let bans = Bans::new(10);
        for n in 0..1000 {
            bans.failed(&format!("ck_{n}"), ip(HOME), Timestamp(0), 5, TIME);
        }
        assert_eq!(bans.lock().len(), 10);
    }
}
