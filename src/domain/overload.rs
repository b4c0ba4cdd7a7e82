//! What is shed first when there is more to do than can be done, and what never (OP-10).
//!
//! The measure is how long what is ready waits for its thread. As it rises, those are turned away first who lose least: reads of
//! partners (they have webhooks, and can ask again), then chargers that are not in yet (they keep their facts and come again), then
//! what would begin new work. Never: what a charger in a connection tells, what ends something, what operators do, and
//! webhooks, which wait in the journal.
//!
//! The other measure is how full memory is (fault O4). There newcomers go first, for they stay; calls of partners only just before
//! the system would kill us, for what they take they give back.

use std::sync::Arc;
use std::time::Duration;

/// What is asked of us, by what it costs the asker to be turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// A charger wants to come in.
    Handshake,
    /// A partner reads: statuses, lists, events.
    Query,
    /// A partner wants something to begin: a session, a reservation.
    Start,
    /// Everything else: transaction messages, stops, cancellations, keys, operators.
    Kept,
}

/// Whether this one is turned away now: `late` is how long what is ready waits, `bound` where shedding of its kind begins (zero:
/// never). Between the bound and its double the share of partners' calls that is turned away rises from none to all, so that
/// load and lateness find a level instead of swinging; `chance`, 0 to 1, decides for the single call.
pub fn sheds(demand: Demand, late: Duration, bound: Duration, chance: f64) -> bool {
    if bound.is_zero() || late <= bound {
        return false;
    }
    match demand {
        // Beyond the bound they have a rate of their own, so nobody waits for ever.
        Demand::Handshake => true,
        Demand::Query | Demand::Start => chance < (late - bound).as_secs_f64() / bound.as_secs_f64(),
        Demand::Kept => false,
    }
}

/// What presses just now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pressure {
    /// How long what is ready waits for its thread.
    pub late: Duration,
    /// The share in use of the memory that the process may have.
    pub full: f64,
}

impl Pressure {
    /// Whether either turns this one away now; see [`sheds`] and [`crowded`].
    pub fn turns_away(self, demand: Demand, late_bound: Duration, chance: f64) -> bool {
        sheds(demand, self.late, late_bound, chance) || crowded(demand, self.full)
    }
}

/// The memory that the process may have, by the last look at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// The share in use, of whatever bound is fullest.
    pub full: f64,
    /// The tightest bound, bytes.
    pub max: u64,
}

impl Memory {
    /// None is in use, and there is no bound.
    pub const ENDLESS: Memory = Memory { full: 0.0, max: u64::MAX };

    /// Bytes that all large messages may take at once where so many are configured: a twentieth of the memory at most, for those
    /// who are in may send them between two looks.
    pub fn of_large_messages(self, configured: usize) -> usize {
        configured.min(usize::try_from(self.max / 20).unwrap_or(usize::MAX))
    }
}

/// Tells of the memory.
pub type MemoryGauge = Arc<dyn Fn() -> Memory + Send + Sync>;

/// Whether this one is turned away now for want of memory: `full` is the share in use of what the process may have.
pub fn crowded(demand: Demand, full: f64) -> bool {
    match demand {
        Demand::Handshake => full >= 0.9,
        Demand::Query | Demand::Start => full >= 0.95,
        Demand::Kept => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_turned_away_rises_with_lateness_and_what_is_told_never_is() {
        use Demand::{Handshake, Kept, Query, Start};
        for (late_ms, demand, bound_ms, chance, shed) in [
            (0, Handshake, 250, 0.0, false),
            (250, Handshake, 250, 0.0, false),
            (251, Handshake, 250, 0.99, true),
            (500, Query, 500, 0.0, false),
            (501, Query, 500, 0.0, true),
            (501, Query, 500, 0.5, false),
            (750, Query, 500, 0.49, true),
            (750, Query, 500, 0.51, false),
            (1_000, Query, 500, 0.999, true),
            (1_000, Start, 1_000, 0.0, false),
            (1_500, Start, 1_000, 0.49, true),
            (1_500, Start, 1_000, 0.51, false),
            (60_000, Query, 500, 0.999, true),
            (60_000, Start, 1_000, 0.999, true),
            (60_000, Kept, 1, 0.0, false),
            (60_000, Query, 0, 0.0, false),
            (60_000, Start, 0, 0.0, false),
        ] {
            let (late, bound) = (Duration::from_millis(late_ms), Duration::from_millis(bound_ms));
            let told = sheds(demand, late, bound, chance);
            assert_eq!(told, shed, "{demand:?} at {late_ms} ms of {bound_ms} ms, chance {chance}");
        }
    }

    #[test]
    fn large_messages_fit_into_what_is_left_when_newcomers_are_turned_away() {
        for (configured, max, bytes) in
            [(64 << 20, u64::MAX, 64 << 20), (64 << 20, 2_000 << 20, 64 << 20), (64 << 20, 100 << 20, 5 << 20)]
        {
            assert_eq!(Memory { max, ..Memory::ENDLESS }.of_large_messages(configured), bytes, "{max}");
        }
    }

    #[test]
    fn as_memory_fills_newcomers_go_first_then_what_partners_ask_and_never_what_is_told() {
        for (full, away) in
            [(0.0, [false; 3]), (0.89, [false; 3]), (0.9, [true, false, false]), (0.95, [true; 3]), (3.0, [true; 3])]
        {
            let told = [Demand::Handshake, Demand::Query, Demand::Start].map(|demand| crowded(demand, full));
            assert_eq!(told, away, "{full}");
            assert!(!crowded(Demand::Kept, full), "{full}");
        }
    }
}
