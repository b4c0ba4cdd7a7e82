//! The nonces that were used (EM-3, control 28). Owns the memory of them, in the process and over a restart.
//!
//! **In the process** every accepted nonce is kept until its timestamp has left the window, so longer than it can be
//! used. Bounded for each key, so that one partner's calls cannot make another's replayable.
//!
//! **Over a restart** that memory is gone, so two rules close the gap without writing anything in the usual case:
//! * a request that was signed at or before the *horizon* (the last moment at which the process before this one could
//!   have accepted something) is refused for now with `unavailable`: its sender signs again. Not with 401, which binds: the
//!   process before this one may have done what the request asks for, and died before it answered (EM-5);
//! * a request signed *ahead* of our clock would pass that rule after a restart, so its nonce is made durable before the
//!   request is accepted, and asked for during the first window after a start. Only partners whose clocks run ahead pay for
//!   this, one durable write a call.

use crate::api::catalogue::Code;
use crate::api::port::{OnceStore, Refusal};
use crate::clock::Timestamp;
use crate::persistence::CreateOnce;
use dashmap::DashMap;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// What a use of a nonce came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// The first time.
    Fresh,
    /// It was used before.
    Replayed,
    /// This key used too many within the window.
    Full,
}

/// Nonces by the time slot in which their timestamps leave the window.
#[derive(Debug, Default)]
struct OfKey {
    slots: BTreeMap<i64, HashSet<u128>>,
    count: usize,
}

impl OfKey {
    /// Drops slots whose every timestamp is out of the window.
    fn prune(&mut self, oldest_slot: i64) {
        while let Some(entry) = self.slots.first_entry().filter(|entry| *entry.key() < oldest_slot) {
            self.count -= entry.remove().len();
        }
    }
}

/// The memory of used nonces.
pub struct Nonces {
    keys: DashMap<String, OfKey>,
    window: i64,
    store: Arc<dyn OnceStore>,
    horizon: Timestamp,
    started: Timestamp,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("keys", &self.keys.len()).field("horizon", &self.horizon).finish()
    }
}

impl Nonces {
    /// A memory that begins at `started`. `horizon`: not before the last moment at which an earlier process on the same
    /// store could have accepted a request; `started` is always right, a time before any traffic is right for a new store.
    pub fn new(store: Arc<dyn OnceStore>, window: Duration, started: Timestamp, horizon: Timestamp) -> Self {
        let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX).max(1);
        Nonces { keys: DashMap::new(), window, store, horizon, started }
    }

    fn mark(nonce: &str) -> u128 {
        // 128 bits of SHA-256: nobody can make two nonces that collide.
        let digest = Sha256::digest(nonce);
        digest.iter().take(16).fold(0, |mark, byte| (mark << 8) | u128::from(*byte))
    }

    /// Whether the nonce was used by this key in this process; changes nothing.
    pub fn seen(&self, key_id: &str, nonce: &str, timestamp: i64) -> bool {
        let mark = Self::mark(nonce);
        let slot = timestamp.div_euclid(self.window);
        self.keys.get(key_id).is_some_and(|of_key| of_key.slots.get(&slot).is_some_and(|slot| slot.contains(&mark)))
    }

    /// Uses a nonce, of which a key may use so many (`bound`). Of many at once exactly one is `Fresh`.
    pub fn use_up(&self, key_id: &str, nonce: &str, (timestamp, now): (i64, Timestamp), bound: usize) -> Used {
        let mut of_key = self.keys.entry(key_id.to_owned()).or_default();
        of_key.prune((now.as_seconds() - self.window).div_euclid(self.window));
        let slot = timestamp.div_euclid(self.window);
        let mark = Self::mark(nonce);
        if of_key.slots.get(&slot).is_some_and(|slot| slot.contains(&mark)) {
            return Used::Replayed;
        }
        if of_key.count >= bound {
            return Used::Full;
        }
        of_key.slots.entry(slot).or_default().insert(mark);
        of_key.count += 1;
        Used::Fresh
    }

    /// Checks what an earlier process may have accepted; see the head of this file.
    ///
    /// # Errors
    /// `unavailable` for a request signed at or before the horizon, with the time after which its sender's clock is past
    /// it; `replayed_nonce`, or the store's refusal.
    pub async fn across_restarts(
        &self,
        key_id: &str,
        nonce: &str,
        timestamp: i64,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let behind = self.horizon.as_seconds().saturating_sub(timestamp);
        if let Ok(behind) = u64::try_from(behind) {
            return Err(Refusal::from(Code::Unavailable).after(Duration::from_secs(behind + 1)));
        }
        let key = || format!("nonce/{key_id}/{nonce}");
        if timestamp > now.as_seconds() {
            // It leaves the window this long from now at the latest; a minute more for a clock that is set back.
            let ttl = Duration::from_secs(u64::try_from(2 * self.window + 60).unwrap_or(u64::MAX));
            return match self.store.create_once(&key(), &[], ttl).await? {
                CreateOnce::Created => Ok(()),
                CreateOnce::Exists(_) => Err(Code::ReplayedNonce.into()),
            };
        }
        let young = now.as_seconds() <= self.started.as_seconds() + self.window;
        if young && self.store.lookup_once(&key()).await?.is_some() {
            return Err(Code::ReplayedNonce.into());
        }
        Ok(())
    }

    /// Drops what can no longer be used. Called now and then.
    pub fn prune(&self, now: Timestamp) {
        let oldest = (now.as_seconds() - self.window).div_euclid(self.window);
        self.keys.retain(|_, of_key| {
            of_key.prune(oldest);
            of_key.count > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::fake::MemoryOnce;

    const WINDOW: i64 = 300;

    fn nonces(started: i64, horizon: i64, store: &Arc<MemoryOnce>) -> Nonces {
        let store: Arc<dyn OnceStore> = store.clone();
        let window = Duration::from_secs(WINDOW.unsigned_abs());
        Nonces::new(store, window, Timestamp(started * 1000), Timestamp(horizon * 1000))
    }

    #[test]
    fn a_nonce_is_remembered_as_long_as_its_timestamp_can_be_used() {
        let nonces = nonces(0, 0, &Arc::default());
        for timestamp in [10_000, 10_199, 10_200, 10_201] {
            let at = |offset: i64| Timestamp((timestamp + offset) * 1000);
            // Signed up to a window ahead of our clock, replayed until a window behind it.
            assert_eq!(nonces.use_up("ck_a", &format!("n{timestamp}"), (timestamp, at(-WINDOW)), 1000), Used::Fresh);
            for offset in [-WINDOW + 1, 0, 1, WINDOW - 1, WINDOW] {
                nonces.prune(at(offset));
                let used = nonces.use_up("ck_a", &format!("n{timestamp}"), (timestamp, at(offset)), 1000);
                assert_eq!(used, Used::Replayed, "{timestamp} {offset}");
            }
        }
        nonces.prune(Timestamp(20_000_000));
        assert!(nonces.keys.is_empty(), "and then forgotten");
    }

    #[test]
    fn one_keys_nonces_are_bounded_and_no_other_keys_matter() {
        let nonces = nonces(0, 0, &Arc::default());
        let now = Timestamp(10_000_000);
        for n in 0..1000 {
            assert_eq!(nonces.use_up("ck_a", &n.to_string(), (10_000, now), 1000), Used::Fresh);
        }
        assert_eq!(nonces.use_up("ck_a", "one more", (10_000, now), 1000), Used::Full);
        assert_eq!(nonces.use_up("ck_b", "0", (10_000, now), 1000), Used::Fresh);
    }

    #[tokio::test]
    async fn what_an_earlier_process_accepted_is_refused_by_the_next() {
        let store = Arc::new(MemoryOnce::default());
        let before = nonces(0, -1, &store);
        // At second 1000 the first process accepts one request signed right then, and one signed ahead.
        let now = Timestamp(1_000_500);
        for (nonce, timestamp) in [("right-then", 1000), ("ahead", 1200)] {
            assert_eq!(before.across_restarts("ck_a", nonce, timestamp, now).await, Ok(()));
        }
        // It dies; the next one starts at second 1001.
        let next = nonces(1001, 1001, &store);
        let code = |r: Result<(), Refusal>| r.map_err(|refusal| refusal.code);
        let early = next.across_restarts("ck_a", "late", 1000, Timestamp(1_001_500)).await.unwrap_err();
        assert_eq!(early.retry_after, Some(Duration::from_secs(2)), "and then its clock is past our start");
        let at = |second: i64| Timestamp(second * 1000);
        assert_eq!(code(next.across_restarts("ck_a", "right-then", 1000, at(1002)).await), Err(Code::Unavailable));
        assert_eq!(code(next.across_restarts("ck_a", "ahead", 1200, at(1002)).await), Err(Code::ReplayedNonce));
        assert_eq!(code(next.across_restarts("ck_a", "ahead", 1200, at(1250)).await), Err(Code::ReplayedNonce));
        assert_eq!(code(next.across_restarts("ck_a", "new", 1002, at(1002)).await), Ok(()));
    }
}
