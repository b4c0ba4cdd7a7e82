//! The end of the store's file, made before it is needed (ADR 19). Owns when the file grows, and its sync; the store knows by
//! how much.
//!
//! A commit that makes the file longer waits for the file system's own journal as well as for its bytes, twice as long on many a
//! disk. So a thread of its own writes zeros ahead of the log, and a commit overwrites them. Where it is late, or the disk is
//! nearly full, a commit makes the file longer itself, as it would without.

use super::shared::Shared;
use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// More than one growth takes: a segment of the store.
const STEP: u64 = 1 << 20;

#[derive(Default)]
struct State {
    asked: bool,
    stopped: bool,
}

pub(super) struct Growth {
    /// Opened by itself: a write error is told once to each who has opened the file, and the commit thread has to hear of it.
    file: File,
    state: Mutex<State>,
    wake: Condvar,
}

impl Growth {
    pub(super) fn new(file: File) -> Self {
        Growth { file, state: Mutex::default(), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file is about to be written to its end.
    pub(super) fn ask(&self) {
        self.lock().asked = true;
        self.wake.notify_one();
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.wake.notify_one();
    }

    /// Waits until the file is to grow; false once it is time to end.
    fn wait(&self) -> bool {
        let waited = self.wake.wait_while(self.lock(), |state| !state.asked && !state.stopped);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.asked = false;
        !state.stopped
    }

    fn is_stopped(&self) -> bool {
        self.lock().stopped
    }
}

/// Runs until the journal is closed.
pub(super) fn run(shared: Arc<Shared>) {
    loop {
        if let Err(error) = grow(&shared) {
            // Commits make the file longer themselves, and find out whether the disk can still be written to.
            tracing::warn!(%error, "the store's file cannot be made longer ahead of its log");
            if shared.pause(shared.config.upkeep_interval) {
                return;
            }
        }
        if !shared.growth.wait() {
            return;
        }
    }
}

/// Makes the file as long as it should be, step by step, so that no commit waits for many. A sync that fails ends the journal,
/// as a commit's does: nobody can tell what it was about (RT-7).
fn grow(shared: &Shared) -> io::Result<()> {
    while !shared.growth.is_stopped() && shared.failure().is_none() && shared.space.spare(STEP) {
        let grown = shared.store.grow().map_err(io::Error::other)?;
        if !grown {
            break;
        }
        if let Err(error) = shared.sync(&shared.growth.file) {
            shared.fail(&format!("syncing the store's file ahead of its log: {error}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::journal::Journal as Config;
    use crate::persistence::contract::{ManualClock, turn};
    use crate::persistence::sled::SledJournal;
    use crate::persistence::sled::tests::config;
    use crate::persistence::{Journal as _, StreamName};
    use std::os::fd::AsRawFd;
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::{Duration, Instant};

    /// Whether the file of a journal was made longer than needed within the time, after a commit.
    async fn grows(adjust: impl FnOnce(&mut Config), within: Duration) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(directory.path());
        adjust(&mut config);
        let journal = SledJournal::open(&config, &ManualClock::default().shared()).unwrap();
        let token = journal.claim(&StreamName::new("charger", "CP-1")).await.unwrap().token;
        journal.append(&token, turn(0, &[1])).await.unwrap();
        let begun = Instant::now();
        while journal.shared.store.is_short() && begun.elapsed() < within {
            std::thread::yield_now();
        }
        !journal.shared.store.is_short()
    }

    #[tokio::test]
    async fn a_sync_ahead_of_the_log_that_fails_ends_the_journal() {
        let directory = tempfile::tempdir().unwrap();
        let journal = SledJournal::open(&config(directory.path()), &ManualClock::default().shared()).unwrap();
        let shared = &journal.shared;
        shared.broken.store(shared.growth.file.as_raw_fd(), SeqCst);
        shared.tree.insert(b"zeros", vec![1; 8 << 20]).unwrap();
        shared.store.flush().unwrap();
        shared.growth.ask();
        let begun = Instant::now();
        while shared.failure().is_none() && begun.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }
        assert_eq!(shared.failure(), Some("syncing the store's file ahead of its log: injected"));
    }

    #[tokio::test]
    async fn the_file_is_longer_than_its_log_where_the_disk_has_room() {
        assert!(grows(|_| {}, Duration::from_secs(60)).await);
        assert!(
            !grows(|config| config.full_floor_bytes = u64::MAX, Duration::from_millis(50)).await,
            "kept for commits"
        );
    }
}
