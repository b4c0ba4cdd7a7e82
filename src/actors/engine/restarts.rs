//! How often an entity may fail before it is left alone (RT-2, finding 1 of faults-and-security B2). Pure.

use crate::clock::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// A sliding budget: at most `limit` restarts within `window`.
#[derive(Debug, Clone)]
pub struct RestartBudget {
    limit: usize,
    window: Duration,
    recent: VecDeque<Timestamp>,
}

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Rebuild it and go on.
    Restart,
    /// Leave it alone, and tell a person.
    Quarantine,
}

impl RestartBudget {
    /// A budget of `limit` restarts in any `window`.
    pub fn new(limit: usize, window: Duration) -> Self {
        RestartBudget { limit, window, recent: VecDeque::new() }
    }

    /// Counts a failure at `now`.
    pub fn record(&mut self, now: Timestamp) -> Verdict {
        while self.recent.front().is_some_and(|&at| now.since(at) >= self.window) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.limit {
            return Verdict::Quarantine;
        }
        self.recent.push_back(now);
        Verdict::Restart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_failure_within_a_minute_quarantines() {
        let mut budget = RestartBudget::new(3, Duration::from_secs(60));
        let table = [
            (0, Verdict::Restart),
            (10, Verdict::Restart),
            (20, Verdict::Restart),
            (59, Verdict::Quarantine),
            (60, Verdict::Restart),
            (61, Verdict::Quarantine),
            (80, Verdict::Restart),
        ];
        for (second, verdict) in table {
            assert_eq!(budget.record(Timestamp(second * 1000)), verdict, "at {second} s");
        }
    }
}
