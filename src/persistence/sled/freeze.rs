//! Steps of a backup that only the commit thread can take, between two commits. Owns their meaning.

use super::shared::Shared;
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

/// Longest time that the last step of a backup may hold up commits.
const HOLD_MAX: Duration = Duration::from_secs(10);

/// A step of a backup.
pub(super) enum Freeze {
    /// From now on note which keys are written.
    Begin(SyncSender<HashSet<Vec<u8>>>),
    /// Give the keys written since the last step, and go on noting.
    Take(SyncSender<HashSet<Vec<u8>>>),
    /// Give the keys written since the last step, and commit nothing until released.
    Hold(SyncSender<HashSet<Vec<u8>>>, Receiver<()>),
}

impl Freeze {
    pub(super) fn perform(self, shared: &Shared) {
        // A backup that has given up is no error: its step is void.
        match self {
            Freeze::Begin(reply) => {
                shared.mutable().dirty = Some(HashSet::new());
                let _ = reply.send(HashSet::new());
            }
            Freeze::Take(reply) => {
                let keys = shared.mutable().dirty.replace(HashSet::new()).unwrap_or_default();
                let _ = reply.send(keys);
            }
            Freeze::Hold(reply, release) => {
                let keys = shared.mutable().dirty.take().unwrap_or_default();
                if reply.send(keys).is_ok() {
                    let _ = release.recv_timeout(HOLD_MAX);
                }
            }
        }
    }
}
