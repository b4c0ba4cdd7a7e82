//! The health of an endpoint, from every try (not only from those that exhausted their retries). Owns the window and the
//! alert levels, and when enough is enough; what follows is the queue's.

use super::policy::Policy;
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// Tries that can count, one bit each.
const BITS: u32 = 64;

/// The newest tries, and the alert that is out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Newest try in the lowest bit; 1 is a failure.
    failures: u64,
    /// How many bits count.
    seen: u32,
    /// The highest level alerted since the last recovery; 0 for none.
    pub alerted: u8,
    /// When the first of the present row of failures began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
}

/// What a change of health calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crossing {
    /// A level was reached for the first time since the last recovery.
    Failing(u8),
    /// It works again.
    Recovered,
}

impl Health {
    /// Counts a try that began then.
    pub(super) fn note(&mut self, delivered: bool, started: Timestamp) {
        self.failures = (self.failures << 1) | u64::from(!delivered);
        self.seen = (self.seen + 1).min(BITS);
        if delivered {
            self.failing_since = None;
        } else {
            self.failing_since.get_or_insert(started);
        }
    }

    /// Failing tries among the newest so many, in percent.
    pub fn failing_percent(&self, window: u32) -> u8 {
        let window = window.clamp(1, BITS);
        // Bits beyond `seen` are still zero, so all of the window can be counted.
        let failed = (self.failures & (u64::MAX >> (BITS - window))).count_ones();
        u8::try_from((failed * 100).checked_div(self.samples(window)).unwrap_or(0)).unwrap_or(100)
    }

    /// How many tries the share is made of.
    pub fn samples(&self, window: u32) -> u32 {
        self.seen.min(window)
    }

    /// What the present share calls for, given the alert that is out.
    pub(super) fn crossing(&self, policy: &Policy) -> Option<Crossing> {
        let percent = self.failing_percent(policy.health_window);
        if self.alerted > 0 && percent < policy.health_recovered {
            return Some(Crossing::Recovered);
        }
        if self.samples(policy.health_window) < policy.health_samples_min {
            return None;
        }
        let reached = policy.health_levels.iter().rev().find(|level| percent >= **level)?;
        (*reached > self.alerted).then_some(Crossing::Failing(*reached))
    }

    /// Whether every try has failed for so long that the endpoint is to be disabled.
    pub(super) fn is_hopeless(&self, now: Timestamp, policy: &Policy) -> bool {
        !policy.disable_after.is_zero()
            && self.seen >= policy.health_samples_min
            && self.failing_since.is_some_and(|since| now.since(since) >= policy.disable_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn run(tries: &str, policy: &Policy) -> (Health, Vec<Crossing>) {
        let mut health = Health::default();
        let mut seen = Vec::new();
        for (n, delivered) in tries.chars().map(|c| c == '+').enumerate() {
            health.note(delivered, Timestamp(i64::try_from(n).unwrap()));
            if let Some(crossing) = health.crossing(policy) {
                health.alerted = match crossing {
                    Crossing::Failing(level) => level,
                    Crossing::Recovered => 0,
                };
                seen.push(crossing);
            }
        }
        (health, seen)
    }

    #[test]
    fn each_level_is_alerted_once_and_recovery_resets_them() {
        use Crossing::{Failing, Recovered};
        let policy = Policy::default();
        for (tries, expected) in [
            ("-------", vec![]),
            ("--------", vec![Failing(100)]),
            ("++++++++", vec![]),
            ("++++----", vec![Failing(50)]),
            ("++++-----", vec![Failing(50)]),
            ("----++++++++++++++", vec![Failing(50), Recovered]),
        ] {
            assert_eq!(run(tries, &policy).1, expected, "{tries}");
        }
        let (health, seen) = run(&format!("++{}", "-".repeat(70)), &policy);
        assert_eq!(seen, vec![Failing(70), Failing(90), Failing(100)]);
        assert_eq!((health.failing_percent(64), health.samples(64)), (100, 64));
    }

    #[test]
    fn window_and_levels_are_those_of_the_settings() {
        use Crossing::{Failing, Recovered};
        let policy = Policy {
            health_window: 10,
            health_samples_min: 2,
            health_levels: vec![20, 80],
            health_recovered: 10,
            ..Policy::default()
        };
        let (health, seen) = run("++++++++--------++++++++++", &policy);
        assert_eq!(seen, vec![Failing(20), Failing(80), Recovered]);
        assert_eq!((health.failing_percent(10), health.samples(10), health.failing_percent(64)), (0, 10, 30));
        assert_eq!(run("----", &Policy { health_samples_min: 5, ..policy }).1, vec![]);
    }

    #[test]
    fn an_endpoint_is_given_up_when_nothing_but_failures_came_for_so_long() {
        let hour = |n: i64| Timestamp(n * 3_600_000);
        let day = Policy::default();
        let never = Policy { disable_after: Duration::ZERO, ..Policy::default() };
        let few = Policy { health_samples_min: 20, ..Policy::default() };
        // (tries with their hours, now, given up)
        let steady: Vec<(i64, bool)> = (0..10).map(|n| (n, false)).collect();
        let once: Vec<(i64, bool)> = (0..10).map(|n| (n, n == 5)).collect();
        for (tries, now, policy, expected) in [
            (&steady, 23, &day, false),
            (&steady, 24, &day, true),
            (&steady, 24, &never, false),
            (&steady, 24, &few, false),
            (&once, 24, &day, false),
            (&once, 30, &day, true),
        ] {
            let mut health = Health::default();
            tries.iter().for_each(|(at, delivered)| health.note(*delivered, hour(*at)));
            assert_eq!(health.is_hopeless(hour(now), policy), expected, "{tries:?} {now}");
        }
    }
}
