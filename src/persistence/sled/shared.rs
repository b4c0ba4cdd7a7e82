//! What the commit thread, the upkeep thread and readers share. Owns the watermarks and the end of the journal.
//!
//! A read may see what is applied but not yet on stable storage. So every read ends in [`Shared::settled`]: it waits
//! until all that was applied when it looked is durable. Under load that costs a read at most two syncs, and nothing
//! is ever shown that a power cut could take back (law 1).

use super::grow::Growth;
use super::index::Index;
use super::queue::Queue;
use super::recent::Recent;
use super::space::Space;
use super::stable::Stable;
use super::values;
use super::witness::Witness;
use crate::clock::SharedClock;
use crate::config::journal::Journal as Config;
use crate::ids::PartnerId;
use crate::persistence::JournalError;
use crate::telemetry::metrics::journal as metrics;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Called once, with the reason, when the journal has failed and the process must stop (RT-7).
pub type FatalHook = Box<dyn Fn(&str) + Send + Sync>;

/// What the commit thread changes besides the store.
#[derive(Default)]
pub(super) struct Mutable {
    /// Rows, create-once keys and outbox chunks that lie in pieces, and in how many.
    pub(super) large: HashMap<Vec<u8>, u16>,
    /// Keys written since a running backup began.
    pub(super) dirty: Option<HashSet<Vec<u8>>>,
}

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) clock: SharedClock,
    pub(super) store: sled::Db,
    /// The store's one tree.
    pub(super) tree: sled::Tree,
    /// sled's `db` file, opened before the first write so that it sees every write error at sync.
    pub(super) file: File,
    pub(super) growth: Growth,
    pub(super) witness: Witness,
    /// Always true but in the power-cut rig's proof that it catches a store without it.
    pub(super) sync_file: bool,
    /// The descriptor whose syncs fail, for tests.
    #[cfg(test)]
    pub(super) broken: std::sync::atomic::AtomicI32,
    /// For tests: each sync of the store's file waits for a word from here, until there is nobody to give one.
    #[cfg(test)]
    pub(super) gate: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
    pub(super) queue: Queue,
    pub(super) stable: Stable,
    pub(super) space: Space,
    pub(super) recent: Recent,
    pub(super) epoch: u64,
    pub(super) downtime: Duration,
    index: Mutex<Index>,
    mutable: Mutex<Mutable>,
    /// Number of the batch that was last given to the store.
    pub(super) applied: AtomicU64,
    /// Number of the batch that was last made durable.
    pub(super) durable: watch::Sender<u64>,
    pub(super) next_block: AtomicU64,
    pub(super) horizon: AtomicU64,
    pub(super) trim: Mutex<HashMap<PartnerId, u64>>,
    /// One backup at a time: they would share the note of what changed.
    pub(super) backing_up: AtomicBool,
    failed: AtomicBool,
    failure: OnceLock<String>,
    hook: Mutex<Option<FatalHook>>,
    stopping: Mutex<bool>,
    stop: Condvar,
    /// Held for as long as the store is open.
    pub(super) _lock: File,
}

/// What opening found.
pub(super) struct Opened {
    pub(super) store: sled::Db,
    pub(super) file: File,
    pub(super) growth: Growth,
    pub(super) witness: Witness,
    pub(super) lock: File,
    pub(super) space: Space,
    pub(super) epoch: u64,
    pub(super) downtime: Duration,
    pub(super) index: Index,
    pub(super) large: HashMap<Vec<u8>, u16>,
    pub(super) next_block: u64,
    pub(super) horizon: u64,
}

impl Shared {
    pub(super) fn new(config: &Config, clock: &SharedClock, sync_file: bool, opened: Opened) -> Self {
        Shared {
            config: config.clone(),
            clock: clock.clone(),
            tree: (*opened.store).clone(),
            store: opened.store,
            file: opened.file,
            growth: opened.growth,
            witness: opened.witness,
            sync_file,
            #[cfg(test)]
            broken: std::sync::atomic::AtomicI32::new(-1),
            #[cfg(test)]
            gate: Mutex::default(),
            queue: Queue::new(config.queue_bound),
            stable: Stable::default(),
            space: opened.space,
            recent: Recent::default(),
            epoch: opened.epoch,
            downtime: opened.downtime,
            index: Mutex::new(opened.index),
            mutable: Mutex::new(Mutable { large: opened.large, dirty: None }),
            applied: AtomicU64::new(0),
            durable: watch::Sender::new(0),
            next_block: AtomicU64::new(opened.next_block),
            horizon: AtomicU64::new(opened.horizon),
            trim: Mutex::default(),
            backing_up: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failure: OnceLock::new(),
            hook: Mutex::new(None),
            stopping: Mutex::new(false),
            stop: Condvar::new(),
            _lock: opened.lock,
        }
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn mutable(&self) -> MutexGuard<'_, Mutable> {
        self.mutable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what was written to the store's file is on stable storage.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        if std::ptr::eq(file, &raw const self.file)
            && let Some(gate) = &*self.gate.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let _ = gate.recv();
        }
        #[cfg(test)]
        if self.broken.load(SeqCst) == std::os::fd::AsRawFd::as_raw_fd(file) {
            return Err(io::Error::other("injected"));
        }
        if self.sync_file { file.sync_data() } else { Ok(()) }
    }

    /// The end: nothing is written any more, readers and writers are told, the process is asked to stop.
    pub(super) fn fail(&self, why: &str) {
        if self.failed.swap(true, SeqCst) {
            return;
        }
        metrics::SYNC_FAILURES.add(1, []);
        tracing::error!(why, "the journal has failed; the process must stop and recover from what the disk holds");
        let _ = self.failure.set(why.to_owned());
        self.durable.send_modify(|_| {});
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hook) = hook.as_ref() {
            hook(why);
        }
    }

    pub(super) fn failure(&self) -> Option<&str> {
        let why = || self.failure.get().map_or("the journal has failed", String::as_str);
        self.failed.load(SeqCst).then(why)
    }

    pub(super) fn set_hook(&self, hook: FatalHook) {
        let mut place = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = self.failure() {
            hook(why);
        }
        *place = Some(hook);
    }

    /// Waits until everything that had been applied at the time of the call is durable.
    pub(super) async fn settled(&self) -> Result<(), JournalError> {
        let applied = self.applied.load(SeqCst);
        if *self.durable.borrow() < applied {
            let mut durable = self.durable.subscribe();
            // The sender lives in `self`: it cannot be closed here.
            let _ = durable.wait_for(|durable| *durable >= applied || self.failed.load(SeqCst)).await;
        }
        match self.failure() {
            Some(why) => Err(JournalError::Unavailable(why.to_owned())),
            None => Ok(()),
        }
    }

    /// Tells the upkeep thread to end, and that which makes the file longer.
    pub(super) fn stop(&self) {
        self.growth.stop();
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.notify_all();
    }

    /// Sleeps; true once it is time to end.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.stop.wait_timeout_while(stopping, time, |stopping| !*stopping);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The raw value under a key.
    pub(super) fn raw(&self, key: &[u8]) -> Result<Option<sled::IVec>, JournalError> {
        self.tree.get(key).map_err(|e| values::failed(&e))
    }
}
