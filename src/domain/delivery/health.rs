//! The health of an endpoint, from every try (not only from those that exhausted their retries). Owns the window and the
//! alert levels; never disables anything.

use serde::{Deserialize, Serialize};

/// Tries that count: the newest 64, one bit each.
const WINDOW: u32 = 64;
/// Shares of failing tries, in percent, at which an alert goes out.
pub(super) const LEVELS: [u8; 4] = [50, 70, 90, 100];
/// Below this share an alerted endpoint counts as recovered; lower than the first level, so that it does not flap.
const RECOVERED_BELOW: u8 = 25;

/// The newest tries, and the alert that is out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Newest try in the lowest bit; 1 is a failure.
    failures: u64,
    /// How many bits count.
    seen: u32,
    /// The highest level alerted since the last recovery; 0 for none.
    pub alerted: u8,
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
    /// Counts a try.
    pub(super) fn note(&mut self, delivered: bool) {
        self.failures = (self.failures << 1) | u64::from(!delivered);
        self.seen = (self.seen + 1).min(WINDOW);
    }

    /// Failing tries among the newest 64, in percent.
    pub fn failing_percent(&self) -> u8 {
        // Bits beyond `seen` are still zero, so all can be counted.
        let failed = self.failures.count_ones();
        u8::try_from((failed * 100).checked_div(self.seen).unwrap_or(0)).unwrap_or(100)
    }

    /// How many tries the share is made of.
    pub fn samples(&self) -> u32 {
        self.seen
    }

    /// What the present share calls for, given the alert that is out.
    pub(super) fn crossing(&self, samples_min: u32) -> Option<Crossing> {
        let percent = self.failing_percent();
        if self.alerted > 0 && percent < RECOVERED_BELOW {
            return Some(Crossing::Recovered);
        }
        if self.seen < samples_min {
            return None;
        }
        let reached = LEVELS.into_iter().rev().find(|level| percent >= *level)?;
        (reached > self.alerted).then_some(Crossing::Failing(reached))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tries: &str) -> (Health, Vec<Crossing>) {
        let mut health = Health::default();
        let mut seen = Vec::new();
        for delivered in tries.chars().map(|c| c == '+') {
            health.note(delivered);
            if let Some(crossing) = health.crossing(8) {
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
        for (tries, expected) in [
            ("-------", vec![]),
            ("--------", vec![Failing(100)]),
            ("++++++++", vec![]),
            ("++++----", vec![Failing(50)]),
            ("++++-----", vec![Failing(50)]),
            ("----++++++++++++++", vec![Failing(50), Recovered]),
        ] {
            assert_eq!(run(tries).1, expected, "{tries}");
        }
        let (health, seen) = run(&format!("++{}", "-".repeat(70)));
        assert_eq!(seen, vec![Failing(70), Failing(90), Failing(100)]);
        assert_eq!((health.failing_percent(), health.samples()), (100, 64));
    }
}
