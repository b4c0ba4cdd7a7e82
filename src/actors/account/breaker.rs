//! A circuit breaker (MO-3): after some failures in a row nothing is asked for a while, then one question tries whether it
//! works again. Owns that decision; the time comes in.

use crate::clock::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Questions go through; so many have failed in a row.
    Closed(u32),
    /// Nothing goes through until then.
    Open(Timestamp),
    /// One question is under way; at that time the next may go.
    Trying(Timestamp),
}

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    failures: u32,
    pause: Duration,
    position: Mutex<Position>,
}

impl Breaker {
    /// Opens after `failures` in a row, for `pause`.
    pub fn new(failures: u32, pause: Duration) -> Self {
        Breaker { failures: failures.max(1), pause, position: Mutex::new(Position::Closed(0)) }
    }

    fn lock(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it stands.
    pub fn position(&self) -> Position {
        *self.lock()
    }

    /// Whether a question may go now. Whoever asks so tells the outcome.
    pub fn may_ask(&self, now: Timestamp) -> bool {
        let mut position = self.lock();
        match *position {
            Position::Closed(_) => true,
            Position::Open(until) | Position::Trying(until) if now >= until => {
                *position = Position::Trying(now + self.pause);
                true
            }
            Position::Open(_) | Position::Trying(_) => false,
        }
    }

    /// What came of a question. True: it has just opened.
    pub fn told(&self, worked: bool, now: Timestamp) -> bool {
        let mut position = self.lock();
        let failed = match *position {
            Position::Closed(failed) => failed + 1,
            Position::Open(_) | Position::Trying(_) => self.failures,
        };
        let (was_open, opens) = (!matches!(*position, Position::Closed(_)), !worked && failed >= self.failures);
        *position = match worked {
            true => Position::Closed(0),
            false if opens => Position::Open(now + self.pause),
            false => Position::Closed(failed),
        };
        opens && !was_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_tries_once_and_closes_with_a_success() {
        let breaker = Breaker::new(3, Duration::from_secs(10));
        let at = |seconds: i64| Timestamp(seconds * 1000);
        assert!(!breaker.told(false, at(0)) && !breaker.told(false, at(0)) && !breaker.told(true, at(0)));
        assert!(!breaker.told(false, at(1)) && !breaker.told(false, at(1)) && breaker.may_ask(at(1)));
        assert!(breaker.told(false, at(1)), "the third in a row opens it");
        assert_eq!([1, 10, 11, 11, 20, 21].map(|s| breaker.may_ask(at(s))), [false, false, true, false, false, true]);
        assert!(!breaker.told(false, at(22)), "it was open already");
        assert_eq!([31, 32].map(|s| breaker.may_ask(at(s))), [false, true]);
        breaker.told(true, at(32));
        assert_eq!(breaker.position(), Position::Closed(0));
    }
}
