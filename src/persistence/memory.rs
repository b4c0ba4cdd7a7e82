//! The journal in memory, for tests and for benches that measure everything but the disk. Owns the same promises as the
//! one on sled, and faults on demand; never a file, a thread or the wall clock.
//!
//! It works on a paused single-threaded runtime. What it holds outlives the handle: [`MemoryJournal::crash`] ends a
//! handle as `kill -9` ends a process, [`MemoryJournal::reopen`] is the next start. An append counts as durable once its
//! delay is over; a crash within the delay loses it.

mod state;

use super::journal::{
    Append, AppendError, Appended, Claimed, CreateOnce, Journal, JournalError, OutboxEntry, Snapshot, StoredRow,
    StreamName, StreamSummary, Token,
};
use crate::clock::SharedClock;
use crate::ids::PartnerId;
use async_trait::async_trait;
use state::State;
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the next append meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `Fenced`, as if another process had claimed the stream.
    Fenced,
    /// `Unknown`, and it is stored.
    UnknownStored,
    /// `Unknown`, and it is not stored.
    UnknownLost,
    /// `Unavailable`, not stored.
    Unavailable,
    /// `Full`, not stored.
    Full,
}

/// Tail records from which a snapshot is advised, unless set otherwise.
const SNAPSHOT_RECORDS: u64 = 1000;

/// A handle on a journal in memory.
pub struct MemoryJournal {
    backing: Arc<Mutex<State>>,
    clock: SharedClock,
    closed: AtomicBool,
    full: AtomicBool,
    faults: Mutex<VecDeque<(Option<StreamName>, Fault)>>,
    delay: Mutex<Duration>,
    snapshot_records: Mutex<u64>,
    downtime: Duration,
}

impl std::fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryJournal").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone() -> JournalError {
    JournalError::Unavailable("the journal is closed".into())
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new(clock: &SharedClock) -> Arc<Self> {
        Self::on(Arc::new(Mutex::new(State::new(1))), clock, Duration::ZERO)
    }

    fn on(backing: Arc<Mutex<State>>, clock: &SharedClock, downtime: Duration) -> Arc<Self> {
        Arc::new(MemoryJournal {
            backing,
            clock: clock.clone(),
            closed: AtomicBool::new(false),
            full: AtomicBool::new(false),
            faults: Mutex::default(),
            delay: Mutex::default(),
            snapshot_records: Mutex::new(SNAPSHOT_RECORDS),
            downtime,
        })
    }

    /// Ends this handle as a kill would: what is under way is lost, every later call fails.
    pub fn crash(&self) {
        if !self.closed.swap(true, Relaxed) {
            locked(&self.backing).alive = Some(self.clock.now());
        }
    }

    /// The next start on what the crashed handle left. Crashes this one if it has not been.
    pub fn reopen(&self) -> Arc<Self> {
        self.reopen_at(&self.clock)
    }

    /// As [`MemoryJournal::reopen`], by the clock of the next process.
    pub fn reopen_at(&self, clock: &SharedClock) -> Arc<Self> {
        self.crash();
        let alive = locked(&self.backing).next_process();
        let downtime = alive.map_or(Duration::ZERO, |alive| clock.now().since(alive));
        let next = Self::on(Arc::clone(&self.backing), clock, downtime);
        *locked(&next.snapshot_records) = *locked(&self.snapshot_records);
        *locked(&next.delay) = *locked(&self.delay);
        next
    }

    /// Another journal with the same content, on which claims and appends of this one leave no trace.
    pub fn fork(&self) -> Arc<Self> {
        let copy = locked(&self.backing).clone();
        Self::on(Arc::new(Mutex::new(copy)), &self.clock, Duration::ZERO)
    }

    /// The next append (of `stream`, if given) meets this. Several wait in order.
    pub fn fail_next(&self, stream: Option<&StreamName>, fault: Fault) {
        locked(&self.faults).push_back((stream.cloned(), fault));
    }

    /// How many faults have not been met yet.
    pub fn faults_left(&self) -> usize {
        locked(&self.faults).len()
    }

    /// From now on every append takes this long.
    pub fn delay_appends(&self, delay: Duration) {
        *locked(&self.delay) = delay;
    }

    /// What [`Journal::is_full`] says.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Relaxed);
    }

    /// Tail records from which a snapshot is advised.
    pub fn advise_snapshots_after(&self, records: u64) {
        *locked(&self.snapshot_records) = records;
    }

    /// Damages a stored record: claims report it.
    pub fn corrupt(&self, stream: &StreamName, sequence: u64) {
        locked(&self.backing).corrupt.insert((stream.clone(), sequence));
    }

    /// All records of a stream still held, for a look from a test.
    pub fn records(&self, stream: &StreamName) -> Vec<super::Record> {
        locked(&self.backing).streams.get(stream).map_or_else(Vec::new, |held| held.records.clone())
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, JournalError> {
        if self.closed.load(Relaxed) {
            return Err(gone());
        }
        let mut state = locked(&self.backing);
        state.alive = Some(self.clock.now());
        Ok(state)
    }

    fn next_fault(&self, stream: &StreamName) -> Option<Fault> {
        let mut faults = locked(&self.faults);
        let place = faults.iter().position(|(only, _)| only.as_ref().is_none_or(|only| only == stream))?;
        faults.remove(place).map(|(_, fault)| fault)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn claim(&self, stream: &StreamName) -> Result<Claimed, JournalError> {
        self.state()?.claim(stream)
    }

    async fn append(&self, token: &Token, append: Append) -> Result<Appended, AppendError> {
        let fault = self.next_fault(&token.stream);
        match fault {
            Some(Fault::Fenced) => return Err(AppendError::Fenced),
            Some(Fault::Unavailable) => return Err(AppendError::Unavailable(super::sled::RETRY_AFTER)),
            Some(Fault::Full) => return Err(AppendError::Full),
            Some(Fault::UnknownLost) => return Err(AppendError::Unknown("injected, not stored".into())),
            Some(Fault::UnknownStored) | None => {}
        }
        let delay = *locked(&self.delay);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let advice = *locked(&self.snapshot_records);
        let mut state = self.state().map_err(|error| AppendError::Unknown(error.to_string()))?;
        let appended = state.append(token, append, advice)?;
        match fault {
            Some(Fault::UnknownStored) => Err(AppendError::Unknown("injected, stored".into())),
            Some(Fault::Fenced | Fault::UnknownLost | Fault::Unavailable | Fault::Full) | None => Ok(appended),
        }
    }

    async fn resolve(&self, token: &Token, record_id: u128) -> Result<bool, JournalError> {
        self.state()?.resolve(token, record_id)
    }

    async fn snapshot(&self, token: &Token, snapshot: Snapshot, live: bool) -> Result<(), JournalError> {
        self.state()?.snapshot(token, snapshot, live)
    }

    async fn streams(&self, family: &str) -> Result<Vec<StreamSummary>, JournalError> {
        Ok(self.state()?.summaries(family))
    }

    async fn create_once(&self, key: &str, value: &[u8], ttl: Duration) -> Result<CreateOnce, JournalError> {
        let now = self.clock.now();
        Ok(self.state()?.create_once(key, value, now, ttl))
    }

    async fn lookup_once(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let now = self.clock.now();
        Ok(self.state()?.lookup_once(key, now))
    }

    async fn remove_once(&self, key: &str) -> Result<(), JournalError> {
        self.state()?.once.remove(key);
        Ok(())
    }

    async fn row(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.state()?.rows.get(&(table.to_owned(), key.to_owned())).cloned())
    }

    async fn rows(
        &self,
        table: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, JournalError> {
        Ok(self.state()?.rows(table, prefix, after, limit))
    }

    async fn rows_back(
        &self,
        table: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, JournalError> {
        let mut rows = self.state()?.rows(table, prefix, None, usize::MAX);
        rows.retain(|row| before.is_none_or(|before| row.key.as_str() < before));
        rows.reverse();
        rows.truncate(limit);
        Ok(rows)
    }

    async fn outbox(&self, partner: &PartnerId, position: u64, limit: usize) -> Result<Vec<OutboxEntry>, JournalError> {
        Ok(self.state()?.outbox(partner, position, limit))
    }

    fn epoch(&self) -> u64 {
        locked(&self.backing).epoch()
    }

    fn lagging(&self, limit: usize) -> Vec<StreamName> {
        let advice = *locked(&self.snapshot_records);
        locked(&self.backing).lagging(advice, limit)
    }

    fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    fn downtime(&self) -> Duration {
        self.downtime
    }
}

#[cfg(test)]
mod tests;
