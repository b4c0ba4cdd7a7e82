//! Runs of heartbeats. They say the same each time, so the frame log keeps a run of them as one line, and a heartbeat costs
//! it nothing.

use super::super::ports::Passed;
use crate::clock::Timestamp;
use std::time::Duration;

/// A run is told at least this often, so that the log shows that the charger lives.
const TOLD_EVERY: Duration = Duration::from_secs(15 * 60);

/// The heartbeats since another frame passed; without any, the times mean nothing.
#[derive(Debug, Default)]
pub(super) struct Beats {
    first: Timestamp,
    last: Timestamp,
    count: u32,
}

impl Beats {
    /// One more; gives the run when it is time to tell it.
    pub(super) fn add(&mut self, now: Timestamp) -> Option<(Timestamp, Passed<'static>)> {
        if self.count == 0 {
            self.first = now;
        }
        (self.last, self.count) = (now, self.count.saturating_add(1));
        if now.since(self.first) >= TOLD_EVERY { self.take() } else { None }
    }

    /// The run so far: its begin, and what is told of it.
    pub(super) fn take(&mut self) -> Option<(Timestamp, Passed<'static>)> {
        let Beats { first, last, count } = std::mem::take(self);
        (count > 0).then_some((first, Passed::Heartbeats(count, last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_when_something_else_comes_and_at_least_every_quarter_of_an_hour() {
        let mut beats = Beats::default();
        assert_eq!(beats.take(), None);
        for second in [0, 300, 600] {
            assert_eq!(beats.add(Timestamp(second * 1000)), None);
        }
        assert_eq!(beats.take(), Some((Timestamp(0), Passed::Heartbeats(3, Timestamp(600_000)))));
        assert_eq!(beats.add(Timestamp(900_000)), None);
        assert_eq!(
            beats.add(Timestamp(1_800_000)),
            Some((Timestamp(900_000), Passed::Heartbeats(2, Timestamp(1_800_000))))
        );
        assert_eq!(beats.take(), None);
    }
}
