//! What a queue may still ask the partner's outbox for, so that the rest of it can go once it is old enough (EM-8).

use super::Queue;

impl Queue {
    /// The first position whose event may still be sent: everything before it is settled for good. What was delivered may
    /// be asked for again as long as it is kept (`journal.outbox_retention`), so this alone removes nothing.
    pub fn needed_from(&self) -> u64 {
        if self.retired {
            return u64::MAX;
        }
        if self.dead > 0 && self.dead_from.is_none() {
            // From a build that did not remember where they are.
            return 0;
        }
        let waiting = [Some(self.low_water + 1), self.open.keys().next().copied(), self.dead_from];
        let replayed = self.replays.iter().map(|replay| Some(replay.cursor + 1));
        waiting.into_iter().chain(replayed).flatten().min().unwrap_or(0)
    }

    /// A dead letter can be replayed until it is discarded.
    pub(super) fn bury(&mut self, position: u64) {
        if self.dead == 0 || self.dead_from.is_some() {
            self.dead_from = Some(self.dead_from.map_or(position, |from| from.min(position)));
        }
        self.dead += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Replay, Selection};
    use super::*;

    #[test]
    fn what_is_settled_is_not_needed_and_what_waits_is() {
        let queue = Queue { low_water: 10, ..Queue::default() };
        assert_eq!(queue.needed_from(), 11);
        let ahead = Queue { ahead: [13, 14].into(), ..queue.clone() };
        assert_eq!(ahead.needed_from(), 11, "11 and 12 are still to be sent");
        let mut dead = queue.clone();
        dead.bury(7);
        dead.bury(5);
        assert_eq!((dead.dead, dead.needed_from()), (2, 5));
        dead.forget_dead(1);
        assert_eq!(dead.needed_from(), 5, "which one went is not known");
        dead.forget_dead(1);
        assert_eq!((dead.dead_from, dead.needed_from()), (None, 11));
        let mut old = Queue { dead: 1, ..queue.clone() };
        old.bury(9);
        assert_eq!((old.dead, old.needed_from()), (2, 0), "where the first lies is not known");
        let replay = Replay { id: 1, selection: Selection::Dead, cursor: 3, until: 10, fed: 0 };
        let replayed = Queue { replays: vec![replay], ..queue.clone() };
        assert_eq!(replayed.needed_from(), 4);
        assert_eq!(Queue { retired: true, ..queue }.needed_from(), u64::MAX);
    }
}
