//! When credentials were last used: exactly in memory, to the hour or so in the journal. Owns when it is time to journal it; never
//! what a credential is.

use crate::clock::Timestamp;
use dashmap::DashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A last use is journaled when the journaled one is this old: what is shown is exact while the process lives, and to the hour
/// after a restart.
const KEPT_EVERY: Duration = Duration::from_secs(3600);

/// When each credential was last used, and when that was last journaled, in ms.
#[derive(Debug, Default)]
pub struct LastUse(DashMap<String, (AtomicI64, AtomicI64)>);

impl LastUse {
    /// When it was last used, as far as this process knows.
    pub fn of(&self, id: &str) -> Option<Timestamp> {
        self.0.get(id).map(|used| Timestamp(used.0.load(Ordering::Relaxed)))
    }

    /// It is used now, and the journal knows of a use at `kept`. Whether it is time to journal it; of calls at the same time one is
    /// told so.
    pub fn note(&self, id: &str, now: Timestamp, kept: Option<Timestamp>) -> bool {
        let Some(used) = self.0.get(id) else {
            let of = (AtomicI64::new(now.0), AtomicI64::new(kept.map_or(i64::MIN, |kept| kept.0)));
            self.0.entry(id.to_owned()).or_insert(of);
            return self.note(id, now, kept);
        };
        used.0.fetch_max(now.0, Ordering::Relaxed);
        let kept = used.1.load(Ordering::Relaxed);
        let due = now.since(Timestamp(kept)) >= KEPT_EVERY;
        due && used.1.compare_exchange(kept, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_journaled_once_an_hour_and_shown_exactly() {
        let uses = LastUse::default();
        let hour = 3_600_000;
        for (now, kept, due) in [(10, None, true), (11, None, false), (hour, None, false), (hour + 10, None, true)] {
            assert_eq!(uses.note("a", Timestamp(now), kept), due, "{now}");
            assert_eq!(uses.of("a"), Some(Timestamp(now)));
        }
        assert!(!uses.note("b", Timestamp(hour), Some(Timestamp(10))), "the journal knows of one within the hour");
        assert_eq!(uses.of("c"), None);
    }
}
