//! The pace of one queue: a rate with a burst (GCRA in microseconds, so that it is exact and time is passed in), and the
//! pause that a 429 asks for. `governor` does the same with a clock of its own, which the rules do not have.

use crate::clock::Timestamp;
use std::time::Duration;

/// How fast and how much at once (keys of `[webhook]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Events held in memory.
    pub window: usize,
    /// Tries under way at once.
    pub in_flight: usize,
    /// Tries begun in a second, in the long run; 0 for no limit.
    pub rate_per_s: u32,
    /// Tries that may begin at once after a rest.
    pub burst: u32,
    /// So many failures in a row, and only one try at a time is made until one succeeds; 0 for never.
    pub probe_after: u32,
    /// The shortest pause after a 429.
    pub slow_min: Duration,
    /// The longest pause after a 429.
    pub slow_max: Duration,
}

/// When the next try may begin.
#[derive(Debug)]
pub(super) struct Gate {
    /// Microseconds from one try to the next in the long run; 0 for no limit.
    interval: i64,
    /// How far the theoretical arrival time may run ahead.
    tolerance: i64,
    /// Theoretical arrival time, in microseconds since 1970.
    arrival: i64,
    /// Until when the partner's 429 holds everything back.
    closed_until: Timestamp,
}

impl Gate {
    pub(super) fn new(pace: &Pace) -> Self {
        let interval = 1_000_000i64.checked_div(i64::from(pace.rate_per_s)).unwrap_or(0);
        let tolerance = interval * i64::from(pace.burst.max(1) - 1);
        Gate { interval, tolerance, arrival: i64::MIN / 2, closed_until: Timestamp(i64::MIN) }
    }

    /// From when on a try may begin; `now` or earlier: at once.
    pub(super) fn opens(&self, now: Timestamp) -> Timestamp {
        let earliest = self.arrival.saturating_sub(self.tolerance);
        // Rounded up: a whole millisecond is the finest timer.
        let by_rate = Timestamp(earliest.div_euclid(1000) + i64::from(earliest.rem_euclid(1000) > 0));
        if self.interval == 0 { self.closed_until.max(now) } else { by_rate.max(self.closed_until) }
    }

    /// A try begins.
    pub(super) fn pass(&mut self, now: Timestamp) {
        self.arrival = self.arrival.max(now.0.saturating_mul(1000)).saturating_add(self.interval);
    }

    /// Nothing begins before `until`.
    pub(super) fn close_until(&mut self, until: Timestamp) {
        self.closed_until = self.closed_until.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(rate_per_s: u32, burst: u32) -> Gate {
        let second = Duration::from_secs(1);
        Gate::new(&Pace {
            window: 1,
            in_flight: 1,
            rate_per_s,
            burst,
            probe_after: 0,
            slow_min: second,
            slow_max: second,
        })
    }

    fn passes_in(gate: &mut Gate, millis: std::ops::Range<i64>) -> usize {
        let mut passed = 0;
        for now in millis.map(|m| Timestamp(1_000_000 + m)) {
            while gate.opens(now) <= now && passed < 100_000 {
                gate.pass(now);
                passed += 1;
            }
        }
        passed
    }

    #[test]
    fn a_rest_allows_a_burst_and_then_the_rate_holds() {
        let mut gate = gate(100, 20);
        assert_eq!(passes_in(&mut gate, 0..1), 20);
        assert_eq!(passes_in(&mut gate, 1..1001), 100);
        assert_eq!(passes_in(&mut gate, 60_000..60_001), 20);
    }

    #[test]
    fn a_closed_gate_opens_at_its_time_and_a_shorter_closing_does_not_shorten_it() {
        let mut gate = gate(0, 0);
        gate.close_until(Timestamp(5000));
        gate.close_until(Timestamp(3000));
        assert_eq!(gate.opens(Timestamp(1000)), Timestamp(5000));
        assert_eq!(gate.opens(Timestamp(5000)), Timestamp(5000));
    }
}
