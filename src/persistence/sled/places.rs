//! Places of a commit at which the power-cut rig holds the process (faults J4, J10). Owns their names; in a release build
//! nothing of it is left.

use super::commit::Job;

/// What a commit is about besides records.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Places {
    snapshot: bool,
    prune: bool,
}

impl Places {
    pub(super) fn see(&mut self, job: &Job) {
        match job {
            Job::Snapshot { .. } => self.snapshot = true,
            Job::Prune(_) => self.prune = true,
            _ => {}
        }
    }

    /// Nothing of it is in the store yet.
    pub(super) fn begun(self) {
        self.at(["journal.commit.begun", "journal.snapshot.begun", "journal.prune.begun"]);
    }

    /// The store has flushed it; it is not synced.
    pub(super) fn written(self) {
        self.at(["journal.commit.written", "journal.snapshot.written", "journal.prune.written"]);
    }

    #[cfg(feature = "testing")]
    fn at(self, [commit, snapshot, prune]: [&str; 3]) {
        use crate::testing::points;
        if points::armed() {
            for (place, here) in [(commit, true), (snapshot, self.snapshot), (prune, self.prune)] {
                let _ = here && points::hit(place, "");
            }
        }
    }

    #[cfg(not(feature = "testing"))]
    fn at(self, _: [&str; 3]) {}
}
