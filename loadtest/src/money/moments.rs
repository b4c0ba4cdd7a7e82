//! Moments at which a kill would hit money on its way. Owns the signals; never kills.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// A start or a reservation is sent just now: its amount will be set aside.
    Freeze,
    /// A transaction's end was confirmed just now: its bill is being captured.
    Capture,
    /// A reservation is given up just now: what was set aside will be given back.
    Release,
    /// The gateway's callback is being told.
    Callback,
    /// A start with a reservation is on its way.
    Arrival,
}

impl Moment {
    /// All of them.
    pub const ALL: [Moment; 5] = [Moment::Freeze, Moment::Capture, Moment::Release, Moment::Callback, Moment::Arrival];
}

/// Signals of each moment, and how many of each are under way as far as the outside can know.
#[derive(Debug)]
pub struct Moments {
    seen: [watch::Sender<u64>; Moment::ALL.len()],
    under_way: [AtomicUsize; Moment::ALL.len()],
}

impl Default for Moments {
    fn default() -> Self {
        Moments {
            seen: Moment::ALL.map(|_| watch::Sender::new(0)),
            under_way: Moment::ALL.map(|_| AtomicUsize::new(0)),
        }
    }
}

impl Moments {
    /// It is that moment now.
    pub fn mark(&self, moment: Moment) {
        self.seen[moment as usize].send_modify(|count| *count += 1);
    }

    /// It is that moment until the guard is dropped.
    pub fn enter(&self, moment: Moment) -> UnderWay<'_> {
        self.under_way[moment as usize].fetch_add(1, Ordering::SeqCst);
        self.mark(moment);
        UnderWay { moments: self, moment }
    }

    /// How many are under way now.
    pub fn under_way(&self, moment: Moment) -> usize {
        self.under_way[moment as usize].load(Ordering::SeqCst)
    }

    /// Waits for the next such moment, at most so long.
    pub async fn next(&self, moment: Moment, limit: Duration) -> bool {
        let mut seen = self.seen[moment as usize].subscribe();
        tokio::time::timeout(limit, seen.changed()).await.is_ok()
    }
}

/// Something on its way.
#[derive(Debug)]
pub struct UnderWay<'a> {
    moments: &'a Moments,
    moment: Moment,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.moments.under_way[self.moment as usize].fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_under_way_is_counted_until_it_is_over_and_wakes_who_waits() {
        let moments = Moments::default();
        let waits = moments.next(Moment::Arrival, Duration::from_secs(5));
        let enters = async { moments.enter(Moment::Arrival) };
        let (woken, guard) = tokio::join!(waits, enters);
        assert!(woken && moments.under_way(Moment::Arrival) == 1 && moments.under_way(Moment::Callback) == 0);
        drop(guard);
        assert_eq!(moments.under_way(Moment::Arrival), 0);
        assert!(!moments.next(Moment::Freeze, Duration::from_millis(1)).await);
    }
}
